//! Answers to commands that stored nothing, kept for those who send the same key again. An event carries the id of its command, so
//! only these need a row of their own (`answered_commands`).
use fittrack_schemas::envelope::Metadata;
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::append::Place;

/// The most rows that one statement of a sweep removes, and the most statements in one sweep.
const BATCH: i64 = 5_000;
const BATCHES_A_SWEEP: usize = 40;

/// What a command under a client's key is answered that stores nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The command the key names.
    pub command_id: Uuid,
    /// Who asks.
    pub owner_id: Uuid,
    /// What the answer names.
    pub aggregate_id: Uuid,
    /// Where that is.
    pub place: Place,
    /// Identifies the request.
    pub fingerprint: Option<String>,
}

const KEEP: &str = "
    INSERT INTO answered_commands (command_id, owner_id, aggregate_id, version, partition, position, metadata)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (command_id) DO NOTHING";

/// Keeps an answer, before it is given; `false` where the command has one already.
pub async fn keep(pool: &PgPool, answer: Answer) -> Result<bool, sqlx::Error> {
    let Answer { command_id, owner_id, aggregate_id, place, fingerprint } = answer;
    let metadata = Metadata { fingerprint, ..Metadata::default() };
    let kept = sqlx::query(KEEP)
        .bind(command_id)
        .bind(owner_id)
        .bind(aggregate_id.to_string())
        .bind(place.version)
        .bind(place.partition)
        .bind(place.position)
        .bind(Json(metadata))
        .execute(pool)
        .await?;
    Ok(kept.rows_affected() == 1)
}

const REMOVE_OF_OWNER: &str = "DELETE FROM answered_commands WHERE owner_id = $1";

/// Removes what somebody was answered; how many answers there were.
pub async fn remove_of_owner(pool: &PgPool, owner_id: Uuid) -> Result<u64, sqlx::Error> {
    sqlx::query(REMOVE_OF_OWNER).bind(owner_id).execute(pool).await.map(|removed| removed.rows_affected())
}

const SWEEP: &str = "
    DELETE FROM answered_commands WHERE command_id IN (
        SELECT command_id FROM answered_commands WHERE answered_at < clock_timestamp() - interval '2 days'
        ORDER BY answered_at LIMIT $1)";

/// Removes answers of two days ago; says how many.
pub async fn sweep(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let mut removed = 0;
    for _ in 0..BATCHES_A_SWEEP {
        let batch = sqlx::query(SWEEP).bind(BATCH).execute(pool).await?.rows_affected();
        removed += batch;
        if batch < BATCH.cast_unsigned() {
            break;
        }
    }
    Ok(removed)
}
