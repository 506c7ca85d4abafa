//! The schemas of a document as typify takes them, which knows JSON Schema as it was before `OpenAPI` 3.1.
//!
//! Two things are stricter than in the document, because this client proves it: an answer with a field the document does not
//! have is refused, and so is a problem. A merge patch may also clear fields, whose names are an enum beside its body.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToUpperCamelCase;
use proc_macro2::TokenStream;
use serde_json::{Map, Value, json};
use typify::{TypeSpace, TypeSpaceSettings};

use super::Result;
use super::operations::{Body, Operation};

/// Says nothing about the values, or nothing typify takes; patterns are the service's to hold, not worth an engine in each client.
const DROPPED: [&str; 8] =
    ["example", "examples", "contentMediaType", "contentEncoding", "deprecated", "externalDocs", "default", "pattern"];

/// The types of all schemas, and of the words that parameters and media types may be.
pub fn types(document: &Value, operations: &[Operation]) -> Result<TokenStream> {
    let components = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    let sent = reached(document, operations.iter().filter_map(|operation| operation.body.as_ref()?.schema()));
    let mut definitions: BTreeMap<String, Value> = BTreeMap::new();
    for (name, schema) in &components {
        definitions.insert(name.clone(), plain(document, schema, !sent.contains(name))?);
    }
    for operation in operations {
        definitions.extend(operation.words());
        if let Some(Body::Patch(schema)) = &operation.body {
            let name = name_of(schema)?;
            definitions.insert(clearable(name), json!({ "type": "string", "enum": nullable(&components[name]) }));
        }
    }
    let mut settings = TypeSpaceSettings::default();
    settings.with_struct_builder(true).with_derive("PartialEq".to_owned());
    let mut space = TypeSpace::new(&settings);
    let mut schemas = Vec::new();
    for (name, schema) in definitions {
        schemas.push((name, serde_json::from_value::<schemars::schema::Schema>(schema)?));
    }
    space.add_ref_types(schemas)?;
    Ok(space.to_stream())
}

/// The Rust name of a schema.
pub fn type_name(name: &str) -> String {
    name.to_upper_camel_case()
}

/// The name of the enum of fields that a merge patch may clear.
pub fn clearable(name: &str) -> String {
    format!("{name}Field")
}

/// The name a `$ref` says.
pub fn name_of(schema: &Value) -> Result<&str> {
    let name = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/components/schemas/"));
    name.ok_or_else(|| format!("a body is a schema with a name: {schema}").into())
}

/// The names of all schemas that can be reached from these.
fn reached<'s>(document: &'s Value, from: impl Iterator<Item = &'s Value>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Value> = from.collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                if let Ok(name) = name_of(value)
                    && found.insert(name.to_owned())
                {
                    open.push(&document["components"]["schemas"][name]);
                }
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}

/// The names of the fields that may be null.
fn nullable(schema: &Value) -> Vec<&String> {
    let may_be_null = |schema: &Value| {
        let kinds = schema["type"].as_array().cloned().unwrap_or_default();
        let alternatives = schema["oneOf"].as_array().cloned().unwrap_or_default();
        kinds.contains(&json!("null")) || alternatives.contains(&json!({ "type": "null" }))
    };
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields.filter(|(_, schema)| may_be_null(schema)).map(|(name, _)| name).collect()
}

/// A schema without annotations that typify stumbles over, `allOf` put together, and closed where nothing more may come.
fn plain(document: &Value, schema: &Value, is_closed: bool) -> Result<Value> {
    let Value::Object(members) = schema else { return Ok(schema.clone()) };
    if let Some(reference) = members.get("$ref") {
        // What stands beside a reference only explains.
        return Ok(json!({ "$ref": reference }));
    }
    if let Some(parts) = members.get("allOf") {
        let mut whole = merged(document, parts)?;
        whole.extend(members.get("description").map(|text| ("description".to_owned(), text.clone())));
        return plain(document, &Value::Object(whole), is_closed);
    }
    let mut plainer = Map::new();
    for (keyword, value) in members.iter().filter(|(keyword, _)| !DROPPED.contains(&keyword.as_str())) {
        let value = match (keyword.as_str(), value) {
            ("properties", Value::Object(fields)) => {
                let plain = |(name, field): (&String, &Value)| Ok((name.clone(), plain(document, field, is_closed)?));
                Value::Object(fields.iter().map(plain).collect::<Result<_>>()?)
            }
            ("items" | "additionalProperties", value) => plain(document, value, is_closed)?,
            ("oneOf" | "anyOf", Value::Array(several)) => {
                Value::Array(several.iter().map(|one| plain(document, one, is_closed)).collect::<Result<_>>()?)
            }
            (_, value) => value.clone(),
        };
        plainer.insert(keyword.clone(), value);
    }
    if is_closed && plainer.contains_key("properties") && !plainer.contains_key("additionalProperties") {
        plainer.insert("additionalProperties".to_owned(), json!(false));
    }
    Ok(Value::Object(plainer))
}

/// Objects as the one object they are.
fn merged(document: &Value, parts: &Value) -> Result<Map<String, Value>> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts.as_array().into_iter().flatten() {
        let part = name_of(part).map_or(part, |name| &document["components"]["schemas"][name]);
        let part = match part.get("allOf") {
            Some(parts) => Value::Object(merged(document, parts)?),
            None => part.clone(),
        };
        let fields = part["properties"].as_object().ok_or_else(|| format!("a part of allOf is no object: {part}"))?;
        properties.extend(fields.clone());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    let whole = json!({ "type": "object", "properties": properties, "required": required });
    Ok(whole.as_object().cloned().unwrap_or_default())
}
