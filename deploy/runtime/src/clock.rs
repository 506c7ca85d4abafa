//! The only place that reads the wall clock: everything else is given an instant.
//! Edges (route handlers, runners) call [`now`] once and pass the result inwards.

use chrono::{DateTime, Utc};

/// The present instant in UTC.
#[expect(clippy::disallowed_methods, reason = "the one home of the wall clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
