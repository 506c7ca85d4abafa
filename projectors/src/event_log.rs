//! Reads the event store, read-only: events by position (healing, following without Kafka) and the heads.
//! Short statements over ranges of positions: the log never changes, so no snapshot is held over several of them.
use chrono::{DateTime, Utc};
use fittrack_schemas::envelope::StoredEvent;
use sqlx::{PgPool, Row};

/// The next events of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The log partition.
    pub partition: i32,
    /// Events after this position.
    pub after: i64,
    /// At most so many.
    pub at_most: i64,
}

const AFTER: &str = "
SELECT e.partition, e.position, e.aggregate_type, e.aggregate_id, e.sequence, e.owner_id, e.event_id, e.event_type,
       e.event_version, e.payload, e.metadata, e.command_id, e.occurred_at, e.recorded_at
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS wanted (partition, after, at_most)
CROSS JOIN LATERAL (
    SELECT * FROM events
    WHERE events.partition = wanted.partition AND events.position > wanted.after
    ORDER BY events.position LIMIT wanted.at_most
) e
ORDER BY e.partition, e.position";

/// The next events of several partitions, by partition and position.
pub async fn after(store: &PgPool, wanted: &[Wanted]) -> Result<Vec<StoredEvent>, sqlx::Error> {
    sqlx::query_as(AFTER)
        .bind(wanted.iter().map(|wanted| wanted.partition).collect::<Vec<_>>())
        .bind(wanted.iter().map(|wanted| wanted.after).collect::<Vec<_>>())
        .bind(wanted.iter().map(|wanted| wanted.at_most).collect::<Vec<_>>())
        .fetch_all(store)
        .await
}

/// How far some partitions of the log go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads {
    /// When they were looked at, by the store's clock: what was stored before is below them.
    pub at: DateTime<Utc>,
    /// The highest position of each, 0 for an empty one.
    pub heads: Vec<(i32, i64)>,
}

/// The instant is taken by the statement's own start, before its snapshot.
const HEADS: &str = "
SELECT statement_timestamp() AS at, asked.partition, coalesce(head.position, 0) AS position
FROM unnest($1::integer[]) AS asked (partition)
LEFT JOIN LATERAL (
    SELECT position FROM events WHERE events.partition = asked.partition ORDER BY position DESC LIMIT 1
) head ON true";

/// The heads of these partitions; `None` when none were asked for.
pub async fn heads(store: &PgPool, partitions: &[i32]) -> Result<Option<Heads>, sqlx::Error> {
    let rows = sqlx::query(HEADS).bind(partitions).fetch_all(store).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let at = first.try_get("at")?;
    let heads = rows
        .iter()
        .map(|row| Ok((row.try_get("partition")?, row.try_get("position")?)))
        .collect::<Result<_, sqlx::Error>>()?;
    Ok(Some(Heads { at, heads }))
}

/// How many log partitions the store has.
pub async fn partitions(store: &PgPool) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT partitions FROM store_settings").fetch_one(store).await
}
