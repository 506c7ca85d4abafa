//! A zip from outside, looked into before anything of it is believed: how many entries, how long they would be, whether they
//! can be read at all. Names are only shown, never used as paths; nothing is read further than it said it is long.
use std::io::{self, Read, Seek};

use zip::{CompressionMethod, ZipArchive, read::Config, result::ZipError, unstable::read::ZipIterable};

use crate::jobs::{JobError, MAX_ENTRIES};

/// The longest entry that is an activity file, unpacked: what may also be uploaded by itself.
pub const MAX_FILE_BYTES: u64 = 25 * 1024 * 1024;
/// The longest document of an export, unpacked.
pub const MAX_DOCUMENT_BYTES: u64 = 1024 * 1024 * 1024;
/// The most that all entries together are, unpacked.
const MAX_UNPACKED_BYTES: u64 = 32 * 1024 * 1024 * 1024;
/// Activity files shrink to a twentieth, samples to a fiftieth. What would grow more than this is made to do harm.
const MAX_RATIO: u64 = 200;
/// Up to here the ratio does not matter.
const HARMLESS_BYTES: u64 = 100 * 1024 * 1024;
/// The longest name that is shown, in characters.
const MAX_NAME: usize = 200;

/// Why a zip is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZipRefusal {
    /// It is damaged, or none at all.
    #[error("it cannot be read as a zip: {0}")]
    Broken(String),
    /// There is nothing in it.
    #[error("there is no file in it")]
    Empty,
    /// Too many entries.
    #[error("it has {found} entries; at most {MAX_ENTRIES} are taken in")]
    TooManyEntries {
        /// How many there are.
        found: usize,
    },
    /// Two entries have one name.
    #[error("two of its entries have the same name")]
    RepeatedName,
    /// It would unpack to more than anybody's activities.
    #[error("it would unpack to {unpacked_bytes} bytes, which is more than is taken in from one of this length")]
    TooLong {
        /// What it says.
        unpacked_bytes: u64,
    },
}

impl ZipRefusal {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Broken(_) => "damaged_archive",
            Self::Empty => "empty_archive",
            Self::TooManyEntries { .. } => "too_many",
            Self::RepeatedName => "repeated_name",
            Self::TooLong { .. } => "unpacks_too_long",
        }
    }
}

/// Why a zip, or an entry of it, was not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It is to blame.
    #[error(transparent)]
    Refused(#[from] ZipRefusal),
    /// We are.
    #[error(transparent)]
    Failed(JobError),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.downcast::<JobError>() {
            Ok(failed) => Self::Failed(failed),
            Err(error) => Self::Refused(ZipRefusal::Broken(error.to_string())),
        }
    }
}

impl From<ZipError> for Unread {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) => error.into(),
            error => Self::Refused(ZipRefusal::Broken(error.to_string())),
        }
    }
}

/// An entry of a zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub index: usize,
    /// Its name, to be shown.
    pub name: String,
    /// How long it says it is, unpacked.
    pub unpacked_bytes: u64,
    /// Whether it is packed in a way that is read here, without a password.
    pub is_readable: bool,
}

/// A zip within the limits.
pub struct Archive<R> {
    zip: ZipArchive<R>,
}

impl<R: Read + Seek + Clone> Archive<R> {
    /// Opens a zip, unless it breaks a limit. The limits are checked entry by entry first, so that a directory that says it
    /// is huge is never in memory.
    pub fn open(reader: R, packed_bytes: u64) -> Result<Self, Unread> {
        let mut entries = ZipIterable::try_new(reader.clone(), Config::default())?;
        let found = entries.len();
        if found > MAX_ENTRIES {
            return Err(ZipRefusal::TooManyEntries { found }.into());
        }
        let (mut unpacked_bytes, mut files) = (0_u64, 0_usize);
        for entry in entries.files()? {
            let entry = entry?;
            unpacked_bytes = unpacked_bytes.saturating_add(entry.size());
            files += usize::from(!entry.is_dir());
        }
        if files == 0 {
            return Err(ZipRefusal::Empty.into());
        }
        let allowed = MAX_UNPACKED_BYTES.min(HARMLESS_BYTES.max(packed_bytes.saturating_mul(MAX_RATIO)));
        if unpacked_bytes > allowed {
            return Err(ZipRefusal::TooLong { unpacked_bytes }.into());
        }
        let zip = ZipArchive::new(reader)?;
        if zip.len() > MAX_ENTRIES {
            return Err(ZipRefusal::TooManyEntries { found: zip.len() }.into());
        }
        if zip.has_duplicate_names() {
            return Err(ZipRefusal::RepeatedName.into());
        }
        Ok(Self { zip })
    }

    /// How many entries there are, folders among them.
    pub fn len(&self) -> usize {
        self.zip.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.zip.is_empty()
    }

    /// The place of the entry of a name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.zip.index_for_name(name)
    }

    /// An entry; nothing where it is a folder.
    pub fn entry(&mut self, index: usize) -> Result<Option<Entry>, Unread> {
        let file = self.zip.by_index_raw(index)?;
        if file.is_dir() {
            return Ok(None);
        }
        let is_readable =
            !file.encrypted() && matches!(file.compression(), CompressionMethod::Stored | CompressionMethod::Deflated);
        let name = shown(file.name_raw());
        Ok(Some(Entry { index, name, unpacked_bytes: file.size(), is_readable }))
    }

    /// A reader of an entry, which ends where the entry said it does.
    pub fn reader(&mut self, entry: &Entry) -> Result<impl Read + '_, Unread> {
        Ok(self.zip.by_index(entry.index)?.take(entry.unpacked_bytes))
    }

    /// The whole entry: `None` where it is longer than `limit_bytes` or not as long as it said.
    pub fn read(&mut self, entry: &Entry, limit_bytes: u64) -> Result<Option<Vec<u8>>, Unread> {
        if entry.unpacked_bytes > limit_bytes {
            return Ok(None);
        }
        let mut content = Vec::new();
        // One byte more than it said: the end of an honest entry is there, and its checksum is compared.
        let mut file = self.zip.by_index(entry.index)?.take(entry.unpacked_bytes.saturating_add(1));
        file.read_to_end(&mut content)?;
        Ok((content.len() as u64 == entry.unpacked_bytes).then_some(content))
    }
}

impl<R: Clone> Clone for Archive<R> {
    fn clone(&self) -> Self {
        Self { zip: self.zip.clone() }
    }
}

/// A name as it may be shown: readable, and not too long.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;
    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
            zip.start_file(name, options).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// Everything that can be read of a zip, as the worker reads it.
    fn read_all(zip: &[u8]) -> Result<Vec<Vec<u8>>, Unread> {
        let mut archive = Archive::open(Cursor::new(zip), zip.len() as u64)?;
        let mut contents = Vec::new();
        for index in 0..archive.len() {
            let Some(entry) = archive.entry(index)? else { continue };
            if entry.is_readable
                && let Some(content) = archive.read(&entry, 100_000)?
            {
                contents.push(content);
            }
        }
        Ok(contents)
    }

    fn refusal(zip: &[u8]) -> ZipRefusal {
        match read_all(zip).unwrap_err() {
            Unread::Refused(refusal) => refusal,
            Unread::Failed(error) => panic!("{error}"),
        }
    }

    #[test]
    fn an_honest_zip_is_read_and_a_long_entry_is_not() {
        let zip = packed(&[("folder/a", b"one"), ("b", &vec![7; 100_001]), ("c", b"")]);
        assert_eq!(read_all(&zip).unwrap(), [b"one".to_vec(), vec![]]);
    }

    #[test]
    fn a_zip_of_too_many_entries_is_refused_before_its_directory_is_held() {
        // Two hundred thousand and one times the same entry in the directory.
        let one = packed(&[("a", b"")]);
        let directory = one.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
        let end = one.windows(4).rposition(|bytes| bytes == b"PK\x05\x06").unwrap();
        let entries = one[directory..end].repeat(MAX_ENTRIES + 1);
        let count = (MAX_ENTRIES as u64 + 1).to_le_bytes();
        let (length, start) = ((entries.len() as u64).to_le_bytes(), (directory as u64).to_le_bytes());
        let end64 =
            [b"PK\x06\x06", &44_u64.to_le_bytes()[..], &[45, 0, 45, 0], &[0; 8], &count, &count, &length, &start]
                .concat();
        let at = ((directory + entries.len()) as u64).to_le_bytes();
        let locator = [b"PK\x06\x07", &[0; 4][..], &at, &1_u32.to_le_bytes()].concat();
        let end32 = [b"PK\x05\x06", &[0; 4][..], &[0xff; 12], &[0; 2]].concat();
        let zip = [&one[..directory], &entries, &end64, &locator, &end32].concat();
        assert_eq!(refusal(&zip), ZipRefusal::TooManyEntries { found: MAX_ENTRIES + 1 });
    }

    #[test]
    fn two_entries_of_one_name_are_refused() {
        let mut zip = packed(&[("a", b"one"), ("b", b"two")]);
        let second = zip.windows(47).rposition(|bytes| bytes.starts_with(b"PK\x01\x02") && bytes[46] == b'b').unwrap();
        zip[second + 46] = b'a';
        assert_eq!(refusal(&zip), ZipRefusal::RepeatedName);
    }

    #[test]
    fn an_entry_with_a_password_is_told_from_others() {
        let mut zip = packed(&[("a", b"one")]);
        for header in [&b"PK\x03\x04"[..], b"PK\x01\x02"] {
            let flags = zip.windows(4).rposition(|bytes| bytes == header).unwrap() + if header[2] == 3 { 6 } else { 8 };
            zip[flags] |= 1;
        }
        let mut archive = Archive::open(Cursor::new(&zip[..]), zip.len() as u64).unwrap();
        assert!(!archive.entry(0).unwrap().unwrap().is_readable);
    }

    #[test]
    fn a_truncated_zip_is_refused_wherever_it_ends() {
        let zip = packed(&[("a", b"one"), ("b", b"two, which is longer")]);
        for end in 0..zip.len() {
            assert!(matches!(refusal(&zip[..end]), ZipRefusal::Broken(_)), "{end}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_damaged_zip_never_panics_and_never_gives_more_than_it_may(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(), is_cut in any::<bool>(),
        ) {
            let text = "a workout, and another, ".repeat(200);
            let mut zip = packed(&[("a.gpx", text.as_bytes()), ("folder/b.fit", b"two"), ("export.json", b"{}")]);
            for (at, byte) in changes {
                let at = at.index(zip.len());
                zip[at] = byte;
            }
            if is_cut {
                zip.truncate(cut.index(zip.len()));
            }
            if let Ok(contents) = read_all(&zip) {
                prop_assert!(contents.iter().all(|content| content.len() <= 100_000));
            }
        }

        #[test]
        fn what_is_no_zip_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_all(&bytes);
        }
    }
}
