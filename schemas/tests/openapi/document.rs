//! An `OpenAPI` document as the tests ask it: its operations, with references followed and with what they inherit.
//! Read from the committed file; that this is what the routes make is tested in the services.
use std::{fs, path::PathBuf};

use serde_json::Value;

/// The services that have one.
pub const SERVICES: [&str; 2] = ["command-api", "query-api"];
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// A whole document.
pub struct Document {
    root: Value,
}

/// One operation of a document.
#[derive(Clone, Copy)]
pub struct Operation<'d> {
    pub document: &'d Document,
    pub method: &'d str,
    pub path: &'d str,
    pub value: &'d Value,
}

/// The path of a file under `schemas/openapi/`.
pub fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi").join(name)
}

impl Document {
    pub fn new(root: Value) -> Self {
        Self { root }
    }

    /// Reads a file under `schemas/openapi/`.
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("schemas/openapi/{name}: {error}"));
        Self::new(yaml_serde::from_str(&text).unwrap_or_else(|error| panic!("schemas/openapi/{name}: {error}")))
    }

    pub fn root(&self) -> &Value {
        &self.root
    }

    /// All operations, by path and method.
    pub fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations = Vec::new();
        for (path, item) in self.root["paths"].as_object().into_iter().flatten() {
            for method in METHODS.into_iter().filter(|method| item[*method].is_object()) {
                operations.push(Operation { document: self, method, path, value: &item[method] });
            }
        }
        operations
    }

    /// What stands here, or where its `$ref` leads.
    pub fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        let mut found = value;
        // A reference may lead to another; no document has a chain of this length.
        for _ in 0..16 {
            let Some(reference) = found["$ref"].as_str() else { return found };
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            found = target.unwrap_or_else(|| panic!("{reference} leads nowhere"));
        }
        panic!("{value} leads round in a circle")
    }

    /// The security schemes.
    pub fn schemes(&self) -> &Value {
        &self.root["components"]["securitySchemes"]
    }
}

impl<'d> Operation<'d> {
    /// `POST /v1/workouts`.
    pub fn name(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }

    /// Its parameters and those of its path.
    pub fn parameters(&self) -> Vec<&'d Value> {
        let of_path = &self.document.root["paths"][self.path]["parameters"];
        let lists = [of_path, &self.value["parameters"]].into_iter().filter_map(Value::as_array);
        lists.flatten().map(|parameter| self.document.resolve(parameter)).collect()
    }

    /// Its body, where it takes one.
    pub fn body(&self) -> Option<&'d Value> {
        self.value.get("requestBody").map(|body| self.document.resolve(body))
    }

    /// Status and what is answered with it.
    pub fn responses(&self) -> Vec<(&'d str, &'d Value)> {
        let responses = self.value["responses"].as_object().into_iter().flatten();
        responses.map(|(status, response)| (status.as_str(), self.document.resolve(response))).collect()
    }

    /// The alternatives of which a caller has to meet one: its own, or else the document's.
    pub fn security(&self) -> Vec<&'d Value> {
        let own = self.value.get("security").or_else(|| self.document.root.get("security"));
        own.and_then(Value::as_array).into_iter().flatten().collect()
    }
}
