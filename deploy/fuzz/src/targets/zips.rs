//! Zips of activities or of an export, and the document of an export: anything is looked into and read, or refused, within its
//! limits; nothing is longer than it said it is.

use std::io::Cursor;

use command_api::imports::zip::{archive::Archive, document};
use command_api::jobs::JobError;

/// Signatures of a zip's parts, and ways of packing.
pub const ZIP_WORDS: &[&[u8]] = &[
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"PK\x07\x08",
    b"\x08\x00",
    b"\xff\xff\xff\xff",
];
/// Members of a document.
pub const DOCUMENT_WORDS: &[&[u8]] = &[
    b"\"format_version\":1",
    b"\"athlete\":{}",
    b"\"measurements\":[",
    b"\"workouts\":[{}",
    b"]",
    b"}",
    b"\\u0000",
    b"1e999",
];

/// The longest entry that is read here.
const MAX_ENTRY_BYTES: u64 = 1024 * 1024;

pub fn zip(input: &[u8]) -> bool {
    let Ok(mut archive) = Archive::open(Cursor::new(input), input.len() as u64) else { return false };
    let mut is_sound = true;
    for index in 0..archive.len() {
        let entry = match archive.entry(index) {
            Ok(Some(entry)) => entry,
            Ok(None) => continue,
            Err(_) => return false,
        };
        assert!(entry.name.chars().count() <= 200 && !entry.name.contains(char::is_control), "{:?}", entry.name);
        match archive.read(&entry, MAX_ENTRY_BYTES) {
            Ok(Some(content)) => assert_eq!(content.len() as u64, entry.unpacked_bytes),
            Ok(None) => {}
            Err(_) => is_sound = false,
        }
    }
    is_sound
}

pub fn document(input: &[u8]) -> bool {
    let mut parts = 0_usize;
    let read = document::read(input, |_| {
        parts += 1;
        Ok::<(), JobError>(())
    });
    assert!(parts <= input.len(), "every part is made of something");
    read.is_ok()
}
