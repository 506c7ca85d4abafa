//! Each limit that the document has of a field is the service's own: what is at it is taken, what is beyond it is refused, and
//! no number or text is without one. Generated requests seldom come as near.
use std::collections::BTreeMap;

use fittrack_journeys::{Athlete, Call, TestStack};
use serde_json::{Map, Value, json};

use crate::document;

/// None of them printed as a character, of which no text may have any.
const CONTROL: &str = "a\u{1b}b";

/// The values of one field that are to be taken, and those that are to be refused.
#[derive(Default)]
struct Judged {
    taken: Vec<Value>,
    refused: Vec<Value>,
}

/// What a document says of its numbers and texts, by field.
fn limits(document: &Value, schema: &str) -> BTreeMap<String, Judged> {
    let fields = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
    let judged = |(name, field): (&String, &Value)| {
        let kinds = field["type"].as_array().cloned().unwrap_or_else(|| vec![field["type"].clone()]);
        let is_number = kinds.contains(&json!("number")) || kinds.contains(&json!("integer"));
        let is_free_text = kinds.contains(&json!("string")) && field["enum"].is_null() && field["format"].is_null();
        let judged = match (is_number, is_free_text) {
            (true, _) => of_number(field).unwrap_or_else(|| panic!("{schema} has no limits for {name}")),
            (_, true) => of_text(field).unwrap_or_else(|| panic!("{schema} has no limits for {name}")),
            _ => return None,
        };
        Some((name.clone(), judged))
    };
    fields.iter().filter_map(judged).collect()
}

fn of_number(field: &Value) -> Option<Judged> {
    let (low, high) = (field["minimum"].as_f64()?, field["maximum"].as_f64()?);
    let refused = vec![json!(low - 1.0), json!(high + 1.0)];
    Some(Judged { taken: vec![json!(low), json!(high)], refused })
}

fn of_text(field: &Value) -> Option<Judged> {
    let (short, long) = (field["minLength"].as_u64()?, field["maxLength"].as_u64()?);
    field["pattern"].as_str()?;
    let text = |length: u64| json!("ü".repeat(usize::try_from(length).unwrap()));
    let refused = vec![text(short - 1), text(long + 1), json!("  "), json!(CONTROL)];
    Some(Judged { taken: vec![text(short), text(long), json!("two\nlines")], refused })
}

/// A long workout, so that no part is longer than the whole, with one field more.
fn long_run(field: &str, value: &Value) -> Value {
    let mut run = json!({"sport": "run", "started_at": "2026-10-31T07:00:00Z", "duration_s": 1_209_600});
    run[field] = value.clone();
    run
}

fn one_set(field: &str, value: &Value) -> Value {
    let mut set = json!({"exercise": "squat", "repetitions": 5});
    set[field] = value.clone();
    json!([set])
}

fn only(field: &str, value: &Value) -> Value {
    Map::from_iter([(field.to_owned(), value.clone())]).into()
}

async fn log(athlete: &Athlete, field: &str, value: &Value) -> u16 {
    athlete.send(&Call::post("/v1/workouts").json(&long_run(field, value))).await.unwrap().status
}

async fn log_set(athlete: &Athlete, field: &str, value: &Value) -> u16 {
    log(athlete, "sets", &one_set(field, value)).await
}

async fn edit(athlete: &Athlete, field: &str, value: &Value) -> u16 {
    let logged = athlete.log(&long_run("title", &json!("to be edited"))).await.unwrap();
    let path = format!("/v1/workouts/{}", logged.json()["id"].as_str().unwrap());
    let call = Call::patch(path).header("if-match", "*").merge_patch(&only(field, value));
    athlete.send(&call).await.unwrap().status
}

async fn hold(
    athlete: &Athlete,
    limits: BTreeMap<String, Judged>,
    at_least: usize,
    asked: impl AsyncFn(&Athlete, &str, &Value) -> u16,
) {
    assert!(limits.len() >= at_least, "{} fields with limits were found", limits.len());
    for (field, judged) in limits {
        for (values, status) in [(judged.taken, 202), (judged.refused, 422)] {
            for value in values {
                assert_eq!(asked(athlete, &field, &value).await, status, "{field} as {value}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_the_document_are_those_of_the_service() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Limits").await.unwrap();
    let document = document(&stack, "command-api").await;
    hold(&athlete, limits(&document, "LogWorkoutBody"), 10, log).await;
    hold(&athlete, limits(&document, "SetBody"), 5, log_set).await;
    hold(&athlete, limits(&document, "EditWorkoutBody"), 10, edit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_null_is_not_null_in_the_document() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Limits").await.unwrap();
    let document = document(&stack, "command-api").await;
    let fields = document["components"]["schemas"]["EditWorkoutBody"]["properties"].as_object().unwrap();
    for (name, field) in fields {
        let may_be_null = field["type"].as_array().is_some_and(|kinds| kinds.contains(&json!("null")));
        let expected = if may_be_null { 202 } else { 422 };
        assert_eq!(edit(&athlete, name, &Value::Null).await, expected, "{name}");
    }
}
