//! Files broken in every way the generator thinks of: reading one gives an answer or a refusal, never a panic.
//! Whatever is read stays within the limits, comes back from the store, and can be written again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(clippy::expect_used, reason = "a test may fail by panicking")]

use std::sync::LazyLock;

use fittrack_domain::recording::{self, Format, MAX_ACTIVITIES, MAX_DURATION_S, MAX_LAPS, MAX_SAMPLES};
use fittrack_domain::sport::Sport;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

static FILES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let started_at = "2026-05-17T06:30:00Z".parse().expect("it is an instant");
    let ride = recording::synthesize(11, Sport::Ride, started_at, 30.0);
    Format::ALL.map(|format| recording::write(&ride, format).expect("a ride has positions"))
});

static STORED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let started_at = "2026-05-17T06:30:00Z".parse().expect("it is an instant");
    recording::encode(&recording::synthesize(11, Sport::Ride, started_at, 30.0).recording)
});

/// One way to break a file.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    CutOff(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => (any::<Index>(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (any::<Index>(), 1_usize..64).prop_map(|(at, count)| Damage::Remove(at, count)),
        1 => (any::<Index>(), 1_usize..512).prop_map(|(at, count)| Damage::Repeat(at, count)),
        1 => any::<Index>().prop_map(Damage::CutOff),
    ]
}

fn damaged(file: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match damage {
            Damage::Set(at, byte) => bytes[at.index(length)] = *byte,
            Damage::Insert(at, extra) => {
                let at = at.index(length);
                bytes.splice(at..at, extra.iter().copied());
            }
            Damage::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + count).min(length));
            }
            Damage::Repeat(at, count) => {
                let at = at.index(length);
                bytes.extend_from_within(at..(at + count).min(length));
            }
            Damage::CutOff(at) => bytes.truncate(at.index(length)),
        }
    }
    bytes
}

/// Gives a FIT file the length and the checksums its bytes ask for, so that the damage reaches the messages.
fn mended(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < 16 {
        return bytes;
    }
    let length = bytes.len();
    bytes[0] = 14;
    bytes[4..8].copy_from_slice(&u32::try_from(length - 16).unwrap_or_default().to_le_bytes());
    bytes[8..12].copy_from_slice(b".FIT");
    bytes[12..14].fill(0);
    let checksum = crc(&bytes[14..length - 2]);
    bytes[length - 2..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// CRC-16/ARC, FIT's checksum.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 })
    })
}

/// Reads a file as every format and checks whatever comes out; says whether anything did.
fn read(bytes: &[u8], format: Format) -> bool {
    let Ok(activities) = recording::parse(bytes, format) else { return false };
    assert!((1..=MAX_ACTIVITIES).contains(&activities.len()));
    assert!(activities.iter().map(|activity| activity.recording.len()).sum::<usize>() <= MAX_SAMPLES);
    assert!(activities.iter().map(|activity| activity.laps.len()).sum::<usize>() <= MAX_LAPS);
    for activity in &activities {
        assert!((0.0..=MAX_DURATION_S).contains(&activity.duration_s), "{}", activity.duration_s);
        assert!((0.0..=activity.duration_s).contains(&activity.moving_s), "{}", activity.moving_s);
        assert_eq!(recording::decode(&recording::encode(&activity.recording)).as_ref(), Ok(&activity.recording));
        for format in Format::ALL {
            let _ = recording::write(activity, format);
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_refused_or_read_within_the_limits(
        which in 0_usize..3,
        damages in vec(damage(), 1..5),
    ) {
        read(&damaged(&FILES[which], &damages), Format::ALL[which]);
    }

    #[test]
    fn damage_behind_a_right_checksum_does_not_matter_either(damages in vec(damage(), 1..6)) {
        read(&mended(damaged(&FILES[0], &damages)), Format::Fit);
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..600), which in 0_usize..3) {
        read(&bytes, Format::ALL[which]);
        read(&mended(bytes), Format::Fit);
    }

    #[test]
    fn damaged_stored_bytes_are_an_error_or_a_recording(damages in vec(damage(), 1..4)) {
        if let Ok(recording) = recording::decode(&damaged(&STORED, &damages)) {
            prop_assert!(recording.len() <= MAX_SAMPLES);
        }
    }
}

#[test]
fn the_undamaged_files_are_read() {
    for (file, format) in FILES.iter().zip(Format::ALL) {
        assert!(read(file, format), "{format}");
    }
    assert!(read(&mended(FILES[0].clone()), Format::Fit));
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    for (file, format) in FILES.iter().zip(Format::ALL) {
        // White space after the last element may be missing.
        let whole = file.trim_ascii_end().len();
        for length in (0..whole).step_by(7) {
            assert!(!read(&file[..length], format), "{format} cut to {length} of {whole} bytes");
        }
    }
}
