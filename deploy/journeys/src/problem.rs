//! What every refusal looks like, whoever gives it: a problem document (RFC 9457) that tells a client what to do and tells
//! nobody how FitTrack is made.

use serde_json::Value;

use crate::client::Answer;
use crate::failure::{Failure, Result};

/// Words that only the inside of a service knows.
const INTERNALS: [&str; 10] = [
    "sqlx",
    "panicked",
    ".rs:",
    "postgres",
    "rdkafka",
    "tokio",
    "RUST_BACKTRACE",
    "SELECT ",
    "INSERT ",
    "No such file",
];

/// Checks that an answer is a problem of this status.
///
/// # Errors
/// Naming what is missing or wrong.
pub fn check(answer: &Answer, status: u16) -> Result<()> {
    if answer.status != status {
        return Err(Failure::new(format!("expected {status}: {answer}")));
    }
    let wrong = complaints(answer);
    if wrong.is_empty() { Ok(()) } else { Err(Failure::new(format!("{}: {answer}", wrong.join("; ")))) }
}

/// Everything that is wrong with an answer as a problem document.
pub fn complaints(answer: &Answer) -> Vec<String> {
    let document = answer.json();
    let mut wrong = Vec::new();
    let mut claim = |holds: bool, text: &str| {
        if !holds {
            wrong.push(text.to_owned());
        }
    };
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    claim(answer.header("content-type") == Some("application/problem+json"), "it is no application/problem+json");
    claim(text("type").starts_with("https://fittrack.dev/problems/"), "its type is none of ours");
    claim(!text("title").is_empty() && !text("detail").is_empty(), "it has no title or no detail");
    claim(document["status"].as_u64() == Some(u64::from(answer.status)), "its status is not the answer's");
    claim(text("instance").starts_with('/'), "its instance is no path");
    let trace_id = text("trace_id");
    claim(
        trace_id.len() == 32 && trace_id.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "its trace_id is not 32 hexadecimal digits",
    );
    for error in document["errors"].as_array().into_iter().flatten() {
        let has = |name: &str| error[name].as_str().is_some_and(|text| !text.is_empty());
        claim(
            error["pointer"].as_str().is_some_and(|pointer| pointer.starts_with('#')),
            "a pointer does not begin with #",
        );
        claim(has("detail") && has("code"), "an error has no detail or no code");
    }
    match answer.status {
        401 => claim(answer.header("www-authenticate").is_some(), "a 401 without WWW-Authenticate"),
        405 => claim(answer.header("allow").is_some(), "a 405 without Allow"),
        429 | 503 => claim(answer.header("retry-after").is_some(), "it does not say when to try again"),
        _ => {}
    }
    let said = said_by_us(&document);
    for word in INTERNALS {
        claim(!said.contains(word), &format!("it shows internals: {word}"));
    }
    wrong
}

/// All texts but the path, which is the client's own.
fn said_by_us(document: &Value) -> String {
    let mut ours = document.clone();
    if let Some(fields) = ours.as_object_mut() {
        fields.remove("instance");
    }
    ours.to_string()
}
