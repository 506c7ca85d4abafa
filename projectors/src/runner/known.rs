//! Which event types this program knows. One it does not know stops a projection: passing over it could lose what a newer
//! version would have made of it, and parking it would blame an event that is well.
use fittrack_domain::event::{DecodeError, Event};
use fittrack_schemas::envelope::StoredEvent;

/// Types and versions that were looked up already; there are a handful.
#[derive(Debug, Default)]
pub(super) struct KnownTypes {
    known: Vec<(String, String)>,
}

impl KnownTypes {
    /// Whether this program has a Rust type for the event.
    pub fn contains(&mut self, event: &StoredEvent) -> bool {
        let (event_type, version) = (&event.event_type, &event.event_version);
        if self.known.iter().any(|(known, of)| known == event_type && of == version) {
            return true;
        }
        // Decoding nothing fails either way; how it fails tells whether the type is known.
        let known = !matches!(Event::decode(event_type, version, b""), Err(DecodeError::Unknown { .. }));
        if known {
            self.known.push((event_type.clone(), version.clone()));
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projections::given;

    #[test]
    fn a_type_or_version_without_a_rust_type_is_unknown() {
        let mut types = KnownTypes::default();
        let event = given::redacted(1);
        let later = StoredEvent { event_type: "workout_liked".into(), ..event.clone() };
        let newer = StoredEvent { event_type: "workout_logged".into(), event_version: "2".into(), ..event.clone() };
        let logged = StoredEvent { event_type: "workout_logged".into(), ..event.clone() };
        for _ in 0..2 {
            assert!(types.contains(&event) && types.contains(&logged));
            assert!(!types.contains(&later) && !types.contains(&newer));
        }
    }
}
