//! What comes back: an answer of success with its value, or one of the reasons why there is none.

use reqwest::header::HeaderMap;

/// An answer of success.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub value: T,
}

impl<T> Answer<T> {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
pub enum Failure<P: std::fmt::Debug> {
    /// The service refused, with a problem.
    #[error("refused with {status}: {problem:?}")]
    Refused {
        /// Its status.
        status: u16,
        /// Its headers.
        headers: HeaderMap,
        /// What it says.
        problem: Box<P>,
    },
    /// What `If-None-Match` names is still what there is.
    #[error("unchanged")]
    Unchanged(HeaderMap),
    /// The answer is not as the document says.
    #[error("{operation} answered otherwise than its document says: {why}; status {status}, body {body}")]
    Undocumented {
        /// The id of the operation.
        operation: &'static str,
        /// What is not as it is said.
        why: String,
        /// The status.
        status: u16,
        /// The body, as text.
        body: String,
    },
    /// A body cannot be written as JSON.
    #[error("cannot write the body: {0}")]
    Body(#[from] serde_json::Error),
    /// No answer came.
    #[error("no answer: {0}")]
    Http(#[from] reqwest::Error),
}

impl<P: std::fmt::Debug> Failure<P> {
    /// The status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Unchanged(_) => Some(304),
            _ => None,
        }
    }
}

/// How bodies are read.
pub(crate) mod read {
    use bytes::Bytes;
    use serde::de::DeserializeOwned;

    pub(crate) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, String> {
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }

    #[expect(clippy::unnecessary_wraps, reason = "one of the readers, of which the others may fail")]
    pub(crate) fn bytes(body: &Bytes) -> Result<Bytes, String> {
        Ok(body.clone())
    }

    pub(crate) fn nothing(body: &Bytes) -> Result<(), String> {
        if body.is_empty() { Ok(()) } else { Err("a body where there is none".to_owned()) }
    }
}
