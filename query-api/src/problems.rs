//! From what the databases refuse to what a client is told.
//! Away or not set up yet is 503, to be tried again; anything else is a fault of ours.
use std::time::Duration;

use fittrack_runtime::pg;
use fittrack_runtime::problem::{Kind, Problem};

use crate::freshness::NOT_CAUGHT_UP;

/// This service's own kinds, for documentation and tests.
pub const KINDS: &[Kind] = &[NOT_CAUGHT_UP];

const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A query on the read models or the recordings failed.
pub fn of_database(error: sqlx::Error) -> Problem {
    if pg::is_unavailable(&error) || is_not_set_up(&error) {
        return Problem::unavailable("what the answer is read from is away for the moment", TRY_AGAIN)
            .with_cause(error);
    }
    Problem::internal(error)
}

/// A schema, table or database that its migration has yet to make.
fn is_not_set_up(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "42P01" | "3F000" | "3D000"))
}
