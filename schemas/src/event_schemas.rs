//! JSON Schema (2020-12) of each event's payload, made from the very types that write and read it.
//! Committed as `schemas/events/<event_type>.v<version>.json` for whoever reads the topic in another language.
//!
//! The objects are closed: what a producer of ours writes is exactly what is described, and a test validates every
//! stored sample. A consumer should ignore fields it does not know, because a newer schema of the same version may add
//! optional ones. Nothing else about a version changes once it is committed: each of its schemas reads what the others
//! wrote, which `schemas/tests/` holds every change to. The files of older versions stay as they were.
use fittrack_domain::{
    athlete::{AccountErased, AthleteRegistered, ProfileUpdated},
    event_type::EventType,
    measurement::MeasurementRecorded,
    privacy::PrivacyZonesSet,
    workout::{WorkoutDeleted, WorkoutEdited, WorkoutImported, WorkoutLogged},
};
use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform},
};
use serde_json::{Value, json};

/// The schema of the newest version of one event's payload.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSchema {
    /// `workout_logged`, ...
    pub event_type: &'static str,
    /// The version of the payload's shape.
    pub event_version: &'static str,
    /// The JSON Schema itself.
    pub schema: Value,
}

impl EventSchema {
    /// The name of the committed file.
    pub fn file_name(&self) -> String {
        format!("{}.v{}.json", self.event_type, self.event_version)
    }
}

/// The schema of what is written now of every event, in the order of [`EventType::ALL`].
pub fn event_schemas() -> Vec<EventSchema> {
    EventType::ALL.into_iter().map(schema_of).collect()
}

fn schema_of(event_type: EventType) -> EventSchema {
    let schema = match event_type {
        EventType::AthleteRegistered => payload::<AthleteRegistered>(),
        EventType::ProfileUpdated => payload::<ProfileUpdated>(),
        EventType::WorkoutLogged => payload::<WorkoutLogged>(),
        EventType::WorkoutImported => payload::<WorkoutImported>(),
        EventType::WorkoutEdited => payload::<WorkoutEdited>(),
        EventType::WorkoutDeleted => payload::<WorkoutDeleted>(),
        EventType::MeasurementRecorded => payload::<MeasurementRecorded>(),
        EventType::PrivacyZonesSet => payload::<PrivacyZonesSet>(),
        EventType::AccountErased => payload::<AccountErased>(),
        EventType::Redacted => redacted(),
    };
    finish(event_type.as_str(), event_type.newest_version(), schema)
}

/// The schema of a payload that carries its own `type` beside the fields of `T`.
fn payload<T: JsonSchema>() -> Schema {
    // What is read, not what is written: a field with a default may be absent from older events.
    let generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    RecursiveTransform(close).transform(&mut schema);
    schema
}

/// The event that stands where an erased one stood: nothing but its type.
fn redacted() -> Schema {
    schemars::json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Redacted",
        "description": "What stood here was erased with its owner.",
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": false,
    })
}

/// Adds the schema's address and the `type` field that every payload carries.
fn finish(event_type: &'static str, event_version: &'static str, mut schema: Schema) -> EventSchema {
    let id = format!("https://fittrack.dev/schemas/events/{event_type}.v{event_version}.json");
    schema.insert("$id".to_owned(), json!(id));
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("type".to_owned(), json!({ "type": "string", "const": event_type }));
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.insert(0, json!("type"));
    }
    EventSchema { event_type, event_version, schema: schema.to_value() }
}

/// Allows no fields but those that are named.
fn close(schema: &mut Schema) {
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
}
