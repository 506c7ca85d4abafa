//! What every operation of our documents has, whoever writes it: the lint of the `OpenAPI` documents, a rule a function.
//! Validity as `OpenAPI` 3.1 is another tool's business: `deploy/journeys/tests/documents.rs`.
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::document::{Document, Operation};

const PROBLEM: &str = "application/problem+json";
/// What a standard names and not we: RFC 9457's extension for quotas.
const FOREIGN_WORDS: [&str; 1] = ["violated-policies"];

/// Everything a document has against itself.
pub fn objections(document: &Document) -> Vec<String> {
    let mut objections = Objections::default();
    objections.ids(document);
    objections.members(document);
    for operation in document.operations() {
        let place = operation.name();
        objections.words(&place, operation);
        objections.access(&place, operation);
        objections.parameters(&place, operation);
        objections.bodies(&place, operation);
        objections.answers(&place, operation);
    }
    objections.0
}

#[derive(Default)]
struct Objections(Vec<String>);

impl Objections {
    fn hold(&mut self, holds: bool, place: &str, rule: &str) {
        if !holds {
            self.0.push(format!("{place}: {rule}"));
        }
    }

    fn ids(&mut self, document: &Document) {
        let mut seen = BTreeSet::new();
        for operation in document.operations() {
            let id = operation.value["operationId"].as_str().unwrap_or_default();
            self.hold(is_snake_case(id), &operation.name(), "has an operationId in snake_case");
            self.hold(seen.insert(id), &operation.name(), "has an operationId of its own");
        }
    }

    /// Names of fields, in the schemas that operations refer to.
    fn members(&mut self, document: &Document) {
        for (name, schema) in document.root()["components"]["schemas"].as_object().into_iter().flatten() {
            for field in schema["properties"].as_object().into_iter().flatten() {
                self.hold(is_ours(field.0), &format!("{name}/{}", field.0), "is in snake_case");
            }
        }
    }

    fn words(&mut self, place: &str, operation: Operation) {
        let summary = operation.value["summary"].as_str().unwrap_or_default();
        self.hold(!summary.is_empty() && summary.len() <= 80, place, "has a summary of one line");
        self.hold(!summary.ends_with('.'), place, "has a summary without a full stop");
        let tags = operation.value["tags"].as_array().cloned().unwrap_or_default();
        let known = operation.document.root()["tags"].as_array().cloned().unwrap_or_default();
        let is_known = tags.iter().all(|tag| known.iter().any(|one| one["name"] == *tag));
        self.hold(tags.len() == 1 && is_known, place, "has one tag, which the document explains");
        self.hold(operation.value["x-rate-limit-class"].is_string(), place, "is in a class of allowances");
    }

    fn access(&mut self, place: &str, operation: Operation) {
        let ways = operation.security();
        let is_public = ways == [&json!({})];
        let known = |way: &Value| {
            let schemes = way.as_object().into_iter().flatten();
            schemes.map(|(name, _)| name).all(|name| operation.document.schemes()[name].is_object())
        };
        self.hold(!ways.is_empty() && ways.iter().all(|way| known(way)), place, "says who may call it");
        let refuses = operation.value["responses"]["401"].is_object();
        self.hold(is_public || refuses, place, "says that who is not signed in gets 401");
    }

    fn parameters(&mut self, place: &str, operation: Operation) {
        for parameter in operation.parameters() {
            let place = format!("{place}, parameter {}", parameter["name"]);
            let is_described = is_text(&parameter["description"]) || is_text(&parameter["schema"]["description"]);
            self.hold(is_described, &place, "has a description");
            let name = parameter["name"].as_str().unwrap_or_default();
            let is_header = parameter["in"] == "header";
            self.hold(is_header || is_snake_case(name), &place, "is in snake_case");
            let example = parameter.get("example").or_else(|| parameter["schema"].get("example"));
            if let Some(example) = example {
                self.example(&place, operation, &parameter["schema"], example);
            }
        }
        for name in operation.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            let is_said = operation.parameters().iter().any(|one| one["in"] == "path" && one["name"] == name);
            self.hold(is_said, place, &format!("describes {{{name}}} of its path"));
        }
    }

    fn bodies(&mut self, place: &str, operation: Operation) {
        let Some(body) = operation.body() else { return };
        for (media_type, content) in body["content"].as_object().into_iter().flatten() {
            let place = format!("{place}, body {media_type}");
            if is_json(media_type) {
                self.examples(&place, operation, content);
            }
        }
    }

    fn answers(&mut self, place: &str, operation: Operation) {
        for (status, answer) in operation.responses() {
            let place = format!("{place}, answer {status}");
            self.hold(is_text(&answer["description"]), &place, "has a description");
            for (name, header) in answer["headers"].as_object().into_iter().flatten() {
                self.hold(is_text(&header["description"]), &format!("{place}, header {name}"), "has a description");
            }
            if status.starts_with(['4', '5']) {
                self.hold(answer["content"][PROBLEM].is_object(), &place, &format!("is {PROBLEM}"));
                continue;
            }
            for (media_type, content) in answer["content"].as_object().into_iter().flatten() {
                if is_json(media_type) {
                    self.examples(&format!("{place}, {media_type}"), operation, content);
                }
            }
        }
    }

    /// A body of JSON is an object, and shown by an example that its own schema allows.
    fn examples(&mut self, place: &str, operation: Operation, content: &Value) {
        let document = operation.document;
        let schema = document.resolve(&content["schema"]);
        // Of several forms each is shown.
        let forms: Vec<&Value> = match schema["oneOf"].as_array() {
            Some(forms) => forms.iter().map(|form| document.resolve(form)).collect(),
            None => vec![schema],
        };
        let several = content["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
        let mut examples: Vec<&Value> = content.get("example").into_iter().chain(several).collect();
        let of_content = examples.len();
        for form in forms {
            let is_object = form["type"] == "object" || form["allOf"].is_array();
            self.hold(is_object, place, "is a JSON object");
            let before = examples.len();
            examples.extend(form.get("example").into_iter().chain(form["examples"].as_array().into_iter().flatten()));
            self.hold(of_content + examples.len() - before > 0, place, "has an example");
        }
        for example in examples {
            self.example(place, operation, &content["schema"], example);
            let names = example.as_object().into_iter().flatten().map(|(name, _)| name);
            self.hold(names.into_iter().all(|name| is_ours(name)), place, "has names in snake_case in its example");
        }
    }

    fn example(&mut self, place: &str, operation: Operation, schema: &Value, example: &Value) {
        let components = &operation.document.root()["components"];
        let whole = json!({ "components": components, "allOf": [schema] });
        let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
        for error in validator.iter_errors(example) {
            self.0.push(format!("{place}: has an example that is none: {error} at {}", error.instance_path()));
        }
    }
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

fn is_ours(name: &str) -> bool {
    is_snake_case(name) || FOREIGN_WORDS.contains(&name)
}

fn is_snake_case(name: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    name.starts_with(|letter: char| letter.is_ascii_lowercase()) && name.chars().all(is_word)
}

#[test]
fn each_rule_finds_what_it_is_there_for() {
    let bare = json!({
        "security": [{ "nobody": [] }],
        "paths": { "/a/{id}": { "post": {
            "operationId": "doIt", "summary": "Done.", "tags": ["unknown"],
            "parameters": [{ "name": "perPage", "in": "query", "example": "x", "schema": { "type": "integer" } }],
            "requestBody": { "content": { "application/json": { "schema": { "type": "array" } } } },
            "responses": {
                "200": { "headers": { "ETag": {} }, "content": { "application/json": { "schema": {
                    "type": "object", "required": ["id"], "example": { "Id": 1 } } } } },
                "404": { "description": "None" },
            },
        } } },
        "components": { "schemas": { "Thing": { "properties": { "perPage": {} } } } },
    });
    let found = objections(&Document::new(bare)).join("\n");
    for rule in [
        "an operationId in snake_case",
        "Thing/perPage: is in snake_case",
        "without a full stop",
        "one tag",
        "allowances",
        "who may call",
        "gets 401",
        "parameter \"perPage\": has a description",
        "parameter \"perPage\": is in snake_case",
        "parameter \"perPage\": has an example that is none",
        "describes {id}",
        "body application/json: is a JSON object",
        "body application/json: has an example",
        "answer 200: has a description",
        "header ETag: has a description",
        "answer 404: is application/problem+json",
        "application/json: has an example that is none",
        "names in snake_case",
    ] {
        assert!(found.contains(rule), "{rule} is not in\n{found}");
    }
}
