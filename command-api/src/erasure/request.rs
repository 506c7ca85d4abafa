//! Asking for an erasure: the account is closed, every session and key of it ends, and the job is there, all or nothing. From then
//! on nobody signs in; what is under way with older tokens ends within seconds.
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::identity::{
    audit::{self, AuditEvent, Entry, Origin},
    sessions::{EndedBy, Sessions},
};

/// An erasure that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// Its id, by which the receipt is read.
    pub erasure_id: Uuid,
    /// The sessions and keys that ended by it.
    pub ended: Vec<Uuid>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The athlete.
    Athlete,
    /// An operator, at the command line.
    Operator,
}

/// A random id: whoever knows it may read the receipt.
const INSERT: &str = "
    INSERT INTO erasures (erasure_id, athlete_id, requested_by) VALUES ($1, $2, $3)
    ON CONFLICT (athlete_id) DO NOTHING";
/// Asked for once more, by an operator after a backup was restored: everything is looked at again.
const AGAIN: &str = "
    UPDATE erasures SET next_step = 'close_log', redacted_upto = 0, waits_for = NULL, finished_at = NULL,
           lease_expires_at = NULL
    WHERE athlete_id = $1 AND finished_at IS NOT NULL";
const ID_OF: &str = "SELECT erasure_id FROM erasures WHERE athlete_id = $1";
const CLOSE: &str = "UPDATE accounts SET status = 'erasing' WHERE athlete_id = $1";
const END_KEYS: &str = "
    UPDATE api_keys SET ended_at = clock_timestamp() WHERE athlete_id = $1 AND ended_at IS NULL RETURNING key_id";

/// Closes the account and makes the job, in the caller's transaction.
pub async fn request(
    transaction: &mut PgConnection,
    athlete_id: Uuid,
    by: By,
    origin: &Origin,
) -> Result<Requested, sqlx::Error> {
    let requested_by = match by {
        By::Athlete => "athlete",
        By::Operator => "operator",
    };
    let fresh = Uuid::new_v4();
    sqlx::query(INSERT).bind(fresh).bind(athlete_id).bind(requested_by).execute(&mut *transaction).await?;
    if by == By::Operator {
        sqlx::query(AGAIN).bind(athlete_id).execute(&mut *transaction).await?;
    }
    let erasure_id = sqlx::query_scalar(ID_OF).bind(athlete_id).fetch_one(&mut *transaction).await?;
    sqlx::query(CLOSE).bind(athlete_id).execute(&mut *transaction).await?;
    let mut ended = Sessions::end_others(transaction, athlete_id, None, EndedBy::Erasure).await?;
    let keys: Vec<Uuid> = sqlx::query_scalar(END_KEYS).bind(athlete_id).fetch_all(&mut *transaction).await?;
    ended.extend(keys);
    let entry = match by {
        By::Athlete => Entry::by_athlete(AuditEvent::UserDeleted, athlete_id, origin),
        By::Operator => Entry::by_operator(AuditEvent::UserDeleted, origin).about(Some(athlete_id)),
    };
    audit::record(&mut *transaction, entry.details(json!({"erasure_id": erasure_id}))).await?;
    Ok(Requested { erasure_id, ended })
}
