//! Erasing an account (decision 13). Asking for it closes the account at once ([`request`]); the [`eraser`] then removes what there
//! is, place by place ([`places`]), each step once more after a crash without harm; and the [`receipt`] says what was removed where.
//! The rows of `erasures` (`schemas/identity/0008_erasures.sql`) are the jobs and stay as the proof.
pub mod eraser;
pub mod places;
pub mod receipt;
pub mod request;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool, types::Json};
use uuid::Uuid;

/// What is done in order; the value in `next_step` is the one to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Step {
    /// Nothing is appended to the athlete's log any more; projections are told by its last event.
    CloseLog,
    /// The events lose their content; the files they name go first.
    RedactEvents,
    /// Claims go, and what they alone name; exports and imports of zips.
    RemoveRecordings,
    /// Address, password, tokens and names of keys go.
    RemoveAccount,
    /// Every read model has passed the last event and has nothing left.
    AwaitReadModels,
    /// Nothing is left to do.
    Done,
}

impl Step {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloseLog => "close_log",
            Self::RedactEvents => "redact_events",
            Self::RemoveRecordings => "remove_recordings",
            Self::RemoveAccount => "remove_account",
            Self::AwaitReadModels => "await_read_models",
            Self::Done => "done",
        }
    }
}

/// Numbers of what was removed, by place and thing: `event_store.events`.
pub type Removed = BTreeMap<String, i64>;

/// An erasure as it stands.
#[derive(Debug, Clone, FromRow)]
pub struct Erasure {
    /// Its id.
    pub erasure_id: Uuid,
    /// Whose account.
    pub athlete_id: Uuid,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// `athlete` or `operator`.
    pub requested_by: String,
    /// What is to be done next.
    pub next_step: Step,
    /// The position of the athlete's last event, once the log is closed.
    pub farewell: Option<i64>,
    /// Events up to here have no content.
    pub redacted_upto: i64,
    /// What was removed so far.
    pub removed: Json<Removed>,
    /// What is missing for the next step.
    pub waits_for: Option<String>,
    /// When everything was done.
    pub finished_at: Option<DateTime<Utc>>,
}

const BY_ID: &str = "
    SELECT erasure_id, athlete_id, requested_at, requested_by, next_step, farewell, redacted_upto, removed, waits_for, finished_at
    FROM erasures WHERE erasure_id = $1";

/// The erasure of this id.
pub async fn by_id(identity: &PgPool, erasure_id: Uuid) -> Result<Option<Erasure>, sqlx::Error> {
    sqlx::query_as(BY_ID).bind(erasure_id).fetch_optional(identity).await
}

const LIST: &str = "
    SELECT erasure_id, athlete_id, requested_at, requested_by, next_step, farewell, redacted_upto, removed, waits_for, finished_at
    FROM erasures ORDER BY finished_at IS NOT NULL, requested_at DESC LIMIT $1";

/// So many erasures: those under way first, then the newest.
pub async fn list(identity: &PgPool, limit: i64) -> Result<Vec<Erasure>, sqlx::Error> {
    sqlx::query_as(LIST).bind(limit).fetch_all(identity).await
}
