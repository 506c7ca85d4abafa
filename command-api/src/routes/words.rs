//! The words of enumerations, for the `OpenAPI` document: bodies take them as text, so that a wrong one is refused by its field.
use fittrack_domain::{measurement::MeasurementKind, sport::Sport};
use serde_json::Value;
use utoipa::openapi::{
    RefOr,
    schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type},
};

/// A sport.
pub fn sport() -> RefOr<Schema> {
    one_of("What was done.", Sport::ALL.map(Sport::as_str))
}

/// What can be measured.
pub fn measurement_kind() -> RefOr<Schema> {
    one_of("What was measured; its unit is in its name.", MeasurementKind::ALL.map(MeasurementKind::as_str))
}

const VISIBILITIES: [&str; 3] = ["private", "followers", "public"];

/// Who may see something.
pub fn visibility() -> RefOr<Schema> {
    one_of("Who may see it; the profile's default when nothing was ever said.", VISIBILITIES)
}

/// The same where nothing may be said.
pub fn visibility_or_null() -> RefOr<Schema> {
    one_of_or_null("Who may see it; the profile's default when absent.", VISIBILITIES)
}

/// Sex, for formulas; null is `unspecified`.
pub fn sex_or_null() -> RefOr<Schema> {
    one_of_or_null("For the formulas that ask for it; null is `unspecified`.", ["female", "male", "unspecified"])
}

/// How numbers are shown.
pub fn units() -> RefOr<Schema> {
    one_of("How numbers are shown.", ["metric", "imperial"])
}

/// What a set was for.
pub fn set_kind_or_null() -> RefOr<Schema> {
    one_of_or_null("What the set was for; `working` when absent.", ["warm_up", "working", "drop", "failure"])
}

/// What an API key allows.
pub fn scopes() -> RefOr<Schema> {
    let meaning = "What it allows: `read` every query, `write` every command. Nothing under `/v1/account` either way.";
    let scopes = ArrayBuilder::new().items(one_of("One of them.", ["read", "write"])).description(Some(meaning));
    Schema::from(scopes.min_items(Some(1)).max_items(Some(2)).build()).into()
}

/// How far a job is.
pub fn job_state() -> RefOr<Schema> {
    one_of("How far it is.", ["pending", "running", "succeeded", "failed"])
}

fn one_of<'a>(meaning: &str, words: impl IntoIterator<Item = &'a str>) -> RefOr<Schema> {
    let described = ObjectBuilder::new().schema_type(Type::String).description(Some(meaning));
    Schema::from(described.enum_values(Some(words)).build()).into()
}

fn one_of_or_null<'a>(meaning: &str, words: impl IntoIterator<Item = &'a str>) -> RefOr<Schema> {
    let words = words.into_iter().map(Value::from).chain([Value::Null]);
    let kind = SchemaType::from_iter([Type::String, Type::Null]);
    let described = ObjectBuilder::new().schema_type(kind).description(Some(meaning));
    Schema::from(described.enum_values(Some(words)).build()).into()
}
