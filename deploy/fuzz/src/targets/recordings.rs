//! Recorded files and stored samples: whatever is read is within the limits, comes back from the store as it was, and can be read
//! again when it is written in a form that can hold it.

use fittrack_domain::recording::{self, FileRefusal, Format, MAX_ACTIVITIES, MAX_DURATION_S, MAX_LAPS, MAX_SAMPLES};

/// Base types, message numbers and the mark of a FIT file.
pub const FIT_WORDS: &[&[u8]] =
    &[b".FIT", b"\x40\0\0\x14\0", b"\x40\0\0\x12\0", b"\x86\x04", b"\x02\x84", b"\xff\xff\xff\x7f"];
/// Elements and the traps of XML.
pub const XML_WORDS: &[&[u8]] = &[
    b"<trkpt lat=\"1\" lon=\"2\">",
    b"</trkpt>",
    b"<ele>",
    b"<time>",
    b"<trkseg>",
    b"<Lap>",
    b"<Trackpoint>",
    b"</Trackpoint>",
    b"<!DOCTYPE x [<!ENTITY a \"b\">]>",
    b"&a;",
    b"&#0;",
    b"&amp;",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"-->",
    b"xmlns:x=\"y\"",
    b"<?xml version=\"1.0\" encoding=\"UTF-16\"?>",
    b"lat=\"91\"",
    b"<hr>",
];

pub fn fit(input: &[u8]) -> bool {
    file(input, Format::Fit)
}

pub fn gpx(input: &[u8]) -> bool {
    file(input, Format::Gpx)
}

pub fn tcx(input: &[u8]) -> bool {
    file(input, Format::Tcx)
}

fn file(input: &[u8], format: Format) -> bool {
    let _ = Format::sniff(input);
    let Ok(activities) = recording::parse(input, format) else { return false };
    assert!((1..=MAX_ACTIVITIES).contains(&activities.len()));
    assert!(activities.iter().map(|activity| activity.recording.len()).sum::<usize>() <= MAX_SAMPLES);
    assert!(activities.iter().map(|activity| activity.laps.len()).sum::<usize>() <= MAX_LAPS);
    for activity in &activities {
        assert!((0.0..=MAX_DURATION_S).contains(&activity.duration_s), "{}", activity.duration_s);
        assert!((0.0..=activity.duration_s).contains(&activity.moving_s), "{}", activity.moving_s);
        assert_eq!(recording::decode(&recording::encode(&activity.recording)).as_ref(), Ok(&activity.recording));
        for format in Format::ALL {
            let Ok(written) = recording::write(activity, format) else { continue };
            // A form without a summary has no duration where there is but one sample it can hold.
            let refused = recording::parse(&written, format).err();
            let is_none = refused.as_ref().is_none_or(|why| matches!(why, FileRefusal::NoActivity { .. }));
            assert!(is_none, "what was written as {format:?} is refused: {refused:?}");
        }
    }
    true
}

pub fn stored(input: &[u8]) -> bool {
    let Ok(read) = recording::decode(input) else { return false };
    assert!(read.len() <= MAX_SAMPLES);
    assert_eq!(recording::decode(&recording::encode(&read)).as_ref(), Ok(&read));
    true
}

/// Gives a FIT file the length and the checksums its bytes ask for, so that what was changed is read as messages.
pub fn fit_mended(mut bytes: Vec<u8>) -> Vec<u8> {
    let Some(data) = bytes.len().checked_sub(16).and_then(|length| u32::try_from(length).ok()) else { return bytes };
    let end = bytes.len() - 2;
    bytes[0] = 14;
    bytes[4..8].copy_from_slice(&data.to_le_bytes());
    bytes[8..12].copy_from_slice(b".FIT");
    // No checksum of the head: it may be left out.
    bytes[12..14].fill(0);
    let checksum = crc(&bytes[14..end]);
    bytes[end..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// CRC-16/ARC, FIT's checksum.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 })
    })
}
