//! Each kind of change once: what is a break and what is none, on a small document that has one of everything.
use serde_json::{Value, json};

use super::{breaks::breaks, document::Document};

fn everything() -> Value {
    json!({
        "openapi": "3.1.0",
        "security": [{ "bearer": [] }],
        "paths": {
            "/open": { "get": { "operationId": "open", "security": [{}], "responses": { "204": {} } } },
            "/things/{id}": { "post": {
                "operationId": "change_thing",
                "parameters": [
                    { "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } },
                    { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 200 } },
                    { "name": "If-Match", "in": "header", "schema": { "type": ["string", "null"] } },
                ],
                "requestBody": { "required": false, "content": {
                    "application/json": { "schema": { "$ref": "#/components/schemas/Sent" } },
                    "text/csv": { "schema": { "type": "string" } },
                } },
                "responses": {
                    "200": {
                        "headers": { "ETag": { "schema": { "type": "string" } } },
                        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Answered" } } },
                    },
                    "404": { "content": { "application/problem+json": { "schema": { "type": "object" } } } },
                },
            } },
        },
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "schemas": {
                "Sent": {
                    "type": "object", "required": ["sport"], "additionalProperties": false,
                    "properties": {
                        "sport": { "type": "string", "enum": ["run", "ride"] },
                        "title": { "type": ["string", "null"], "maxLength": 200 },
                        "laps": { "type": "array", "maxItems": 9, "items": { "type": "object", "properties": {
                            "distance_m": { "type": "number", "format": "double" } } } },
                    },
                },
                "Answered": {
                    "allOf": [{ "$ref": "#/components/schemas/Base" }, { "type": "object", "properties": {
                        "sport": { "type": "string", "enum": ["run", "ride"] },
                        "recording": { "oneOf": [{ "$ref": "#/components/schemas/Base" }, { "type": "null" }] } } }],
                },
                "Base": { "type": "object", "required": ["id"], "properties": {
                    "id": { "type": "string", "format": "uuid" },
                    "count": { "type": "integer", "maximum": 9 } } },
            },
        },
    })
}

const OPERATION: &str = "/paths/~1things~1{id}/post";
const SENT: &str = "/components/schemas/Sent";
const BASE: &str = "/components/schemas/Base";

fn found(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut changed = everything();
    change(&mut changed);
    let found = breaks(&Document::new(everything()), &Document::new(changed));
    found.iter().map(ToString::to_string).collect()
}

fn at<'v>(document: &'v mut Value, place: &str, rest: &str) -> &'v mut Value {
    document.pointer_mut(&format!("{place}{rest}")).unwrap_or_else(|| panic!("{place}{rest}"))
}

fn set(place: &'static str, rest: &'static str, value: Value) -> Vec<String> {
    found(|document| *at(document, place, rest) = value)
}

fn put(place: &'static str, rest: &'static str, name: &'static str, value: Value) -> Vec<String> {
    found(|document| at(document, place, rest)[name] = value)
}

fn without(place: &'static str, rest: &'static str, name: &'static str) -> Vec<String> {
    found(|document| {
        at(document, place, rest).as_object_mut().unwrap().remove(name).unwrap();
    })
}

#[track_caller]
fn assert_break(found: &[String], expected: &str) {
    assert_eq!(found, [expected.to_owned()]);
}

#[track_caller]
fn assert_none(found: &[String]) {
    assert_eq!(found, [] as [String; 0]);
}

const PLACE: &str = "POST /things/{id}";

#[test]
fn what_is_only_added_breaks_nobody() {
    assert_none(&found(|_| {}));
    assert_none(&put("", "/paths", "/other", json!({ "get": { "operationId": "other", "responses": {} } })));
    assert_none(&put(SENT, "/properties", "notes", json!({ "type": "string" })));
    assert_none(&put(BASE, "/properties", "notes", json!({ "type": "string" })));
    assert_none(&found(|document| at(document, BASE, "/required").as_array_mut().unwrap().push(json!("count"))));
    assert_none(&set(SENT, "/properties/sport/enum", json!(["run", "ride", "swim"])));
    assert_none(&set("/components/schemas/Answered", "/allOf/1/properties/sport/enum", json!(["run", "ride", "swim"])));
    let parameter = json!({ "name": "text", "in": "query", "schema": { "type": "string" } });
    assert_none(&found(|document| at(document, OPERATION, "/parameters").as_array_mut().unwrap().push(parameter)));
    assert_none(&put(OPERATION, "/responses", "409", json!({})));
    assert_none(&put(OPERATION, "", "summary", json!("Another")));
}

#[test]
fn less_asked_of_clients_and_more_promised_breaks_nobody() {
    assert_none(&set(SENT, "/properties/title/maxLength", json!(400)));
    assert_none(&without(SENT, "/properties/title", "maxLength"));
    assert_none(&without(SENT, "", "required"));
    assert_none(&without(SENT, "", "additionalProperties"));
    assert_none(&set(SENT, "/properties/sport", json!({ "type": "string" })));
    assert_none(&set(BASE, "/properties/count/maximum", json!(5)));
    assert_none(&set(OPERATION, "/parameters/1/schema/minimum", json!(0)));
    assert_none(&put(OPERATION, "", "security", json!([{}, { "bearer": [] }])));
    assert_none(&found(|document| {
        let recording = "/components/schemas/Answered/allOf/1/properties/recording";
        *at(document, recording, "") = json!({ "$ref": "#/components/schemas/Base" });
    }));
}

#[test]
fn an_operation_that_is_gone_or_has_another_id_is_a_break() {
    assert_break(&without("", "/paths", "/open"), "GET /open: is gone");
    let renamed = set(OPERATION, "/operationId", json!("edit_thing"));
    assert!(renamed[0].starts_with("POST /things/{id}: its operationId was \"change_thing\""), "{renamed:?}");
}

#[test]
fn a_parameter_gone_required_or_narrowed_is_a_break() {
    let gone = found(|document| {
        at(document, OPERATION, "/parameters").as_array_mut().unwrap().remove(1);
    });
    assert_break(&gone, &format!("{PLACE}, query parameter limit: is gone"));
    let required = put(OPERATION, "/parameters/1", "required", json!(true));
    assert_break(&required, &format!("{PLACE}, query parameter limit: is required now"));
    let added = json!({ "name": "who", "in": "query", "required": true, "schema": { "type": "string" } });
    let added = found(|document| at(document, OPERATION, "/parameters").as_array_mut().unwrap().push(added));
    assert_break(&added, &format!("{PLACE}, query parameter who: is new and required"));
    let tightened = set(OPERATION, "/parameters/1/schema/maximum", json!(100));
    assert_break(&tightened, &format!("{PLACE}, query parameter limit: its maximum was 200, is 100"));
    let never_null = set(OPERATION, "/parameters/2/schema/type", json!("string"));
    assert_break(&never_null, &format!("{PLACE}, header parameter if-match: may no longer be null"));
    assert_none(&set(OPERATION, "/parameters/2/name", json!("IF-MATCH")));
    assert_break(
        &put(OPERATION, "/parameters/1", "style", json!("pipeDelimited")),
        &format!("{PLACE}, query parameter limit: its style was null, is \"pipeDelimited\""),
    );
}

#[test]
fn a_body_that_asks_for_more_is_a_break() {
    let place = format!("{PLACE}, body");
    let required = found(|document| at(document, SENT, "/required").as_array_mut().unwrap().push(json!("title")));
    assert_break(&required, &format!("{place} /title: is required now"));
    let added = found(|document| {
        at(document, SENT, "/required").as_array_mut().unwrap().push(json!("mood"));
        at(document, SENT, "/properties")["mood"] = json!({ "type": "string" });
    });
    assert_break(&added, &format!("{place} /mood: is new and required"));
    assert_break(&without(SENT, "/properties", "title"), &format!("{place} /title: is gone"));
    let fewer = set(SENT, "/properties/sport/enum", json!(["run"]));
    assert_break(&fewer, &format!("{place} /sport: can no longer be \"ride\""));
    let shorter = set(SENT, "/properties/title/maxLength", json!(100));
    assert_break(&shorter, &format!("{place} /title: its maxLength was 200, is 100"));
    let limited = put(SENT, "/properties/laps", "minItems", json!(1));
    assert_break(&limited, &format!("{place} /laps: its minItems was none, is 1"));
    let narrowed = set(SENT, "/properties/laps/items/properties/distance_m", json!({ "type": "integer" }));
    assert_break(&narrowed, &format!("{place} /laps/*/distance_m: was of type number, is of type integer"));
    let never_null = set(SENT, "/properties/title/type", json!("string"));
    assert_break(&never_null, &format!("{place} /title: may no longer be null"));
    let closed = put(SENT, "/properties/laps/items", "additionalProperties", json!(false));
    assert_break(&closed, &format!("{place} /laps/*: takes no other fields now"));
    assert_break(&set(OPERATION, "/requestBody/required", json!(true)), &format!("{place}: is required now"));
    assert_break(&without(OPERATION, "/requestBody/content", "text/csv"), &format!("{place}, text/csv: is gone"));
    assert_break(&without(OPERATION, "", "requestBody"), &format!("{place}: is gone"));
    let body = put("", "/paths/~1open/get", "requestBody", json!({ "required": true, "content": {} }));
    assert_break(&body, "GET /open, body: is new and required");
}

#[test]
fn an_answer_that_says_less_is_a_break() {
    let place = format!("{PLACE}, answer 200");
    assert_break(
        &without("/components/schemas/Answered/allOf/1", "/properties", "sport"),
        &format!("{place} /sport: is gone"),
    );
    let optional = found(|document| {
        at(document, BASE, "").as_object_mut().unwrap().remove("required");
    });
    assert_eq!(optional.len(), 2, "where it is the whole, and where it is a part: {optional:?}");
    assert_eq!(optional[0], format!("{place} /id: may be missing now"));
    let fewer = set("/components/schemas/Answered", "/allOf/1/properties/sport/enum", json!(["run"]));
    assert_break(&fewer, &format!("{place} /sport: can no longer be \"ride\""));
    let freer = set("/components/schemas/Answered", "/allOf/1/properties/sport", json!({ "type": "string" }));
    assert_break(&freer, &format!("{place} /sport: was one of {{\"ride\", \"run\"}}, is of type string"));
    let null = set(
        "/components/schemas/Answered",
        "/allOf/1/properties/sport",
        json!({
        "type": ["string", "null"], "enum": ["run", "ride", null] }),
    );
    assert_break(&null, &format!("{place} /sport: may be null now"));
    let looser = set(BASE, "/properties/count/maximum", json!(99));
    assert_eq!(looser[0], format!("{place} /count: its maximum was 9, is 99"));
    let unformatted = without(BASE, "/properties/id", "format");
    assert_eq!(unformatted[0], format!("{place} /id: its format was \"uuid\", is none"));
    let headless = without(OPERATION, "/responses/200", "headers");
    assert_break(&headless, &format!("{place}, header ETag: is gone"));
    assert_break(&without(OPERATION, "/responses", "200"), &format!("{place}: is gone"));
    assert_none(&without(OPERATION, "/responses", "404"));
    assert_break(
        &without(OPERATION, "/responses/200/content", "application/json"),
        &format!("{place}, application/json: is gone"),
    );
}

#[test]
fn more_asked_of_who_calls_is_a_break() {
    let signed_in = without("", "/paths/~1open/get", "security");
    assert_break(&signed_in, "GET /open: needs a signed-in caller now");
    let scoped = put(OPERATION, "", "security", json!([{ "bearer": ["write"] }]));
    assert_break(&scoped, &format!("{PLACE}: {{\"bearer\":[]}} alone no longer lets a caller in"));
    let both = put(OPERATION, "", "security", json!([{ "bearer": [], "key": [] }]));
    assert_break(&both, &format!("{PLACE}: {{\"bearer\":[]}} alone no longer lets a caller in"));
    let scheme = set("", "/components/securitySchemes/bearer/scheme", json!("basic"));
    assert_break(&scheme, "security scheme bearer: is another or gone");
}

#[test]
fn what_is_not_understood_may_stay_and_not_change() {
    let odd = |minimum: u32| json!({ "type": "string", "not": { "minLength": minimum } });
    let document = |minimum| {
        let mut document = everything();
        document.pointer_mut(SENT).unwrap()["properties"]["odd"] = odd(minimum);
        Document::new(document)
    };
    assert!(breaks(&document(3), &document(3)).is_empty());
    let found = breaks(&document(3), &document(4));
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        format!("{PLACE}, body /odd: changed in a way this comparison does not understand")
    );
}
