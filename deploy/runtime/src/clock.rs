//! The only place that reads the wall clock: everything else is given an instant.
//! Edges (route handlers, runners) call [`now`] once and pass the result inwards.

use chrono::{DateTime, Utc};

/// The present instant in UTC.
#[expect(clippy::disallowed_methods, reason = "the one home of the wall clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// The form of an instant in headers (RFC 9110, 5.6.7).
pub(crate) fn http_date(instant: DateTime<Utc>) -> String {
    instant.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
