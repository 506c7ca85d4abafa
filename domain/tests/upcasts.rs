//! Each step from a version of an event to the next, and that both roads, aggregates' and everybody else's, walk it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]
#[path = "support/corpus.rs"]
mod stored;
mod support;

use cqrs_es::persist::SerializedEvent;
use fittrack_domain::{
    event::{DecodeError, Event},
    event_type::EventType,
    sport::Sport,
    upcast,
    values::{Distance, Visibility},
    workout::{WorkoutDeleted, WorkoutEvent, WorkoutFacts},
};
use proptest::{option, prelude::*, sample::select};
use serde_json::{Value, json};
use support::{at, seconds, workouts::run_details};

/// The payload as an aggregate gets it.
fn newest(event_type: &str, event_version: &str, payload: Value) -> Value {
    let (event_type, event_version) = (event_type.to_owned(), event_version.to_owned());
    let row = SerializedEvent::new("1".into(), 1, "workout".into(), event_type, event_version, payload, json!({}));
    upcast::to_newest(row).unwrap().payload
}

fn sample(file: &str) -> String {
    stored::corpus().into_iter().find(|sample| sample.file == file).unwrap().payload
}

#[test]
fn a_deletion_of_version_1_is_one_of_version_2_by_the_owner() {
    for variant in ["", ".bare"] {
        let (old, new) = (
            sample(&format!("workout_deleted.v1{variant}.json")),
            sample(&format!("workout_deleted.v2{variant}.json")),
        );
        assert_ne!(old, new);
        assert_eq!(
            Event::decode("workout_deleted", "1", old.as_bytes()).unwrap(),
            Event::decode("workout_deleted", "2", new.as_bytes()).unwrap()
        );
        let [old, new] = [old, new].map(|text| serde_json::from_str::<Value>(&text).unwrap());
        assert_eq!(newest("workout_deleted", "1", old), new);
        assert_eq!(newest("workout_deleted", "2", new.clone()), new);
    }
}

#[test]
fn a_deletion_by_somebody_else_stays_theirs() {
    let mut coached: Value = serde_json::from_str(&sample("workout_deleted.v2.json")).unwrap();
    coached["deleted_by"] = json!("00000000-0000-0000-0000-000000000002");
    assert_eq!(newest("workout_deleted", "2", coached.clone()), coached);
    let Event::WorkoutDeleted(read) = Event::decode("workout_deleted", "2", coached.to_string().as_bytes()).unwrap()
    else {
        panic!("a deletion");
    };
    assert_ne!(read.deleted_by, read.athlete_id);
}

#[test]
fn a_deletion_without_its_owner_is_refused_in_the_version_it_has() {
    let mut damaged: Value = serde_json::from_str(&sample("workout_deleted.v1.json")).unwrap();
    damaged.as_object_mut().unwrap().remove("athlete_id");
    for payload in [damaged.to_string(), "null".to_owned(), "[]".to_owned(), "{".to_owned(), String::new()] {
        let refused = Event::decode("workout_deleted", "1", payload.as_bytes()).unwrap_err();
        assert_eq!(refused.to_string(), "payload of workout_deleted version 1 does not parse", "{payload}");
    }
}

/// Projectors ask so, before they read anything, whether they know an event.
#[test]
fn a_version_that_ever_was_is_known_by_its_name_alone() {
    for event_type in EventType::ALL {
        for version in event_type.versions() {
            let read = Event::decode(event_type.as_str(), version, b"");
            assert!(!matches!(read, Err(DecodeError::Unknown { .. })), "{event_type:?} {version}");
        }
    }
}

/// A field that stands twice tells the roads apart: a type refuses it, a JSON object keeps the last.
#[test]
fn the_newest_version_is_read_straight_from_its_bytes() {
    let twice = |version: u32| {
        let text = sample(&format!("workout_deleted.v{version}.json"));
        text.replacen("\"before\"", "\"athlete_id\": \"00000000-0000-0000-0000-000000000001\", \"before\"", 1)
    };
    assert!(Event::decode("workout_deleted", "1", twice(1).as_bytes()).is_ok());
    assert!(Event::decode("workout_deleted", "2", twice(2).as_bytes()).is_err());
}

prop_compose! {
    fn facts()(
        sport in select(Sport::ALL.to_vec()),
        duration_s in 0.001..=1_209_600.0,
        moving_s in option::of(0.001..=1_209_600.0),
        distance_m in option::of(0.0..=Distance::MAX_M),
        visibility in select(vec![Visibility::Private, Visibility::Followers, Visibility::Public]),
    ) -> WorkoutFacts {
        WorkoutFacts {
            sport,
            started_at: at("2026-10-24T22:30:00.250Z"),
            duration_s: seconds(duration_s),
            moving_s: moving_s.map(seconds),
            distance_m: distance_m.map(|metres| Distance::from_metres(metres).unwrap()),
            visibility,
            ..run_details().facts()
        }
    }
}

proptest! {
    #[test]
    fn any_deletion_by_the_owner_is_the_same_in_either_version(
        (athlete, workout, before) in (any::<u128>(), any::<u128>(), facts()),
    ) {
        let athlete_id = fittrack_domain::ids::AthleteId(uuid::Uuid::from_u128(athlete));
        let workout_id = fittrack_domain::ids::WorkoutId(uuid::Uuid::from_u128(workout));
        let deleted = WorkoutDeleted { workout_id, athlete_id, deleted_by: athlete_id, before };
        let written = serde_json::to_value(WorkoutEvent::WorkoutDeleted(deleted.clone())).unwrap();
        let mut version_1 = written.clone();
        version_1.as_object_mut().unwrap().remove("deleted_by");
        prop_assert_eq!(
            Event::decode("workout_deleted", "1", version_1.to_string().as_bytes()).unwrap(),
            Event::WorkoutDeleted(Box::new(deleted))
        );
        prop_assert_eq!(newest("workout_deleted", "1", version_1), written);
    }
}
