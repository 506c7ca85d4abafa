//! What the edge itself may answer, whatever the route: for the documents.
use axum::http::Method;
use utoipa::ToSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, Ref, Response, ResponseBuilder};

use crate::problem::{PROBLEM_JSON, ProblemDocument};

const OF_READS: [(&str, &str); 4] = [
    ("406", "`Accept` does not allow the form of the answer"),
    ("414", "Path and query are longer than 8 KiB"),
    ("500", "A fault on our side, logged under the `trace_id`"),
    ("504", "The answer was not ready in time; try again later"),
];
const OF_COMMANDS: [(&str, &str); 4] = [
    ("406", "`Accept` does not allow application/json; nothing was done"),
    ("414", "Path and query are longer than 8 KiB; nothing was done"),
    ("500", "A fault on our side, logged under the `trace_id`"),
    ("504", "It is not known whether it was done; the same request with the same `Idempotency-Key` tells"),
];

/// Adds them to an operation, where it does not say more of them itself.
pub(crate) fn describe(method: &Method, operation: &mut Operation) {
    let answers = if method.is_safe() { OF_READS } else { OF_COMMANDS };
    for (status, description) in answers {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem(description).into());
    }
}

/// A problem among the answers of an operation.
pub(crate) fn problem(description: impl Into<String>) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemDocument::name()))).build();
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build()
}
