//! The body of an answer in the codings clients ask for: made once, when somebody first wants it, and kept beside the plain one.
//!
//! Lists, totals, boards and recordings are coded. An answer whose tag is a version, which `If-Match` of a command names, is
//! sent as it is, so that its tag stays that version's; and so is a file, which is compressed already or asked for once.
use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use fittrack_runtime::coding::{Coding, SHORTEST};

/// Longer bodies are not coded on an async thread.
const QUICK: usize = 32 * 1024;

/// The coded bodies of one answer, as far as somebody has asked for them; by default it has none.
#[derive(Debug, Clone, Default)]
pub struct Coded(Option<Arc<[OnceLock<Bytes>; Coding::ALL.len()]>>);

impl Coded {
    /// Those of this plain body; a short one has none.
    pub fn of(plain: &Bytes) -> Self {
        Self((plain.len() >= SHORTEST).then(Arc::default))
    }

    /// Whether there may be any.
    pub fn is_possible(&self) -> bool {
        self.0.is_some()
    }

    /// The coding to send to the client with these headers; nothing for the plain body.
    pub fn coding_for(&self, headers: &HeaderMap) -> Option<Coding> {
        self.0.as_ref().and_then(|_| Coding::liked(headers))
    }

    /// The same, where its body is there or quickly made.
    pub fn is_quick(&self, coding: Coding, plain: &Bytes) -> bool {
        plain.len() <= QUICK || self.place(coding).is_some_and(|place| place.get().is_some())
    }

    /// The coded body; the plain one where it cannot be coded.
    pub fn body(&self, coding: Coding, plain: &Bytes) -> Bytes {
        let Some(place) = self.place(coding) else { return plain.clone() };
        place.get_or_init(|| coding.encode(plain).unwrap_or_else(|_| plain.clone())).clone()
    }

    fn place(&self, coding: Coding) -> Option<&OnceLock<Bytes>> {
        self.0.as_ref()?.get(coding as usize)
    }
}

/// The tag of an answer in this coding.
pub fn tag_in(coding: Option<Coding>, plain: &HeaderValue) -> HeaderValue {
    coding.map_or_else(|| plain.clone(), |coding| coding.tag(plain))
}
