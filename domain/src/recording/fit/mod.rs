//! Reads FIT activity files: checks the frame first, so that a refusal can say what is wrong, then decodes messages.
//! The decoder is `rustyfit`; `collect` turns its messages into activities, one a session.

mod collect;
pub(super) mod sports;
#[cfg(test)]
mod tests;
mod values;

use std::convert::Infallible;

use rustyfit::{Decoder, DecoderError, DecoderEvent, StreamingIterator};

use super::activity::Activity;
use super::format::Format;
use super::points::Budget;
use super::refusal::FileRefusal;
use super::{MAX_LAPS, too_many_activities};
use collect::Collector;

/// Bytes of the checksum at the end of a sequence.
const CHECKSUM_BYTES: usize = 2;

/// Most fields that are decoded in one file.
const MAX_FIELDS: usize = 30_000_000;

/// Most fields that are decoded for each byte of the file, with a few more for small ones. A definition of empty fields
/// makes the decoder work without a byte in the file, so the work is bounded, not just the length.
const MAX_FIELDS_PER_BYTE: usize = 4;
const FREE_FIELDS: usize = 100_000;

/// Most developer fields a file may describe; the decoder looks each of them up one by one.
const MAX_DESCRIPTIONS: usize = 256;

/// The activities of a FIT file; files chained one after the other are all read.
///
/// # Errors
/// Not FIT, cut off, damaged, malformed, not an activity, or a limit exceeded.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Activity>, FileRefusal> {
    let fields = MAX_FIELDS.min(bytes.len() * MAX_FIELDS_PER_BYTE + FREE_FIELDS);
    let mut limits = Limits { samples: Budget::new(), laps: MAX_LAPS, fields };
    let (mut activities, mut at) = (Vec::new(), 0);
    let mut refusal = None;
    while at < bytes.len() {
        let sequence = match Sequence::at(bytes, at) {
            // Some devices pad their files: what follows a whole sequence and is none is passed over.
            Err(FileRefusal::WrongFormat { .. }) if at > 0 => break,
            sequence => sequence?,
        };
        at = sequence.end();
        match sequence.activities(&mut limits) {
            Ok(found) => activities.extend(found),
            // A chain may hold settings beside the activity.
            Err(nothing @ FileRefusal::NoActivity { .. }) => refusal = refusal.or(Some(nothing)),
            Err(other) => return Err(other),
        }
        if activities.len() > super::MAX_ACTIVITIES {
            return Err(too_many_activities());
        }
    }
    if activities.is_empty() {
        let reason = "it has only transitions".to_owned();
        return Err(refusal.unwrap_or(FileRefusal::NoActivity { reason }));
    }
    Ok(activities)
}

/// What one file may still use, all its sequences together.
struct Limits {
    samples: Budget,
    laps: usize,
    fields: usize,
}

/// One FIT file; several may be chained in one upload.
struct Sequence<'a> {
    at: usize,
    header_bytes: usize,
    bytes: &'a [u8],
}

impl<'a> Sequence<'a> {
    /// The sequence that begins here, if it is whole.
    fn at(bytes: &'a [u8], at: usize) -> Result<Self, FileRefusal> {
        let wrong = |reason: &str| FileRefusal::WrongFormat { format: Format::Fit, reason: reason.to_owned() };
        let rest = bytes.get(at..).unwrap_or_default();
        let header_bytes = rest.first().copied().map_or(0, usize::from);
        if header_bytes != 12 && header_bytes != 14 {
            return Err(wrong("its header is neither 12 nor 14 bytes long"));
        }
        let Some(header) = rest.get(..header_bytes) else {
            return Err(FileRefusal::Truncated { at: bytes.len(), expected: at + header_bytes });
        };
        let Some([_, _, _, _, data_bytes @ .., b'.', b'F', b'I', b'T']) = header.first_chunk::<12>() else {
            return Err(wrong("its header does not say .FIT"));
        };
        let data_bytes = u32::from_le_bytes(*data_bytes) as usize;
        if data_bytes == 0 {
            let reason = "its header announces no data: the device did not finish writing it".to_owned();
            return Err(FileRefusal::MalformedFit { at: at + 4, reason });
        }
        let length = header_bytes.saturating_add(data_bytes).saturating_add(CHECKSUM_BYTES);
        match rest.get(..length) {
            Some(bytes) => Ok(Self { at, header_bytes, bytes }),
            None => Err(FileRefusal::Truncated { at: bytes.len(), expected: at.saturating_add(length) }),
        }
    }

    fn end(&self) -> usize {
        self.at + self.bytes.len()
    }

    fn activities(&self, limits: &mut Limits) -> Result<Vec<Activity>, FileRefusal> {
        let mut collector = Collector::default();
        let mut rest = self.bytes;
        let mut decoder = Decoder::builder().expand_components(false).build();
        match collect_all(&mut decoder, &mut rest, &mut collector, limits) {
            Ok(()) => collector.finish(),
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::Decoder(error)) => Err(self.explain(&error, self.end() - rest.len())),
        }
    }

    fn explain(&self, error: &DecoderError<Infallible>, at: usize) -> FileRefusal {
        let data_from = self.at + self.header_bytes;
        match error {
            DecoderError::ChecksumMismatch { .. } if at <= data_from => {
                FileRefusal::Checksum { from: self.at, to: self.at + 12 }
            }
            DecoderError::ChecksumMismatch { .. } => {
                FileRefusal::Checksum { from: data_from, to: self.end() - CHECKSUM_BYTES }
            }
            DecoderError::UnexpectedEof => {
                FileRefusal::MalformedFit { at, reason: "its last message runs past the announced end".to_owned() }
            }
            other => FileRefusal::MalformedFit { at, reason: other.to_string() },
        }
    }
}

enum Stop {
    Refused(FileRefusal),
    Decoder(DecoderError<Infallible>),
}

#[expect(
    clippy::indexing_slicing,
    reason = "local message numbers are masked to four bits, and there are sixteen places"
)]
fn collect_all(
    decoder: &mut Decoder,
    rest: &mut &[u8],
    collector: &mut Collector,
    limits: &mut Limits,
) -> Result<(), Stop> {
    let mut stream = decoder.stream(rest);
    // Developer fields by local message number: the decoder does not list those nobody described.
    let mut developer_fields = [0_usize; 16];
    let mut descriptions = 0;
    while let Some(event) = stream.next() {
        match event.map_err(Stop::Decoder)? {
            DecoderEvent::FileHeader(_) => {}
            DecoderEvent::MessageDefinition(definition) => {
                let count = definition.developer_field_definitions.len();
                developer_fields[usize::from(definition.header & 0x0f)] = count;
            }
            DecoderEvent::Message(message) => {
                if message.num == rustyfit::profile::typedef::MesgNum::FIELD_DESCRIPTION {
                    descriptions += 1;
                }
                // Bits 5 and 6 number the local message where bit 7 says that the time is in the header.
                let local = if message.header & 0x80 == 0 { message.header & 0x0f } else { message.header >> 5 & 0x03 };
                let work = 1 + message.fields.len() + developer_fields[usize::from(local)] * (1 + descriptions / 8);
                let left = limits.fields.checked_sub(work).filter(|_| descriptions <= MAX_DESCRIPTIONS);
                limits.fields =
                    left.ok_or(Stop::Refused(FileRefusal::TooMany { what: "fields", limit: MAX_FIELDS }))?;
                collector.take(message, &mut limits.samples, &mut limits.laps).map_err(Stop::Refused)?;
            }
            DecoderEvent::Crc(_) => return Ok(()),
        }
    }
    Ok(())
}
