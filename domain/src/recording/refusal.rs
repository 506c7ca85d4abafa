//! Why a file is refused, precisely enough that its owner can do something about it.
//! Parsers return it; the import route turns it into a problem document or a zip job's reason.

use super::format::Format;
use super::samples::{MAX_DURATION_S, MAX_SAMPLES};

/// Why a file is not stored as a workout. Offsets are in bytes from the start of the file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FileRefusal {
    #[error("the file is empty")]
    Empty,
    #[error("the file is {bytes} bytes long; the limit is {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("this is not a {} file: {reason}", format.as_str().to_uppercase())]
    WrongFormat { format: Format, reason: String },
    #[error("the file is cut off at byte {at}: {expected} bytes were announced")]
    Truncated { at: usize, expected: usize },
    #[error("the checksum over the FIT file's bytes {from} to {to} does not match: it was damaged on its way")]
    Checksum { from: usize, to: usize },
    #[error("the FIT file is malformed near byte {at}: {reason}")]
    MalformedFit { at: usize, reason: String },
    #[error("the XML is malformed at line {line} (byte {at}): {reason}")]
    MalformedXml { line: usize, at: usize, reason: String },
    #[error("the XML at line {line} (byte {at}) uses {what}, which activity files do not need and FitTrack refuses")]
    ForbiddenXml { line: usize, at: usize, what: &'static str },
    #[error("the value {text:?} of {element} at line {line} is not {expected}")]
    BadValue { line: usize, element: &'static str, text: String, expected: &'static str },
    #[error("the file holds no activity: {reason}")]
    NoActivity { reason: String },
    #[error("no point in the file has a time")]
    NoTime,
    #[error("the file holds more samples than the limit of {MAX_SAMPLES}")]
    TooManySamples,
    #[error("the file holds more {what} than the limit of {limit}")]
    TooMany { what: &'static str, limit: usize },
    #[error("an activity of {seconds:.0} s is longer than the limit of {MAX_DURATION_S} s: a time stamp is wrong")]
    TooLong { seconds: f64 },
    #[error("the start time {text:?} is before 1989-12-31 or after 2100: the device's clock was not set")]
    ImplausibleStart { text: String },
}

impl FileRefusal {
    /// A stable name for programs, such as `checksum`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::WrongFormat { .. } => "wrong_format",
            Self::Truncated { .. } => "truncated",
            Self::Checksum { .. } => "checksum",
            Self::MalformedFit { .. } => "malformed_fit",
            Self::MalformedXml { .. } => "malformed_xml",
            Self::ForbiddenXml { .. } => "forbidden_xml",
            Self::BadValue { .. } => "bad_value",
            Self::NoActivity { .. } => "no_activity",
            Self::NoTime => "no_time",
            Self::TooManySamples => "too_many_samples",
            Self::TooMany { .. } => "too_many",
            Self::TooLong { .. } => "too_long",
            Self::ImplausibleStart { .. } => "implausible_start",
        }
    }
}
