//! The three file formats an app may upload, told apart by media type or by their first bytes.
//! The import route asks here before anything is parsed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A format of activity files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Fit,
    Gpx,
    Tcx,
}

/// How far into an XML file its root element is looked for.
const SNIFF_BYTES: usize = 4_096;

impl Format {
    pub const ALL: [Self; 3] = [Self::Fit, Self::Gpx, Self::Tcx];

    /// `fit`, `gpx` or `tcx`: also the file's usual extension.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Gpx => "gpx",
            Self::Tcx => "tcx",
        }
    }

    /// The format of this name, as in `?format=gpx`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Fit => "application/vnd.ant.fit",
            Self::Gpx => "application/gpx+xml",
            Self::Tcx => "application/vnd.garmin.tcx+xml",
        }
    }

    /// The format of this media type; case and parameters (`; charset=utf-8`) do not matter.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        Self::ALL.into_iter().find(|format| format.content_type().eq_ignore_ascii_case(essence))
    }

    /// The format these first bytes look like; says nothing about whether the rest is whole.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.get(8..12) == Some(b".FIT") {
            return Some(Self::Fit);
        }
        // A UTF-16 file has a zero beside every ASCII byte; the parsers refuse it with a better reason than "unknown".
        let head: Vec<u8> = bytes.iter().copied().take(SNIFF_BYTES).filter(|byte| *byte != 0).collect();
        let root = |name: &[u8]| {
            head.windows(name.len() + 2).any(|window| match window {
                [b'<' | b':', inner @ .., b'>' | b'/' | b' ' | b'\t' | b'\r' | b'\n'] => inner == name,
                _ => false,
            })
        };
        match (root(b"gpx"), root(b"TrainingCenterDatabase")) {
            (_, true) => Some(Self::Tcx),
            (true, false) => Some(Self::Gpx),
            (false, false) => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        assert_eq!(Format::sniff(b"\x0e\x20\x00\x00\x00\x00\x00\x00.FIT\x00\x00"), Some(Format::Fit));
        assert_eq!(Format::sniff(b"<?xml version=\"1.0\"?>\n<gpx version=\"1.1\">"), Some(Format::Gpx));
        assert_eq!(Format::sniff(b"\xef\xbb\xbf<TrainingCenterDatabase\n xmlns=''>"), Some(Format::Tcx));
        assert_eq!(Format::sniff(b"<g:gpx xmlns:g='http://www.topografix.com/GPX/1/1'>"), Some(Format::Gpx));
        for other in [&b""[..], b"PK\x03\x04", b"<html>", b"<gpxx>", b"gpx"] {
            assert_eq!(Format::sniff(other), None, "{other:?}");
        }
    }

    #[test]
    fn media_types_round_trip_and_ignore_parameters() {
        for format in Format::ALL {
            assert_eq!(Format::from_content_type(format.content_type()), Some(format));
            assert_eq!(Format::from_name(format.as_str()), Some(format));
        }
        assert_eq!(Format::from_content_type("Application/GPX+xml; charset=utf-8"), Some(Format::Gpx));
        assert_eq!(Format::from_content_type("application/xml"), None);
    }
}
