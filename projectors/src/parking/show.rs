//! One parked owner in full (`projectors parked show`): the event that failed, why, what waits behind it, and the rows as they
//! were before it, which is how they are: nothing of the owner has been applied since.
use chrono::{DateTime, Utc};
use fittrack_schemas::envelope::StoredEvent;
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, types::Json};
use uuid::Uuid;

use crate::registry::Built;

/// At most so many waiting events are named.
const MOST_WAITING: i64 = 100;
/// At most so many rows are shown.
const MOST_ROWS: i64 = 20;

/// A parked owner of one projection.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The projection and its version.
    pub worker: String,
    /// Whose.
    pub owner_id: Uuid,
    /// The event that failed.
    pub event: StoredEvent,
    /// Why.
    pub error: String,
    /// Since when.
    pub parked_at: DateTime<Utc>,
    /// How many events wait behind it.
    pub waiting: i64,
    /// The first of them.
    pub first_waiting: Vec<Waiting>,
    /// Rows of the owner before the event, the one it is about first; none where this program has no such projection.
    pub rows_before: Vec<Value>,
    /// Whether there are more rows.
    pub more_rows: bool,
}

/// An event that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct Waiting {
    /// Its position in the log partition.
    pub position: i64,
    /// Its type.
    pub event_type: String,
    /// When it was stored.
    pub recorded_at: String,
}

#[derive(FromRow)]
struct Poison {
    event: Json<StoredEvent>,
    error: String,
    parked_at: DateTime<Utc>,
    waiting: i64,
}

const POISON: &str = "
SELECT event, error, parked_at,
       (SELECT count(*) FROM parked_events w
        WHERE w.worker = p.worker AND w.partition = p.partition AND w.owner_id = p.owner_id AND w.error IS NULL) AS waiting
FROM parked_events p
WHERE worker = $1 AND partition = $2 AND owner_id = $3 AND error IS NOT NULL
ORDER BY position LIMIT 1";

const WAITING: &str = "
SELECT position, event ->> 'event_type' AS event_type, event ->> 'recorded_at' AS recorded_at
FROM parked_events WHERE worker = $1 AND partition = $2 AND owner_id = $3 AND error IS NULL
ORDER BY position LIMIT $4";

/// What is parked of an owner in a projection; nothing where nothing is.
pub async fn show(
    connection: &mut PgConnection,
    worker: &str,
    partition: i32,
    owner_id: Uuid,
) -> Result<Option<Shown>, sqlx::Error> {
    let poison: Option<Poison> =
        sqlx::query_as(POISON).bind(worker).bind(partition).bind(owner_id).fetch_optional(&mut *connection).await?;
    let Some(Poison { event: Json(event), error, parked_at, waiting }) = poison else { return Ok(None) };
    let first_waiting = sqlx::query_as(WAITING)
        .bind(worker)
        .bind(partition)
        .bind(owner_id)
        .bind(MOST_WAITING)
        .fetch_all(&mut *connection)
        .await?;
    let mut rows_before = match Built::of_worker(worker) {
        Some(built) => rows(connection, built, owner_id, &event.aggregate_id).await?,
        None => vec![],
    };
    let shown = usize::try_from(MOST_ROWS).unwrap_or(usize::MAX);
    let more_rows = rows_before.len() > shown;
    rows_before.truncate(shown);
    let worker = worker.to_owned();
    Ok(Some(Shown { worker, owner_id, event, error, parked_at, waiting, first_waiting, rows_before, more_rows }))
}

/// One more row than is shown; the row of the event's own stream first, where it has one.
async fn rows(
    connection: &mut PgConnection,
    built: Built,
    owner_id: Uuid,
    stream_id: &str,
) -> Result<Vec<Value>, sqlx::Error> {
    let sql = format!(
        "SELECT to_jsonb(r) FROM {} r WHERE r.athlete_id = $1
         ORDER BY (to_jsonb(r) ->> 'workout_id') IS NOT DISTINCT FROM $2 DESC LIMIT $3",
        built.table()
    );
    sqlx::query_scalar(&sql).bind(owner_id).bind(stream_id).bind(MOST_ROWS + 1).fetch_all(connection).await
}
