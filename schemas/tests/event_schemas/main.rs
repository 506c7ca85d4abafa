//! The committed schemas are the ones the code has now, and they say yes to every stored event and no to what is none.
//! `FITTRACK_BLESS=1 cargo test -p fittrack-schemas` writes them anew; the difference belongs into the same commit. What
//! stored events or running consumers could not read is not written: it is another version.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]
mod compatibility;
mod compatibility_tests;
#[path = "../../../domain/tests/support/corpus.rs"]
mod corpus;
mod instances;
mod older_versions;
mod shape;

use std::{collections::BTreeSet, fs, path::PathBuf};

use compatibility::{Verdict, verdict};
use fittrack_domain::{
    athlete::AthleteEvent, event_type::EventType, measurement::MeasurementEvent, privacy::PrivacyZonesEvent,
    workout::WorkoutEvent,
};
use fittrack_schemas::event_schemas::{EventSchema, event_schemas};
use schemars::JsonSchema;
use serde_json::{Value, json};

fn here(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn json_files(folder: &str) -> BTreeSet<String> {
    fs::read_dir(here(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn schema_of(event_type: &str) -> Value {
    event_schemas().into_iter().find(|schema| schema.event_type == event_type).unwrap().schema
}

/// The stored samples of the domain's tests: file name, schema file name and payload.
fn samples() -> Vec<(String, String, Value)> {
    corpus::corpus()
        .into_iter()
        .map(|sample| {
            let schema_file = format!("{}.v{}.json", sample.event_type, sample.event_version);
            (sample.file, schema_file, serde_json::from_str(&sample.payload).unwrap())
        })
        .collect()
}

/// The committed schema of a version of an event.
fn committed(file_name: &str) -> Option<Value> {
    let text = fs::read_to_string(here("events").join(file_name)).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn sample(name: &str) -> Value {
    samples().into_iter().find(|(file, ..)| file == name).unwrap().2
}

/// What has to be done about a schema; `None` where it is the committed one, or has been written.
fn to_do(schema: &EventSchema) -> Option<String> {
    let file = schema.file_name();
    match verdict(schema, committed(&file).as_ref()) {
        Verdict::Same => None,
        Verdict::Regenerate if std::env::var_os("FITTRACK_BLESS").is_some() => {
            let text = serde_json::to_string_pretty(&schema.schema).unwrap() + "\n";
            fs::write(here("events").join(file), text).unwrap();
            None
        }
        Verdict::Regenerate => {
            Some(format!("{file} is not what the code has: FITTRACK_BLESS=1 cargo test -p fittrack-schemas"))
        }
        Verdict::Refused(why) => Some(why),
    }
}

#[test]
fn the_committed_schemas_are_those_of_the_code() {
    let to_do: Vec<String> = event_schemas().iter().filter_map(to_do).collect();
    assert!(to_do.is_empty(), "{}", to_do.join("\n\n"));
}

#[test]
fn the_schema_of_every_version_there_ever_was_is_committed() {
    let ever: BTreeSet<String> = EventType::ALL
        .into_iter()
        .flat_map(|known| known.versions().map(move |version| format!("{}.v{version}.json", known.as_str())))
        .collect();
    assert_eq!(json_files("events"), ever, "a schema stays for as long as its events, which is for good");
}

#[test]
fn every_event_of_every_aggregate_has_a_schema() {
    let happens: BTreeSet<String> = types_of::<AthleteEvent>()
        .chain(types_of::<WorkoutEvent>())
        .chain(types_of::<MeasurementEvent>())
        .chain(types_of::<PrivacyZonesEvent>())
        .collect();
    let described: BTreeSet<String> = event_schemas().iter().map(|schema| schema.event_type.to_owned()).collect();
    assert_eq!(described, happens);
}

/// The names of an aggregate's events, as its enum writes them into `type`.
fn types_of<E: JsonSchema>() -> impl Iterator<Item = String> {
    let schema = schemars::schema_for!(E).to_value();
    let variants = schema["oneOf"].as_array().unwrap().clone();
    variants.into_iter().map(|variant| variant["properties"]["type"]["const"].as_str().unwrap().to_owned())
}

#[test]
fn every_schema_is_json_schema_2020_12_and_closed() {
    for file in json_files("events") {
        let schema = committed(&file).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], format!("https://fittrack.dev/schemas/events/{file}"));
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{file}");
        assert_closed(&schema, &file);
    }
}

fn assert_closed(schema: &Value, event_type: &str) {
    match schema {
        Value::Object(fields) => {
            if fields.get("properties").is_some_and(Value::is_object) && fields.contains_key("type") {
                assert_eq!(fields.get("additionalProperties"), Some(&json!(false)), "{event_type}: {schema}");
            }
            fields.values().for_each(|value| assert_closed(value, event_type));
        }
        Value::Array(items) => items.iter().for_each(|value| assert_closed(value, event_type)),
        _ => {}
    }
}

#[test]
fn every_stored_event_is_valid_under_the_schema_of_its_version() {
    for (file, schema_file, payload) in samples() {
        let schema = committed(&schema_file).unwrap_or_else(|| panic!("{file} has no schema"));
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let errors: Vec<String> = validator.iter_errors(&payload).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
    }
    let described: BTreeSet<String> = samples().into_iter().map(|(_, schema_file, _)| schema_file).collect();
    assert_eq!(described, json_files("events"), "every schema has a sample");
}

#[test]
fn what_is_no_such_event_is_refused() {
    let schema = schema_of("workout_imported");
    let good = sample("workout_imported.v1.json");
    assert!(jsonschema::draft202012::is_valid(&schema, &good));
    let refused = |pointer: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(!jsonschema::draft202012::is_valid(&schema, &bad), "{pointer}");
    };
    refused("/type", json!("workout_logged"));
    refused("/workout_id", json!(7));
    refused("/details/sport", json!("teleport"));
    refused("/details/duration_s", json!("4321.5"));
    refused("/details/average_heart_rate_bpm", json!(-1));
    refused("/details/visibility", json!("everybody"));
    refused("/details/sets/0/repetitions", json!(5.5));
    refused("/recording", json!(null));
    assert!(!jsonschema::draft202012::is_valid(&schema, &json!({})));
    assert!(!jsonschema::draft202012::is_valid(&schema, &sample("workout_logged.v1.json")));
}

#[test]
fn a_field_too_many_or_one_too_few_is_refused_at_every_depth() {
    let schema = schema_of("workout_imported");
    for pointer in ["", "/details", "/details/sets/0", "/recording"] {
        let mut bad = sample("workout_imported.v1.json");
        bad.pointer_mut(pointer).unwrap()["made_up"] = json!(1);
        assert!(!jsonschema::draft202012::is_valid(&schema, &bad), "made_up in {pointer:?}");
    }
    for (pointer, field) in [("", "athlete_id"), ("", "type"), ("/details", "local_date"), ("/recording", "format")] {
        let mut bad = sample("workout_imported.v1.json");
        bad.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field).unwrap();
        assert!(!jsonschema::draft202012::is_valid(&schema, &bad), "no {field} in {pointer:?}");
    }
}
