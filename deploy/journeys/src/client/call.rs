//! One call as a value, so that it can be made again exactly as it was: a retry, a second athlete, another address.

use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;

/// Method, path with query, headers and body; the access token comes from whoever makes it.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Bytes>,
}

impl Call {
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: None }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Names the request, so that a retry of it is recognised.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        self.header("idempotency-key", key)
    }

    /// Asks a query to hold what a command has written.
    #[must_use]
    pub fn seeing(self, consistency_token: &str) -> Self {
        self.header("consistency-token", consistency_token)
    }

    /// Names the version a change is meant for.
    #[must_use]
    pub fn if_match(self, version: i64) -> Self {
        self.header("if-match", format!("\"v{version}\""))
    }

    /// A body of JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.text("application/json", &body.to_string())
    }

    /// A body that says what changes.
    #[must_use]
    pub fn merge_patch(self, body: &Value) -> Self {
        self.text("application/merge-patch+json", &body.to_string())
    }

    /// A body of any type.
    #[must_use]
    pub fn text(self, content_type: &str, body: &str) -> Self {
        self.file(content_type, Bytes::copy_from_slice(body.as_bytes()))
    }

    /// A file as the body.
    #[must_use]
    pub fn file(mut self, content_type: &str, body: Bytes) -> Self {
        self.body = Some(body);
        self.header("content-type", content_type)
    }
}
