//! An answer as it came: status, headers and body, with the few questions every test asks of it.

use std::fmt;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;
use uuid::Uuid;

use crate::failure::{Failure, Result};

/// What an API answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Method and path of the call, for messages.
    pub call: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The answer, if it has this status.
    ///
    /// # Errors
    /// When it has another one; with the whole answer.
    pub fn expecting(self, status: u16) -> Result<Self> {
        if self.status == status { Ok(self) } else { Err(Failure::new(format!("expected {status}: {self}"))) }
    }

    /// The body; null where it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The items of a list.
    pub fn items(&self) -> Vec<Value> {
        self.json()["items"].as_array().cloned().unwrap_or_default()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The id a command answered.
    pub fn id(&self) -> Option<Uuid> {
        self.json()["id"].as_str()?.parse().ok()
    }

    /// The version a command answered.
    pub fn version(&self) -> Option<i64> {
        self.json()["version"].as_i64()
    }

    /// What to send to a query that must see this command; empty where there is none.
    pub fn token(&self) -> String {
        self.json()["consistency_token"].as_str().unwrap_or_default().to_owned()
    }

    /// The last part of a problem's type.
    pub fn problem(&self) -> Option<String> {
        Some(self.json()["type"].as_str()?.rsplit('/').next()?.to_owned())
    }

    /// The fields a problem points at.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().filter_map(|error| Some(error["pointer"].as_str()?.to_owned())).collect()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(2_000).collect();
        write!(formatter, "{} answered {} {body}", self.call, self.status)
    }
}
