//! What is parked, grouped by cause: one line tells an operator what to fix and how many athletes wait for it.
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

/// One cause.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Cause {
    /// The projection and its version.
    pub worker: String,
    /// The type of the events that failed.
    pub event_type: String,
    /// What failed.
    pub error: String,
    /// How many owners are parked because of it.
    pub owners: i64,
    /// How many events of theirs are parked.
    pub events: i64,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Some of the owners, first parked first.
    pub examples: Vec<Uuid>,
}

const CAUSES: &str = "
WITH poison AS (
    SELECT worker, owner_id, event ->> 'event_type' AS event_type, error, parked_at
    FROM parked_events WHERE error IS NOT NULL
), waiting AS (
    SELECT worker, owner_id, count(*) AS events FROM parked_events GROUP BY worker, owner_id
)
SELECT worker, event_type, error, count(*) AS owners, sum(waiting.events)::bigint AS events, min(parked_at) AS since,
       (array_agg(owner_id ORDER BY parked_at, owner_id))[1:10] AS examples
FROM poison JOIN waiting USING (worker, owner_id)
GROUP BY worker, event_type, error
ORDER BY worker, owners DESC, error";

/// Every cause, per projection, the one that holds up most athletes first.
pub async fn causes(read_models: &PgPool) -> Result<Vec<Cause>, sqlx::Error> {
    sqlx::query_as(CAUSES).fetch_all(read_models).await
}
