//! How far each held partition is published, in memory and (lazily) in the table `checkpoints`.
use std::collections::HashMap;

use fittrack_runtime::{clock, lease::Held};
use metrics::gauge;
use sqlx::PgPool;

use super::{RelayError, WORKER};

/// A held partition's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Every event up to here is acknowledged by Kafka.
    pub position: i64,
    /// What the table says.
    written: i64,
    /// The epoch the partition is held under.
    epoch: i64,
}

impl From<&Held> for Cursor {
    fn from(held: &Held) -> Self {
        Self { position: held.position, written: held.position, epoch: held.epoch }
    }
}

impl Cursor {
    /// Moves forward, never back.
    pub fn advance(&mut self, position: i64) {
        self.position = self.position.max(position);
    }
}

const WRITE: &str = "
    UPDATE checkpoints c SET position = moved.position, heartbeat_at = clock_timestamp()
    FROM unnest($2::integer[], $3::bigint[], $4::bigint[]) AS moved (partition, position, epoch)
    WHERE c.worker = $1 AND c.partition = moved.partition AND c.epoch = moved.epoch AND c.position < moved.position";

/// Writes what has moved. A cursor held under an older epoch changes nothing: its partition has a new holder.
pub async fn write(pool: &PgPool, cursors: &mut HashMap<i32, Cursor>) -> Result<(), RelayError> {
    let moved: Vec<(i32, Cursor)> = cursors
        .iter()
        .filter(|(_, c)| c.position > c.written)
        .map(|(partition, cursor)| (*partition, *cursor))
        .collect();
    if moved.is_empty() {
        return Ok(());
    }
    sqlx::query(WRITE)
        .bind(WORKER)
        .bind(moved.iter().map(|(partition, _)| *partition).collect::<Vec<_>>())
        .bind(moved.iter().map(|(_, cursor)| cursor.position).collect::<Vec<_>>())
        .bind(moved.iter().map(|(_, cursor)| cursor.epoch).collect::<Vec<_>>())
        .execute(pool)
        .await?;
    for (partition, written) in moved {
        if let Some(cursor) = cursors.get_mut(&partition) {
            cursor.written = written.position;
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
        cursors.iter().map(|(partition, cursor)| (*partition, cursor.position)).unzip();
    let (events, oldest): (i64, Option<chrono::DateTime<chrono::Utc>>) =
        sqlx::query_as(BACKLOG).bind(&partitions).bind(&positions).fetch_one(pool).await?;
    let age_s = oldest.map_or(0.0, |oldest| (clock::now() - oldest).as_seconds_f64().max(0.0));
    gauge!("fittrack_relay_backlog_events").set(events as f64);
    gauge!("fittrack_relay_backlog_age_seconds").set(age_s);
    Ok(())
}
