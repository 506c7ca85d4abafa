//! How far each held partition is published, in memory and (lazily) in the table `checkpoints`: the position, and the
//! proof of what Kafka has acknowledged up to exactly there.
use std::collections::HashMap;

use fittrack_runtime::{clock, lease::Held};
use fittrack_schemas::proof::Mark;
use metrics::gauge;
use sqlx::PgPool;
use uuid::Uuid;

use super::{RelayError, WORKER};

/// A held partition's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Every event up to here is acknowledged by Kafka.
    pub published: Mark,
    /// The position the table says.
    written: i64,
    /// The epoch the partition is held under.
    epoch: i64,
}

impl Cursor {
    /// Moves over an event that Kafka has acknowledged; over none that it has passed.
    pub fn advance(&mut self, position: i64, event_id: Uuid) {
        if position > self.published.position {
            self.published.pass(position, event_id);
        }
    }
}

/// One checkpoint as the table has it.
#[derive(sqlx::FromRow)]
struct Written {
    partition: i32,
    epoch: i64,
    #[sqlx(flatten)]
    mark: Mark,
}

const READ: &str = "
    SELECT c.partition, c.epoch, c.position, c.proof_events, c.proof_hash
    FROM unnest($2::integer[], $3::bigint[]) AS held (partition, epoch)
    JOIN checkpoints c ON c.worker = $1 AND c.partition = held.partition AND c.epoch = held.epoch";

/// The cursors of partitions that were just gained. From the takeover on nobody else moves them; one that was taken by
/// another meanwhile is not among them, and the next tick says that it is lost.
pub async fn read(pool: &PgPool, gained: &[Held]) -> Result<HashMap<i32, Cursor>, RelayError> {
    if gained.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Written> = sqlx::query_as(READ)
        .bind(WORKER)
        .bind(gained.iter().map(|held| held.partition).collect::<Vec<_>>())
        .bind(gained.iter().map(|held| held.epoch).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    let cursor = |row: Written| Cursor { published: row.mark, written: row.mark.position, epoch: row.epoch };
    Ok(rows.into_iter().map(|row| (row.partition, cursor(row))).collect())
}

const WRITE: &str = "
    UPDATE checkpoints c
    SET position = moved.position, proof_events = moved.proof_events, proof_hash = moved.proof_hash,
        heartbeat_at = clock_timestamp()
    FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
         AS moved (partition, epoch, position, proof_events, proof_hash)
    WHERE c.worker = $1 AND c.partition = moved.partition AND c.epoch = moved.epoch AND c.position < moved.position";

/// Writes what has moved. A cursor held under an older epoch changes nothing: its partition has a new holder.
pub async fn write(pool: &PgPool, cursors: &mut HashMap<i32, Cursor>) -> Result<(), RelayError> {
    let moved: Vec<(i32, Cursor)> = cursors
        .iter()
        .filter(|(_, c)| c.published.position > c.written)
        .map(|(partition, cursor)| (*partition, *cursor))
        .collect();
    if moved.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Cursor) -> i64| moved.iter().map(|(_, cursor)| of(cursor)).collect::<Vec<_>>();
    sqlx::query(WRITE)
        .bind(WORKER)
        .bind(moved.iter().map(|(partition, _)| *partition).collect::<Vec<_>>())
        .bind(column(|cursor| cursor.epoch))
        .bind(column(|cursor| cursor.published.position))
        .bind(column(|cursor| cursor.published.proof.events))
        .bind(column(|cursor| cursor.published.proof.hash))
        .execute(pool)
        .await?;
    for (partition, written) in moved {
        if let Some(cursor) = cursors.get_mut(&partition) {
            cursor.written = written.published.position;
        }
    }
    Ok(())
}

const BACKLOG: &str = "
    SELECT coalesce(sum(head.position - held.position), 0)::bigint,
           min(oldest.recorded_at)
    FROM unnest($1::integer[], $2::bigint[]) AS held (partition, position)
    CROSS JOIN LATERAL (
        SELECT e.position FROM events e WHERE e.partition = held.partition ORDER BY e.position DESC LIMIT 1
    ) head
    LEFT JOIN LATERAL (
        SELECT e.recorded_at FROM events e WHERE e.partition = held.partition AND e.position = held.position + 1
    ) oldest ON true";

/// Measures how much of the held partitions waits, and since when: the first sign of a Kafka that is away.
pub async fn measure_backlog(pool: &PgPool, cursors: &HashMap<i32, Cursor>) -> Result<(), RelayError> {
    let (partitions, positions): (Vec<i32>, Vec<i64>) =
        cursors.iter().map(|(partition, cursor)| (*partition, cursor.published.position)).unzip();
    let (events, oldest): (i64, Option<chrono::DateTime<chrono::Utc>>) =
        sqlx::query_as(BACKLOG).bind(&partitions).bind(&positions).fetch_one(pool).await?;
    let age_s = oldest.map_or(0.0, |oldest| (clock::now() - oldest).as_seconds_f64().max(0.0));
    gauge!("fittrack_relay_backlog_events").set(events as f64);
    gauge!("fittrack_relay_backlog_age_seconds").set(age_s);
    Ok(())
}
