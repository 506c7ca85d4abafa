//! Upcasters: how the payload of an older version of an event becomes what the newest version's writer would have stored.
//! Every read goes through the one chain of its type: aggregates by [`to_newest`], everybody else by `Event::decode`.
//!
//! # Change an event
//!
//! An optional field is added in place. Whatever old events or running consumers could not read (a field that is required,
//! renamed or removed, another type, a value more or less) is a new version; `schemas/tests/` tells which it is.
//!
//! 1. Change the struct in `<aggregate>/events.rs` and write the step, a pure function over the payload, in
//!    `<aggregate>/upcasts.rs`; [`EventType::upcasters`] lists it. The newest version is where the steps lead, so writers
//!    write it from then on.
//! 2. `FITTRACK_BLESS=1 cargo test --no-fail-fast -p fittrack-domain -p fittrack-schemas` adds a sample and a schema of the
//!    new version beside the old ones, which stay for good; the same without it passes. Prove the step in
//!    `domain/tests/upcasts.rs`.
//! 3. Deploy projectors before the command API: one that meets a version it does not know stops and says so.
//!
//! ```
//! use fittrack_domain::event::Event;
//! let stored_long_ago = include_bytes!("../tests/stored/workout_deleted.v1.json");
//! let Event::WorkoutDeleted(deleted) = Event::decode("workout_deleted", "1", stored_long_ago)? else { unreachable!() };
//! assert_eq!(deleted.deleted_by, deleted.athlete_id); // version 1 did not say; only the owner could
//! # Ok::<(), fittrack_domain::event::DecodeError>(())
//! ```
use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use serde_json::{Map, Value, json};

use crate::{event::DecodeError, event_type::EventType};

/// One step of a chain: from one version of an event type to the next.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    /// The type it is for.
    pub event_type: &'static str,
    /// The version it reads.
    pub from: &'static str,
    /// The version it makes of it.
    pub to: &'static str,
    /// What it changes. It cannot fail: a payload that is not what its version says is left for the reader to refuse.
    pub change: fn(&mut Map<String, Value>),
}

impl Upcaster {
    /// The payload in the next version; anything but an object is left as it is.
    pub fn apply(&self, mut payload: Value) -> Value {
        if let Value::Object(fields) = &mut payload {
            (self.change)(fields);
        }
        payload
    }
}

/// Where a chain leads; version 1 where there is no step.
pub(crate) fn newest_version(chain: &[Upcaster]) -> &'static str {
    chain.last().map_or("1", |last| last.to)
}

/// The steps of a chain that a payload of this version has before it: none at its end, `None` where it has no such version.
pub(crate) fn steps_from<'c>(chain: &'c [Upcaster], event_version: &str) -> Option<&'c [Upcaster]> {
    if event_version == newest_version(chain) {
        return Some(&[]);
    }
    chain.get(chain.iter().position(|step| step.from == event_version)?..)
}

/// For those who read a stream through the framework alone.
impl EventUpcaster for Upcaster {
    fn can_upcast(&self, event_type: &str, event_version: &str) -> bool {
        event_type == self.event_type && event_version == self.from
    }

    fn upcast(&self, event: SerializedEvent) -> SerializedEvent {
        SerializedEvent { event_version: self.to.to_owned(), payload: self.apply(event.payload), ..event }
    }
}

/// Every step of every type, for `cqrs_es`'s `with_upcasters`.
pub fn all() -> Vec<Box<dyn EventUpcaster>> {
    let steps = EventType::ALL.into_iter().flat_map(EventType::upcasters);
    steps.map(|step| Box::new(*step) as Box<dyn EventUpcaster>).collect()
}

/// The type of a stored event, and the steps to its newest version.
pub(crate) fn way(event_type: &str, event_version: &str) -> Result<(EventType, &'static [Upcaster]), DecodeError> {
    EventType::parse(event_type).and_then(|known| Some((known, known.steps_from(event_version)?))).ok_or_else(|| {
        DecodeError::Unknown { event_type: event_type.to_owned(), event_version: event_version.to_owned() }
    })
}

/// A stored event of an aggregate as the newest version's writer would have stored it.
///
/// Refuses a type or version that this program does not know: reading a newer payload by an older type could lose what is new.
pub fn to_newest(event: SerializedEvent) -> Result<SerializedEvent, DecodeError> {
    let (event_type, steps) = way(&event.event_type, &event.event_version)?;
    if event_type == EventType::Redacted {
        return Ok(SerializedEvent { payload: json!({ "type": "redacted" }), ..event });
    }
    Ok(steps.iter().fold(event, |event, step| step.upcast(event)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain that no event has: a name becomes two, then the first of them gets a title.
    const CHAIN: [Upcaster; 2] = [
        Upcaster {
            event_type: "signed",
            from: "1",
            to: "2",
            change: |fields| {
                if let Some((first, last)) =
                    fields.remove("name").as_ref().and_then(Value::as_str).and_then(|name| name.split_once(' '))
                {
                    fields.insert("first".into(), first.into());
                    fields.insert("last".into(), last.into());
                }
            },
        },
        Upcaster {
            event_type: "signed",
            from: "2",
            to: "3",
            change: |fields| {
                if let Some(Value::String(first)) = fields.get_mut("first") {
                    first.insert_str(0, "Countess ");
                }
            },
        },
    ];

    fn stored(event_type: &str, event_version: &str, payload: Value) -> SerializedEvent {
        let (event_type, event_version) = (event_type.to_owned(), event_version.to_owned());
        SerializedEvent::new(
            "1".into(),
            7,
            "athlete".into(),
            event_type,
            event_version,
            payload,
            json!({ "actor": "2" }),
        )
    }

    /// The event at the end of the chain, if it has a way there.
    fn walked(event: SerializedEvent) -> Option<SerializedEvent> {
        let steps = steps_from(&CHAIN, &event.event_version)?;
        Some(steps.iter().fold(event, |event, step| step.upcast(event)))
    }

    #[test]
    fn an_event_enters_the_chain_at_its_version_and_keeps_all_but_version_and_payload() {
        let newest = stored("signed", "3", json!({ "first": "Countess Ada", "last": "Lovelace" }));
        assert_eq!(walked(stored("signed", "1", json!({ "name": "Ada Lovelace" }))), Some(newest.clone()));
        assert_eq!(walked(stored("signed", "2", json!({ "first": "Ada", "last": "Lovelace" }))), Some(newest.clone()));
        assert_eq!(walked(newest.clone()), Some(newest));
    }

    #[test]
    fn what_is_no_object_is_left_for_the_reader_to_refuse() {
        for payload in [json!(null), json!([1]), json!("x")] {
            assert_eq!(CHAIN[0].apply(payload.clone()), payload);
        }
        assert_eq!(walked(stored("signed", "1", json!({}))).unwrap().payload, json!({}));
    }

    #[test]
    fn there_is_no_way_from_a_version_that_never_was() {
        for unknown in ["", "0", "01", "1.0", "4"] {
            assert!(walked(stored("signed", unknown, json!({}))).is_none(), "{unknown:?}");
        }
    }

    #[test]
    fn the_framework_is_given_every_step() {
        let steps: usize = EventType::ALL.into_iter().map(|event_type| event_type.upcasters().len()).sum();
        assert_eq!(all().len(), steps);
    }

    #[test]
    fn an_aggregate_is_refused_a_type_or_version_that_is_unknown() {
        for (event_type, event_version) in
            [("workout_teleported", "1"), ("workout_logged", "99"), ("workout_logged", "")]
        {
            let refused = to_newest(stored(event_type, event_version, json!({}))).unwrap_err();
            assert!(matches!(refused, DecodeError::Unknown { .. }), "{event_type} {event_version}: {refused}");
        }
    }

    #[test]
    fn what_was_redacted_is_read_by_an_aggregate_whatever_is_left_of_it() {
        for (event_version, payload) in [("1", json!(null)), ("9", json!({})), ("1", json!({ "type": "redacted" }))] {
            let read = to_newest(stored("redacted", event_version, payload)).unwrap();
            assert_eq!(read.payload, json!({ "type": "redacted" }));
        }
    }
}
