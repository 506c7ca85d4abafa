//! What may change within a version and what may not, each kind of change once; and that nothing passes which one side
//! could not read, shown on whatever the changed schemas allow.
use fittrack_schemas::event_schemas::EventSchema;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Value, json};

use super::{
    committed,
    compatibility::{Verdict, breaks, verdict},
    instances::any_of,
    shape::Shape,
};

/// A schema that has one of everything.
fn everything() -> Value {
    committed("workout_imported.v1.json").unwrap()
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut schema = everything();
    change(&mut schema);
    schema
}

fn set(pointer: &str, value: Value) -> Value {
    changed(|schema| *schema.pointer_mut(pointer).unwrap() = value)
}

/// The schema with another field in the workout's details.
fn with_field(required: bool, field: &Value) -> Value {
    changed(|schema| {
        let details = &mut schema["$defs"]["WorkoutDetails"];
        details["properties"]["weather"] = field.clone();
        if required {
            details["required"].as_array_mut().unwrap().push("weather".into());
        }
    })
}

fn without(pointer: &str, name: &str) -> Value {
    changed(|schema| {
        schema.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    })
}

#[track_caller]
fn assert_passes(schema: &Value) {
    assert_eq!(breaks(&everything(), schema), []);
}

/// One break, at this path, that says this.
#[track_caller]
fn assert_breaks(schema: &Value, path: &str, why: &str) {
    let found = breaks(&everything(), schema);
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(matches!(found.as_slice(), [only] if only.path == path && only.why.contains(why)), "{shown:#?}");
}

#[test]
fn an_optional_field_is_added_freely() {
    assert_passes(&with_field(false, &json!({ "type": "string" })));
    assert_passes(&with_field(false, &json!({ "type": ["integer", "null"], "format": "uint32", "minimum": 0 })));
}

#[test]
fn words_that_only_explain_may_change() {
    assert_passes(&set("/title", json!("Another")));
    assert_passes(&set("/$defs/WorkoutDetails/properties/sport/description", json!("Another")));
}

#[test]
fn another_spelling_of_the_same_is_no_change() {
    let plain = json!({ "type": "string", "enum": ["public", "followers", "private"] });
    assert_passes(&set("/$defs/Visibility", plain));
    assert_passes(&set("/properties/athlete_id", json!({ "type": "string", "format": "uuid" })));
    let gear = json!({ "anyOf": [{ "type": "string", "format": "uuid" }, { "type": "null" }] });
    assert_passes(&set("/$defs/WorkoutDetails/properties/gear_id", gear));
}

#[test]
fn a_required_field_is_a_new_version() {
    let why = "is new and required, and stored events lack it";
    assert_breaks(&with_field(true, &json!({ "type": "string" })), "/details/weather", why);
}

#[test]
fn a_field_that_becomes_required_or_optional_is_a_new_version() {
    let required =
        changed(|schema| schema["$defs"]["RecordingRef"]["required"].as_array_mut().unwrap().push("device".into()));
    assert_breaks(&required, "/recording/device", "is required now");
    let optional = changed(|schema| schema["required"].as_array_mut().unwrap().retain(|name| name != "recording"));
    assert_breaks(&optional, "/recording", "is optional now");
}

#[test]
fn a_field_that_is_removed_or_renamed_is_a_new_version() {
    assert_breaks(&without("/$defs/WorkoutDetails/properties", "notes"), "/details/notes", "is gone");
    let renamed = changed(|schema| {
        let properties = schema["$defs"]["RecordingRef"]["properties"].as_object_mut().unwrap();
        let device = properties.remove("device").unwrap();
        properties.insert("recorded_by".to_owned(), device);
    });
    assert_breaks(&renamed, "/recording/device", "is gone");
}

#[test]
fn a_field_of_another_type_is_a_new_version() {
    let samples = "/$defs/RecordingRef/properties/samples";
    assert_breaks(
        &set(samples, json!({ "type": "string" })),
        "/recording/samples",
        "was of type integer, is of type string",
    );
    let listed = json!({ "type": "array", "items": { "type": "string" } });
    assert_breaks(&set("/$defs/RecordingRef/properties/format", listed), "/recording/format", "is a list");
    assert_breaks(
        &set("/properties/details", json!({ "type": "string" })),
        "/details",
        "was an object, is of type string",
    );
}

#[test]
fn null_where_there_was_none_or_none_where_there_was_is_a_new_version() {
    assert_breaks(
        &set("/properties/recording", json!({ "anyOf": [{ "$ref": "#/$defs/RecordingRef" }, { "type": "null" }] })),
        "/recording",
        "may be null now",
    );
    let never_null = json!({ "type": "string", "format": "uuid" });
    assert_breaks(
        &set("/$defs/WorkoutDetails/properties/gear_id", never_null),
        "/details/gear_id",
        "may no longer be null",
    );
}

#[test]
fn a_value_more_or_less_is_a_new_version() {
    let kinds = |kinds: Value| set("/$defs/SetKind/enum", kinds);
    let path = "/details/sets/*/kind";
    assert_breaks(&kinds(json!(["warm_up", "working", "drop"])), path, "may no longer be \"failure\"");
    assert_breaks(&kinds(json!(["warm_up", "working", "drop", "failure", "cluster"])), path, "may be \"cluster\" now");
}

#[test]
fn another_limit_or_format_is_a_new_version() {
    let heart_rate = |limit: Value| set("/$defs/StrengthSet/properties/repetitions/minimum", limit);
    assert_breaks(&heart_rate(json!(1)), "/details/sets/*/repetitions", "its minimum was 0, is 1");
    let limited = json!({ "type": "string", "maxLength": 200 });
    assert_breaks(&set("/$defs/TextUpTo200", limited), "/details/title", "its maxLength was none, is 200");
    let day = set("/$defs/WorkoutDetails/properties/local_date/format", json!("date-time"));
    assert_breaks(&day, "/details/local_date", "its format was \"date\", is \"date-time\"");
}

#[test]
fn another_default_is_a_new_version() {
    let drop = set("/$defs/StrengthSet/properties/kind/default", json!("drop"));
    assert_breaks(&drop, "/details/sets/*/kind", "has another default");
}

#[test]
fn what_is_not_understood_is_refused() {
    let refused = |schema: Value, what: &str| {
        let path = "/recording/device";
        assert_breaks(&set("/$defs/RecordingRef/properties/device", schema), path, what);
    };
    refused(json!(true), "true");
    refused(json!({}), "{}");
    refused(json!({ "type": "string", "contentEncoding": "base64" }), "contentEncoding");
    refused(json!({ "type": "object", "additionalProperties": { "type": "string" } }), "closed properties");
    refused(json!({ "type": "object", "properties": {} }), "closed properties");
    refused(json!({ "type": ["string", "integer"] }), "integer");
    refused(json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }), "integer");
    refused(json!({ "oneOf": [{ "type": "string" }, { "const": "x", "type": "string" }] }), "const");
    refused(json!({ "enum": [1, 2], "type": "string" }), "1");
    refused(json!({ "allOf": [{ "type": "string" }] }), "allOf");
    refused(json!({ "$ref": "#/$defs/Nowhere" }), "Nowhere");
    refused(json!({ "$ref": "#/$defs/RecordingRef" }), "RecordingRef");
    refused(json!({ "$ref": "https://example.org/schema.json" }), "example.org");
    refused(json!({ "$ref": "#/$defs/Sport", "minLength": 3 }), "minLength");
}

#[test]
fn a_refusal_names_the_event_the_place_and_what_to_do() {
    let generated = |schema| EventSchema { event_type: "workout_imported", event_version: "1", schema };
    let verdict = |schema| verdict(&generated(schema), Some(&everything()));
    assert_eq!(verdict(everything()), Verdict::Same);
    assert_eq!(verdict(set("/title", json!("Another"))), Verdict::Regenerate);
    let Verdict::Refused(text) = verdict(without("/$defs/WorkoutDetails/properties", "notes")) else {
        panic!("a field is gone");
    };
    for part in
        ["workout_imported version 1", "\n  /details/notes: is gone", "an upcaster from 1: domain/src/upcast.rs"]
    {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn every_committed_schema_is_understood() {
    for file in super::json_files("events") {
        assert_eq!(Shape::of(&committed(&file).unwrap()).err(), None, "{file}");
    }
}

/// What may stand where a field's schema stood.
fn replacements() -> impl Strategy<Value = Value> {
    select(vec![
        json!({ "type": "boolean" }),
        json!({ "type": "string" }),
        json!({ "type": "string", "format": "uuid" }),
        json!({ "type": "integer", "format": "uint32", "minimum": 0 }),
        json!({ "type": "integer", "format": "uint32", "minimum": 9 }),
        json!({ "type": ["number", "null"], "format": "double" }),
        json!({ "$ref": "#/$defs/Visibility" }),
        json!({ "anyOf": [{ "$ref": "#/$defs/Duration" }, { "type": "null" }] }),
        json!({ "type": "array", "items": { "$ref": "#/$defs/Sport" } }),
        json!({ "type": "string", "enum": ["private", "public"] }),
    ])
}

/// One edit of an object's schema; where it is, is chosen by the indices.
#[derive(Debug, Clone)]
enum Edit {
    Add(Value),
    AddRequired(Value),
    Replace(Index, Value),
    Remove(Index),
    Require(Index),
    Release(Index),
    MayBeNull(Index),
    Limit(Index),
    Explain(Index),
}

fn edits() -> impl Strategy<Value = (usize, Edit)> {
    let edit = prop_oneof![
        3 => replacements().prop_map(Edit::Add),
        1 => replacements().prop_map(Edit::AddRequired),
        2 => (any::<Index>(), replacements()).prop_map(|(which, with)| Edit::Replace(which, with)),
        1 => any::<Index>().prop_map(Edit::Remove),
        1 => any::<Index>().prop_map(Edit::Require),
        1 => any::<Index>().prop_map(Edit::Release),
        1 => any::<Index>().prop_map(Edit::MayBeNull),
        1 => any::<Index>().prop_map(Edit::Limit),
        2 => any::<Index>().prop_map(Edit::Explain),
    ];
    (0..OBJECTS.len(), edit)
}

const OBJECTS: [&str; 4] = ["", "/$defs/WorkoutDetails", "/$defs/RecordingRef", "/$defs/StrengthSet"];

fn apply(schema: &mut Value, (place, edit): (usize, Edit)) {
    let object = schema.pointer_mut(OBJECTS[place]).unwrap();
    let names: Vec<String> = object["properties"].as_object().unwrap().keys().cloned().collect();
    let (added, name) = (format!("added_{}", names.len()), |which: Index| which.get(&names).clone());
    match edit {
        Edit::Add(field) => object["properties"][added] = field,
        Edit::AddRequired(field) => {
            object["properties"][&added] = field;
            object["required"].as_array_mut().unwrap().push(added.into());
        }
        Edit::Replace(which, with) => object["properties"][name(which)] = with,
        Edit::Remove(which) => {
            object["properties"].as_object_mut().unwrap().remove(&name(which));
            object["required"].as_array_mut().unwrap().retain(|required| *required != name(which));
        }
        Edit::Require(which) => {
            let required = object["required"].as_array_mut().unwrap();
            required.retain(|required| *required != name(which));
            required.push(name(which).into());
        }
        Edit::Release(which) => object["required"].as_array_mut().unwrap().retain(|required| *required != name(which)),
        Edit::MayBeNull(which) => {
            let field = &mut object["properties"][name(which)];
            *field = json!({ "anyOf": [field.take(), { "type": "null" }] });
        }
        Edit::Limit(which) => limit(&mut object["properties"][name(which)]),
        Edit::Explain(which) => object["properties"][name(which)]["description"] = "Otherwise.".into(),
    }
}

/// Allows only large numbers and short texts.
fn limit(field: &mut Value) {
    match field["type"].as_str() {
        Some("integer" | "number") => field["minimum"] = json!(1_000_000),
        Some("string") => field["maxLength"] = json!(1),
        _ => {}
    }
}

/// As a consumer reads it who ignores fields it does not know.
fn opened(mut schema: Value) -> Value {
    fn open(schema: &mut Value) {
        match schema {
            Value::Object(keywords) => {
                keywords.remove("additionalProperties");
                keywords.values_mut().for_each(open);
            }
            Value::Array(list) => list.iter_mut().for_each(open),
            _ => {}
        }
    }
    open(&mut schema);
    schema
}

/// Payloads that are stored and that the new program writes; none where the comparison has refused it anyway.
fn payloads(old: &Value, new: &Value) -> (BoxedStrategy<Vec<Value>>, BoxedStrategy<Vec<Value>>) {
    let some = if breaks(old, new).is_empty() { 8 } else { 0 };
    let allowed = |schema: &Value| vec(any_of(&Shape::of(schema).unwrap()), some).boxed();
    if some > 0 { (allowed(old), allowed(new)) } else { (Just(vec![]).boxed(), Just(vec![]).boxed()) }
}

#[track_caller]
fn assert_reads(schema: &Value, payloads: Vec<Value>) {
    let reader = jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap();
    for payload in payloads {
        assert!(reader.is_valid(&payload), "{payload}");
    }
}

proptest! {
    #[test]
    fn what_passes_is_read_by_the_new_program_and_by_running_consumers(
        (new, (stored, written)) in vec(edits(), 1..4).prop_flat_map(|edits| {
            let new = changed(|schema| edits.into_iter().for_each(|edit| apply(schema, edit)));
            let payloads = payloads(&everything(), &new);
            (Just(new), payloads)
        }),
    ) {
        assert_reads(&new, stored);
        assert_reads(&opened(everything()), written);
    }
}
