//! The stored form of a recording: columns of whole numbers, their differences packed and compressed.
//! The recordings store keeps these bytes under their hash; projections and the query API decode them again.
//!
//! Layout: the magic `FTRC`, a version byte, then one Zstandard frame (with its checksum) around the body. The body is
//! the number of samples, a bit mask of the columns there are, the times in milliseconds and each column in steps of its
//! resolution ([`Field::steps_per_unit`]): first value, then differences, as zigzag varints. A column with gaps has a
//! bit a sample before its values. The same recording gives the same bytes with the same version of the compressor.

use std::io::Read;

use super::field::Field;
use super::samples::{MAX_SAMPLES, Recording, RecordingRefusal};

const MAGIC: &[u8; 4] = b"FTRC";
const VERSION: u8 = 1;
const COMPRESSION_LEVEL: i32 = 9;

/// Most bytes of a varint here: the differences of every column stay below 35 bits.
const VARINT_BYTES: usize = 5;
/// Largest body there can be: what a decoder unpacks before it gives up.
const MAX_BODY_BYTES: usize =
    64 + MAX_SAMPLES * VARINT_BYTES * (Field::COUNT + 1) + Field::COUNT * MAX_SAMPLES.div_ceil(8);
/// Largest window a frame may ask the decompressor to hold (2^23 bytes).
const MAX_WINDOW_LOG: u32 = 23;

const EVERY_SAMPLE: u8 = 0;
const SOME_SAMPLES: u8 = 1;

/// Why stored bytes are no recording.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    #[error("the bytes are no stored recording: they do not begin with FTRC")]
    NotARecording,
    #[error("version {found} of the stored form is unknown; this program reads version {VERSION}")]
    UnknownVersion { found: u8 },
    #[error("the compressed part is damaged: {reason}")]
    Damaged { reason: String },
    #[error("the recording unpacks to more than the limit of {MAX_BODY_BYTES} bytes")]
    TooLarge,
    #[error("the stored columns are malformed near byte {at} of the body: {reason}")]
    Malformed { at: usize, reason: &'static str },
    #[error("the stored columns make no recording: {0}")]
    Refused(#[from] RecordingRefusal),
}

/// The stored form of a recording.
///
/// # Panics
/// Only where the process has no memory left for the compressor.
#[expect(clippy::expect_used, reason = "compressing from memory to memory fails only where memory ends")]
pub fn encode(recording: &Recording) -> Vec<u8> {
    let body = encode_body(recording);
    let mut bytes = Vec::with_capacity(body.len() / 2 + 64);
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    let mut compressor = zstd::bulk::Compressor::new(COMPRESSION_LEVEL).expect("the level is valid");
    compressor.include_checksum(true).expect("every version of the format has checksums");
    compressor.window_log(MAX_WINDOW_LOG).expect("the window is valid");
    bytes.extend(compressor.compress(&body).expect("the buffer is as large as it may need"));
    bytes
}

/// The recording of these stored bytes.
///
/// # Errors
/// Not a recording, an unknown version, damage, or more than a recording may hold; never a panic, and never more memory
/// than the largest recording takes.
pub fn decode(bytes: &[u8]) -> Result<Recording, DecodeError> {
    let body = bytes.strip_prefix(MAGIC).ok_or(DecodeError::NotARecording)?;
    let (version, frame) = body.split_first().ok_or(DecodeError::NotARecording)?;
    if *version != VERSION {
        return Err(DecodeError::UnknownVersion { found: *version });
    }
    decode_body(&unpack(frame)?)
}

fn unpack(frame: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let damaged = |error: std::io::Error| DecodeError::Damaged { reason: error.to_string() };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(frame).map_err(damaged)?.single_frame();
    decoder.window_log_max(MAX_WINDOW_LOG).map_err(damaged)?;
    let mut body = Vec::new();
    let limit = MAX_BODY_BYTES as u64 + 1;
    decoder.by_ref().take(limit).read_to_end(&mut body).map_err(damaged)?;
    if body.len() > MAX_BODY_BYTES {
        return Err(DecodeError::TooLarge);
    }
    if !decoder.finish().is_empty() {
        return Err(DecodeError::Damaged { reason: "something follows the frame".to_owned() });
    }
    Ok(body)
}

fn encode_body(recording: &Recording) -> Vec<u8> {
    let mut body = Vec::with_capacity(recording.len() * 8 + 64);
    put_varint(&mut body, recording.len() as u64);
    let mask = recording.fields().fold(0_u64, |mask, field| mask | 1 << field.index());
    put_varint(&mut body, mask);
    put_differences(&mut body, recording.elapsed_s().iter().map(|seconds| to_millis(*seconds)));
    for field in recording.fields() {
        let values = recording.get(field).unwrap_or_default();
        if values.iter().all(Option::is_some) {
            body.push(EVERY_SAMPLE);
        } else {
            body.push(SOME_SAMPLES);
            body.extend(values.chunks(8).map(|chunk| {
                chunk.iter().enumerate().fold(0_u8, |bits, (index, value)| bits | u8::from(value.is_some()) << index)
            }));
        }
        put_differences(&mut body, values.iter().filter_map(|value| field.to_steps((*value)?)));
    }
    body
}

fn decode_body(body: &[u8]) -> Result<Recording, DecodeError> {
    let mut input = Input { body, at: 0 };
    let samples = usize::try_from(input.varint()?).unwrap_or(usize::MAX);
    if samples > MAX_SAMPLES {
        return Err(RecordingRefusal::TooManySamples { got: samples }.into());
    }
    let mask = input.varint()?;
    if mask >> Field::COUNT != 0 {
        return Err(input.malformed("it names columns that do not exist"));
    }
    let elapsed_s = input.differences(samples)?.into_iter().map(|millis| millis as f64 / 1e3).collect();
    let mut columns = Vec::new();
    for field in Field::ALL.into_iter().filter(|field| mask & (1 << field.index()) != 0) {
        columns.push((field, input.column(field, samples)?));
    }
    if input.at != body.len() {
        return Err(input.malformed("something follows the last column"));
    }
    Ok(Recording::from_columns(elapsed_s, columns)?)
}

struct Input<'a> {
    body: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn malformed(&self, reason: &'static str) -> DecodeError {
        DecodeError::Malformed { at: self.at, reason }
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = self.body.get(self.at).copied().ok_or_else(|| self.malformed("it ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for index in 0..VARINT_BYTES {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed("a number is too long"))
    }

    /// So many numbers stored as differences. A number takes a byte at least, so the body bounds what is allocated.
    fn differences(&mut self, count: usize) -> Result<Vec<i64>, DecodeError> {
        if count > self.body.len() - self.at {
            return Err(self.malformed("it ends too early"));
        }
        let mut numbers = Vec::with_capacity(count);
        let mut number = 0_i64;
        for _ in 0..count {
            // At most 2^34 each and 200,000 of them: far from overflow.
            number += unzigzag(self.varint()?);
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn column(&mut self, field: Field, samples: usize) -> Result<Vec<Option<f64>>, DecodeError> {
        let present: Vec<bool> = match self.byte()? {
            EVERY_SAMPLE => vec![true; samples],
            SOME_SAMPLES => {
                let start = self.at;
                let bits = self.body.get(start..start + samples.div_ceil(8));
                let bits = bits.ok_or_else(|| self.malformed("it ends too early"))?;
                self.at += bits.len();
                bits.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).take(samples).collect()
            }
            _ => return Err(self.malformed("a column is neither whole nor with gaps")),
        };
        let count = present.iter().filter(|present| **present).count();
        let mut steps = self.differences(count)?.into_iter();
        let values = present.into_iter().map(|present| present.then(|| steps.next()).flatten());
        let values: Vec<Option<f64>> = values.map(|steps| steps.map(|steps| field.value_of_steps(steps))).collect();
        if values.iter().flatten().any(|value| field.to_steps(*value).is_none()) {
            return Err(self.malformed("a value is out of its column's range"));
        }
        Ok(values)
    }
}

fn put_differences(body: &mut Vec<u8>, numbers: impl Iterator<Item = i64>) {
    let mut before = 0;
    for number in numbers {
        put_varint(body, zigzag(number - before));
        before = number;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low seven bits are what is wanted")]
fn put_varint(body: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        body.push(value as u8 | 0x80);
        value >>= 7;
    }
    body.push(value as u8);
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[expect(clippy::cast_possible_truncation, reason = "a recording spans at most fourteen days")]
fn to_millis(seconds: f64) -> i64 {
    (seconds * 1e3).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        Recording::from_columns(
            vec![0.0, 1.0, 2.5, 2.5],
            [
                (Field::LatitudeDeg, vec![Some(52.097_312_4), None, Some(-89.999_999_9), Some(90.0)]),
                (Field::LongitudeDeg, vec![Some(6.641_664_8), None, Some(-180.0), Some(180.0)]),
                (Field::HeartRateBpm, vec![Some(121.0), Some(122.0), Some(250.0), Some(20.0)]),
                (Field::TemperatureC, vec![None, None, None, Some(-0.1)]),
            ],
        )
        .unwrap()
    }

    fn packed(body: &[u8]) -> Vec<u8> {
        [MAGIC.as_slice(), &[VERSION], &zstd::bulk::compress(body, 1).unwrap()].concat()
    }

    #[test]
    fn a_recording_comes_back_exactly() {
        for recording in [recording(), Recording::default()] {
            assert_eq!(decode(&encode(&recording)), Ok(recording));
        }
    }

    #[test]
    fn the_same_recording_gives_the_same_bytes() {
        assert_eq!(encode(&recording()), encode(&recording().clone()));
    }

    #[test]
    fn zigzag_is_its_own_inverse_at_the_ends() {
        for value in [0, 1, -1, i64::from(i32::MAX), i64::from(i32::MIN), 1 << 33, -(1 << 33)] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn other_bytes_and_other_versions_are_refused() {
        assert_eq!(decode(b""), Err(DecodeError::NotARecording));
        assert_eq!(decode(b"FTRC"), Err(DecodeError::NotARecording));
        assert_eq!(decode(b"FTRC\x09"), Err(DecodeError::UnknownVersion { found: 9 }));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let bytes = encode(&recording());
        for (index, bit) in (0..bytes.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1 << bit;
            // A bit of the frame's header may be without meaning; then nothing changed.
            assert!(decode(&damaged).map_or(true, |decoded| decoded == recording()), "byte {index} bit {bit}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        assert_eq!(decode(&packed(&vec![0; 300 * 1024 * 1024])), Err(DecodeError::TooLarge));
    }

    #[test]
    fn a_claimed_count_allocates_nothing() {
        let mut body = Vec::new();
        put_varint(&mut body, MAX_SAMPLES as u64);
        put_varint(&mut body, 0);
        assert!(matches!(decode(&packed(&body)), Err(DecodeError::Malformed { .. })));
        let mut body = Vec::new();
        put_varint(&mut body, MAX_SAMPLES as u64 + 1);
        assert!(matches!(decode(&packed(&body)), Err(DecodeError::Refused(RecordingRefusal::TooManySamples { .. }))));
    }

    #[test]
    fn a_value_out_of_range_is_refused() {
        let mut body = Vec::new();
        put_varint(&mut body, 1);
        put_varint(&mut body, 1 << Field::HeartRateBpm.index());
        put_differences(&mut body, [0].into_iter());
        body.push(EVERY_SAMPLE);
        put_differences(&mut body, [2_510].into_iter());
        assert!(matches!(decode(&packed(&body)), Err(DecodeError::Malformed { .. })));
    }
}
