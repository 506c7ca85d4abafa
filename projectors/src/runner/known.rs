//! Which event types this program knows. One it does not know stops a projection: passing over it could lose what a newer
//! version would have made of it, and parking it would blame an event that is well.
use fittrack_domain::event::{DecodeError, Event};

/// Types and versions that were looked up already; there are a handful.
#[derive(Debug, Default)]
pub(crate) struct KnownTypes {
    known: Vec<(String, String)>,
}

impl KnownTypes {
    /// Whether this program has a Rust type for the event.
    pub fn contains(&mut self, event_type: &str, version: &str) -> bool {
        if self.known.iter().any(|(known, of)| known == event_type && of == version) {
            return true;
        }
        // Decoding nothing fails either way; how it fails tells whether the type is known.
        let known = !matches!(Event::decode(event_type, version, b""), Err(DecodeError::Unknown { .. }));
        if known {
            self.known.push((event_type.to_owned(), version.to_owned()));
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_or_version_without_a_rust_type_is_unknown() {
        let mut types = KnownTypes::default();
        for _ in 0..2 {
            assert!(types.contains("redacted", "1") && types.contains("workout_logged", "1"));
            assert!(!types.contains("workout_liked", "1") && !types.contains("workout_logged", "999"));
        }
    }
}
