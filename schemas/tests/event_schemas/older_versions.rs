//! Whatever an older version's schema allows, its upcasters make into what the newest version's schema allows.
use cqrs_es::persist::SerializedEvent;
use fittrack_domain::{event_type::EventType, upcast};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use super::{committed, instances::any_of, shape::Shape};

fn schema(event_type: EventType, version: &str) -> Value {
    committed(&format!("{}.v{version}.json", event_type.as_str())).unwrap()
}

fn newest(event_type: EventType, version: &str, payload: Value) -> SerializedEvent {
    let (name, version) = (event_type.as_str().to_owned(), version.to_owned());
    let stored = SerializedEvent::new("1".into(), 1, "any".into(), name, version, payload, json!({}));
    upcast::to_newest(stored).unwrap()
}

#[test]
fn what_any_version_allows_becomes_what_the_newest_allows() {
    for event_type in EventType::ALL {
        let expected = schema(event_type, event_type.newest_version());
        let validator = jsonschema::draft202012::new(&expected).unwrap();
        for version in event_type.versions() {
            let payloads = any_of(&Shape::of(&schema(event_type, version)).unwrap());
            let becomes_newest = |payload: Value| {
                let read = newest(event_type, version, payload.clone());
                prop_assert_eq!(&read.event_version, event_type.newest_version());
                let errors: Vec<String> = validator.iter_errors(&read.payload).map(|error| error.to_string()).collect();
                prop_assert!(errors.is_empty(), "{} became {}: {:?}", payload, read.payload, errors);
                Ok(())
            };
            let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(64) });
            runner.run(&payloads, becomes_newest).unwrap_or_else(|error| panic!("{event_type:?} {version}: {error}"));
        }
    }
}
