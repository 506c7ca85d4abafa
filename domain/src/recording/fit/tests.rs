//! Tests of the FIT reader over files the writer made, whole and broken in known places.
//! Real devices' files are compared in `tests/recording_samples.rs`.

use chrono::{DateTime, Utc};

use super::super::{FileRefusal, Format, MAX_LAPS, synthesize, write};
use super::*;
use crate::sport::Sport;

fn file() -> Vec<u8> {
    let started_at: DateTime<Utc> = "2026-05-17T06:30:00Z".parse().unwrap();
    write(&synthesize(5, Sport::Run, started_at, 120.0), Format::Fit).unwrap()
}

/// A sequence of this data, with a right header and right checksums.
fn framed(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![12, 0x20, 0, 0];
    bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    bytes.extend(b".FIT");
    bytes.extend(data);
    let checksum = crc(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// FIT's checksum is CRC-16/ARC; with a header of 12 bytes it covers header and data.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 })
    })
}

#[test]
fn a_short_file_is_cut_off_and_says_where() {
    let file = file();
    let cut = file.len() - 100;
    assert_eq!(parse(&file[..cut]), Err(FileRefusal::Truncated { at: cut, expected: file.len() }));
    assert_eq!(parse(&file[..5]), Err(FileRefusal::Truncated { at: 5, expected: 14 }));
}

#[test]
fn a_flipped_byte_is_a_wrong_checksum() {
    let mut file = file();
    let middle = file.len() / 2;
    file[middle] ^= 1;
    let expected = FileRefusal::Checksum { from: 14, to: file.len() - 2 };
    // The byte may also have changed how long a message is.
    let refusal = parse(&file).unwrap_err();
    assert!(refusal == expected || matches!(refusal, FileRefusal::MalformedFit { .. }), "{refusal}");
    let last = file.len() - 1;
    file[middle] ^= 1;
    file[last] ^= 1;
    assert_eq!(parse(&file), Err(expected));
}

#[test]
fn other_files_are_not_fit() {
    for bytes in [&b"<gpx/>"[..], &[14; 14], &[12, 0, 0, 0, 9, 0, 0, 0, b'.', b'F', b'I', b'X']] {
        assert!(matches!(parse(bytes), Err(FileRefusal::WrongFormat { .. })), "{bytes:?}");
    }
}

#[test]
fn a_file_the_device_never_finished_is_told_apart() {
    let mut file = file();
    file[4..8].fill(0);
    assert!(matches!(parse(&file), Err(FileRefusal::MalformedFit { at: 4, .. })));
}

#[test]
fn chained_files_are_all_read_and_padding_is_passed_over() {
    let file = file();
    let chain = [file.as_slice(), file.as_slice(), &[0; 7]].concat();
    assert_eq!(parse(&chain).unwrap().len(), 2);
}

#[test]
fn a_file_of_another_type_is_no_activity() {
    // A definition of file_id with its type alone, and a message saying "workout".
    let data = [0x40, 0, 0, 0, 0, 1, 0, 1, 0, 0x00, 5];
    let Err(FileRefusal::NoActivity { reason }) = parse(&framed(&data)) else { panic!("it was read") };
    assert_eq!(reason, "it is a FIT file of type workout");
}

#[test]
fn a_message_nobody_defined_is_malformed() {
    assert!(matches!(parse(&framed(&[0x03, 1, 2, 3])), Err(FileRefusal::MalformedFit { .. })));
}

#[test]
fn records_without_a_time_are_no_activity() {
    // A definition of record with heart rate alone, and two of them.
    let data = [0x40, 0, 0, 20, 0, 1, 3, 1, 2, 0x00, 120, 0x00, 121];
    assert_eq!(parse(&framed(&data)), Err(FileRefusal::NoTime));
}

#[test]
fn fields_without_bytes_do_not_make_endless_work() {
    let mut data = vec![0x40, 0, 0, 20, 0, 255];
    data.extend((0..255_u8).flat_map(|number| [number, 0, 2]));
    data.extend(std::iter::repeat_n(0_u8, 200_000));
    assert_eq!(parse(&framed(&data)), Err(FileRefusal::TooMany { what: "fields", limit: MAX_FIELDS }));
}

#[test]
fn laps_are_counted() {
    // A definition of lap with its event alone.
    let mut data = vec![0x40, 0, 0, 19, 0, 1, 0, 1, 0];
    data.extend([0_u8, 9].repeat(MAX_LAPS + 1));
    assert_eq!(parse(&framed(&data)), Err(FileRefusal::TooMany { what: "laps", limit: MAX_LAPS }));
}
