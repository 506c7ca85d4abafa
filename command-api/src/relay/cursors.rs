//! How far each held partition is published, in memory and (lazily) in the table `checkpoints`: the position, and the
//! proof of what Kafka has acknowledged up to exactly there.
use std::collections::HashMap;

use fittrack_runtime::{clock, lease::Held};
use fittrack_schemas::proof::Mark;
use metrics::gauge;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    RelayError, WORKER,
    checkpoints::{self, Checkpoint},
};

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

/// The cursors of partitions that were just gained.
pub async fn read(pool: &PgPool, gained: &[Held]) -> Result<HashMap<i32, Cursor>, RelayError> {
    let rows = checkpoints::read(pool, WORKER, gained).await?;
    let cursor = |row: Checkpoint| Cursor { published: row.mark, written: row.mark.position, epoch: row.epoch };
    Ok(rows.into_iter().map(|row| (row.partition, cursor(row))).collect())
}

/// Writes what has moved.
pub async fn write(pool: &PgPool, cursors: &mut HashMap<i32, Cursor>) -> Result<(), RelayError> {
    let moved = |(partition, cursor): (&i32, &Cursor)| Checkpoint {
        partition: *partition,
        epoch: cursor.epoch,
        mark: cursor.published,
    };
    let moved: Vec<Checkpoint> = cursors.iter().filter(|(_, c)| c.published.position > c.written).map(moved).collect();
    checkpoints::write(pool, WORKER, moved).await?;
    for cursor in cursors.values_mut() {
        cursor.written = cursor.published.position;
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
