//! A long file as pieces of 1 MiB: written one after the other, read from anywhere. Where the pieces are is said by whoever has them.
use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::JobError;

/// The length of every piece but the last, in bytes.
pub const PIECE_BYTES: usize = 1024 * 1024;

/// Where pieces go.
pub trait Sink {
    /// Stores the piece of this number (0, 1, 2 ...).
    fn put(&mut self, number: i32, piece: &[u8]) -> Result<(), JobError>;
}

/// Where pieces come from.
pub trait Source {
    /// The piece of this number.
    fn get(&self, number: i32) -> Result<Bytes, JobError>;
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 over all of it.
    pub sha256: [u8; 32],
}

/// Writes a file in pieces, up to a limit.
pub struct PieceWriter<S> {
    sink: S,
    piece: Vec<u8>,
    number: i32,
    bytes: u64,
    limit_bytes: u64,
    hash: Sha256,
    abandoned: Arc<AtomicBool>,
}

impl<S: Sink> PieceWriter<S> {
    /// A writer of at most `limit_bytes`.
    pub fn new(sink: S, limit_bytes: u64) -> Self {
        let piece = Vec::with_capacity(PIECE_BYTES);
        let abandoned = Arc::default();
        Self { sink, piece, number: 0, bytes: 0, limit_bytes, hash: Sha256::new(), abandoned }
    }

    /// Once set, nothing more is stored and nothing fails: for a `ZipWriter`, which finishes its file even when it is dropped.
    pub fn abandoned(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.abandoned)
    }

    /// Stores what is left and says what it all was.
    pub fn finish(mut self) -> Result<Written, JobError> {
        if !self.piece.is_empty() {
            self.put()?;
        }
        Ok(Written { bytes: self.bytes, sha256: self.hash.finalize().into() })
    }

    fn put(&mut self) -> Result<(), JobError> {
        self.sink.put(self.number, &self.piece)?;
        self.number += 1;
        self.piece.clear();
        Ok(())
    }
}

impl<S: Sink> Write for PieceWriter<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.abandoned.load(Ordering::Acquire) {
            return Ok(bytes.len());
        }
        let taken = bytes.len().min(PIECE_BYTES - self.piece.len());
        let taken = bytes.get(..taken).unwrap_or_default();
        self.bytes += taken.len() as u64;
        if self.bytes > self.limit_bytes {
            let limit = self.limit_bytes >> 20;
            return Err(JobError::GivenUp(format!("it would be longer than {limit} MiB")).into());
        }
        self.hash.update(taken);
        self.piece.extend_from_slice(taken);
        if self.piece.len() == PIECE_BYTES {
            self.put()?;
        }
        Ok(taken.len())
    }

    /// A piece is stored when it is full; there is nothing in between.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file that is in pieces. Holds one of them; a clone has a place of its own.
#[derive(Clone)]
pub struct PieceReader<S> {
    source: S,
    length_bytes: u64,
    at: u64,
    held: Option<(i32, Bytes)>,
}

impl<S: Source> PieceReader<S> {
    /// A reader of a file of this length.
    pub fn new(source: S, length_bytes: u64) -> Self {
        Self { source, length_bytes, at: 0, held: None }
    }

    fn piece(&mut self, number: i32) -> Result<Bytes, JobError> {
        if let Some((held, piece)) = &self.held
            && *held == number
        {
            return Ok(piece.clone());
        }
        let piece = self.source.get(number)?;
        self.held = Some((number, piece.clone()));
        Ok(piece)
    }
}

impl<S: Source> Read for PieceReader<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.length_bytes || into.is_empty() {
            return Ok(0);
        }
        let length = PIECE_BYTES as u64;
        let number = i32::try_from(self.at / length).map_err(io::Error::other)?;
        let within = usize::try_from(self.at % length).map_err(io::Error::other)?;
        let piece = self.piece(number)?;
        let rest = piece.get(within..).unwrap_or_default();
        let read = rest.len().min(into.len());
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (to, from) in into.iter_mut().zip(rest) {
            *to = *from;
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl<S> Seek for PieceReader<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length_bytes.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Rc<RefCell<Vec<Bytes>>>);

    impl Sink for Kept {
        fn put(&mut self, number: i32, piece: &[u8]) -> Result<(), JobError> {
            assert_eq!(usize::try_from(number).unwrap(), self.0.borrow().len());
            self.0.borrow_mut().push(Bytes::copy_from_slice(piece));
            Ok(())
        }
    }

    impl Source for Kept {
        fn get(&self, number: i32) -> Result<Bytes, JobError> {
            Ok(self.0.borrow()[usize::try_from(number).unwrap()].clone())
        }
    }

    fn noise(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| u8::try_from(at * 7919 % 251).unwrap()).collect()
    }

    #[test]
    fn what_was_written_in_pieces_is_read_back_from_anywhere() {
        let (kept, file) = (Kept::default(), noise(2 * PIECE_BYTES + 4711));
        let mut writer = PieceWriter::new(kept.clone(), u64::MAX);
        for part in file.chunks(100_003) {
            writer.write_all(part).unwrap();
        }
        let written = writer.finish().unwrap();
        let expected = Written { bytes: file.len() as u64, sha256: Sha256::digest(&file).into() };
        assert_eq!((written, kept.0.borrow().len()), (expected, 3));
        let mut reader = PieceReader::new(kept, written.bytes);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert!(read == file);
        for at in [0, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES + 4710] {
            reader.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut one = [0];
            reader.read_exact(&mut one).unwrap();
            assert_eq!(one[0], file[at]);
        }
        assert!(reader.seek(SeekFrom::End(-1_000_000_000)).is_err());
    }

    #[test]
    fn a_file_that_grows_too_long_is_given_up() {
        let mut writer = PieceWriter::new(Kept::default(), 10 << 20);
        let error = JobError::from(writer.write_all(&noise((10 << 20) + 1)).unwrap_err());
        assert!(matches!(&error, JobError::GivenUp(why) if why.contains("10 MiB")), "{error}");
    }

    proptest! {
        #[test]
        fn a_reader_reads_as_a_slice_does(places in prop::collection::vec((0_u64..3_000_000, 0_usize..50), 1..20)) {
            let (kept, file) = (Kept::default(), noise(PIECE_BYTES + 1_000_000));
            let mut writer = PieceWriter::new(kept.clone(), u64::MAX);
            writer.write_all(&file).unwrap();
            let mut pieces = PieceReader::new(kept, writer.finish().unwrap().bytes);
            let mut slice = io::Cursor::new(&file);
            for (at, bytes) in places {
                let (mut one, mut two) = (Vec::new(), Vec::new());
                pieces.seek(SeekFrom::Start(at)).unwrap();
                slice.seek(SeekFrom::Start(at)).unwrap();
                (&mut pieces).take(bytes as u64).read_to_end(&mut one).unwrap();
                (&mut slice).take(bytes as u64).read_to_end(&mut two).unwrap();
                prop_assert_eq!(one, two);
            }
        }
    }
}
