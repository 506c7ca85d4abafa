//! The kinds of problem every service can answer with; services add constants of their own for their rules.
//! A kind's slug is part of the contract: once published it keeps its meaning.

use axum::http::StatusCode;

/// Where a problem type's URI begins.
pub const TYPE_BASE: &str = "https://fittrack.dev/problems/";

/// A kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The last segment of its URI: lower case with dashes.
    pub slug: &'static str,
    /// The kind in a few words.
    pub title: &'static str,
    /// Its HTTP status.
    pub status: u16,
    /// What it means and what the client can do, for the documentation.
    pub meaning: &'static str,
}

impl Kind {
    /// The `type` of its documents.
    pub fn uri(&self) -> String {
        format!("{TYPE_BASE}{}", self.slug)
    }

    /// Its status; a number that is none counts as our fault.
    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

macro_rules! catalogue {
    ($($name:ident $status:literal $slug:literal $title:literal $meaning:literal;)*) => {
        /// The kinds of the catalogue by name.
        pub mod kinds {
            use super::Kind;
            $(
                #[doc = $meaning]
                pub const $name: Kind = Kind { slug: $slug, title: $title, status: $status, meaning: $meaning };
            )*
        }

        /// Every kind shared by the services, for documentation and tests.
        pub const CATALOGUE: &[Kind] = &[$(kinds::$name),*];
    };
}

catalogue! {
    BAD_REQUEST 400 "bad-request" "The request cannot be understood"
        "The request's syntax, a header or a parameter is wrong; correct it before sending it again.";
    UNAUTHENTICATED 401 "unauthenticated" "Authentication is required"
        "No access token was sent, or it is expired or not valid here; log in or refresh and try again.";
    FORBIDDEN 403 "forbidden" "Not allowed"
        "The caller is known and may not do this.";
    NOT_FOUND 404 "not-found" "Not found"
        "There is nothing here, or nothing this caller may know of.";
    METHOD_NOT_ALLOWED 405 "method-not-allowed" "Method not allowed"
        "The path exists and does not support the method; `Allow` lists those it does.";
    NOT_ACCEPTABLE 406 "not-acceptable" "Not acceptable"
        "The answer cannot be given in any of the forms the request's `Accept` allows.";
    CONFLICT 409 "conflict" "Conflict"
        "The present state does not allow it; read the state and decide again.";
    GONE 410 "gone" "This path has ended"
        "The path was deprecated and its time is over; the detail names the one to use instead.";
    PRECONDITION_FAILED 412 "precondition-failed" "The version has changed"
        "`If-Match` names a version that is no longer current; read again and repeat the change on top of it.";
    PAYLOAD_TOO_LARGE 413 "payload-too-large" "The body is too large"
        "The body is longer than this path accepts.";
    URI_TOO_LONG 414 "uri-too-long" "The address is too long"
        "Path and query together are longer than is accepted.";
    UNSUPPORTED_MEDIA_TYPE 415 "unsupported-media-type" "Unsupported media type"
        "The body's `Content-Type` is not one this path accepts.";
    INVALID_BODY 422 "invalid-body" "The body has invalid fields"
        "The body was understood; `errors` names each refused field by JSON pointer, with a code and a reason.";
    UNPROCESSABLE 422 "unprocessable" "Refused by a rule"
        "The request was understood and a rule of the product refuses it.";
    IDEMPOTENCY_KEY_REUSED 422 "idempotency-key-reused" "The idempotency key was used before"
        "The same `Idempotency-Key` came with a different request earlier; use a new key for a new request.";
    PRECONDITION_REQUIRED 428 "precondition-required" "If-Match is required"
        "A change must name the version it is based on: send the `ETag` last read as `If-Match`.";
    TOO_MANY_REQUESTS 429 "too-many-requests" "Too many requests"
        "The caller's allowance is used up; try again after `Retry-After` seconds.";
    QUOTA_EXCEEDED 429 "quota-exceeded" "The allowance is used up"
        "More requests of one kind came than the caller may make; `violated-policies` names the allowance, `RateLimit-Policy` says how much it is. Wait `Retry-After` seconds.";
    HEAD_TOO_LARGE 431 "head-too-large" "The head of the request is too large"
        "The request line and its header fields together are longer than is accepted, or the fields are too many; send fewer or shorter ones.";
    INTERNAL 500 "internal" "Internal error"
        "A fault on our side; it has been logged under the trace id. The request may be retried with the same idempotency key.";
    UNAVAILABLE 503 "unavailable" "Temporarily unavailable"
        "Something the answer needs is overloaded or away; try again after `Retry-After` seconds, commands with the same idempotency key.";
    TIMEOUT 504 "timeout" "No answer in time"
        "The answer was not ready in time. A read can be tried again later; whether a command was done is not known, and the same request with the same idempotency key tells.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn slugs_are_unique_and_statuses_are_errors() {
        let slugs: BTreeSet<_> = CATALOGUE.iter().map(|kind| kind.slug).collect();
        assert_eq!(slugs.len(), CATALOGUE.len());
        for kind in CATALOGUE {
            assert!((400..600).contains(&kind.status), "{}", kind.slug);
            assert!(kind.slug.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", kind.slug);
        }
    }
}
