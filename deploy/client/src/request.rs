//! A request as the generated functions fill it in: path, query and headers by the names the document has.

use std::fmt::Display;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) operation: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<(String, Bytes)>,
}

impl Request {
    pub(crate) fn new(operation: &'static str, method: &'static str, path: &'static str) -> Self {
        Self { operation, method, path: path.to_owned(), query: Vec::new(), headers: Vec::new(), body: None }
    }

    /// Sets a part of the path; a slash in it stays within its segment.
    pub(crate) fn path(&mut self, name: &str, value: &impl Display) {
        let value = value.to_string().replace('%', "%25").replace('/', "%2F").replace('?', "%3F").replace('#', "%23");
        self.path = self.path.replace(&format!("{{{name}}}"), &value);
    }

    pub(crate) fn query(&mut self, name: &'static str, value: &impl Display) {
        self.query.push((name, value.to_string()));
    }

    pub(crate) fn header(&mut self, name: &'static str, value: &impl Display) {
        self.headers.push((name, value.to_string()));
    }

    pub(crate) fn json(&mut self, body: &impl Serialize) -> Result<(), serde_json::Error> {
        self.body = Some(("application/json".to_owned(), serde_json::to_vec(body)?.into()));
        Ok(())
    }

    /// What is said of the body, and null for what is cleared.
    pub(crate) fn merge_patch(
        &mut self,
        body: &impl Serialize,
        cleared: &[impl Display],
    ) -> Result<(), serde_json::Error> {
        let mut patch = serde_json::to_value(body)?;
        if let Value::Object(fields) = &mut patch {
            fields.extend(cleared.iter().map(|field| (field.to_string(), Value::Null)));
        }
        self.body = Some(("application/merge-patch+json".to_owned(), serde_json::to_vec(&patch)?.into()));
        Ok(())
    }

    pub(crate) fn file(&mut self, media_type: &impl Display, file: Bytes) {
        self.body = Some((media_type.to_string(), file));
    }
}
