//! From serde's errors to problems: the field as a JSON pointer, a code for programs, the reason in words.
//! serde says which field was missing, unknown or doubled only in its message, so the name is read from there.

use std::fmt::Write as _;

use serde_json::error::Category;
use serde_path_to_error::{Error, Path, Segment};

use crate::problem::Problem;

/// A body that is no JSON (400) or has a field that is refused (422).
pub(super) fn of_body(error: Error<serde_json::Error>) -> Problem {
    let path = error.path().clone();
    let error = error.into_inner();
    if error.classify() != Category::Data {
        return of_syntax(&error);
    }
    let message = without_place(&error.to_string());
    let (code, named) = classify(&message);
    let pointer = pointer(&path, named);
    Problem::invalid_body("a field of the body is refused").error(pointer, code, message)
}

/// A body that is no JSON.
pub(super) fn of_syntax(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("the body is not valid JSON: {error}"))
}

/// A body that is JSON and no object.
pub(super) fn of_no_object() -> Problem {
    Problem::invalid_body("the body is refused").error("", "invalid_type", "must be an object")
}

/// A query with an unknown, doubled or refused parameter.
pub(super) fn of_query(error: Error<serde_urlencoded::de::Error>) -> Problem {
    let path = error.path().to_string();
    let message = error.into_inner().to_string().replace("field", "query parameter");
    match classify(&message) {
        (_, Some(_)) => Problem::bad_request(message),
        // The path of a whole query is ".".
        (_, None) if path == "." => Problem::bad_request(format!("the query is refused: {message}")),
        (_, None) => Problem::bad_request(format!("query parameter `{path}`: {message}")),
    }
}

/// `serde_json` appends " at line 1 column 5", which is noise beside a pointer.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(reason, _)| reason).to_owned()
}

/// The code of a message, and the field it names where it is about a name.
fn classify(message: &str) -> (&'static str, Option<&str>) {
    let named = || message.split('`').nth(1);
    if message.starts_with("missing ") {
        ("missing", named())
    } else if message.starts_with("unknown field") || message.starts_with("unknown query") {
        ("unknown_field", named())
    } else if message.starts_with("duplicate ") {
        ("duplicate_field", named())
    } else if message.starts_with("invalid type") {
        ("invalid_type", None)
    } else {
        ("invalid_value", None)
    }
}

/// RFC 6901, without the leading `#`.
fn pointer(path: &Path, named: Option<&str>) -> String {
    let mut pointer = String::new();
    let mut last = None;
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                let _ = write!(pointer, "/{index}");
            }
            Segment::Map { key } => {
                push(&mut pointer, key);
                last = Some(key.as_str());
            }
            // The name of an enum's variant is not a place in the document.
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    match named {
        Some(name) if last != Some(name) => push(&mut pointer, name),
        _ => {}
    }
    pointer
}

fn push(pointer: &mut String, key: &str) {
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
}
