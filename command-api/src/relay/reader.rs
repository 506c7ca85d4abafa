//! Reads what the relay has not published yet, of many partitions in one statement.
use fittrack_schemas::envelope::StoredEvent;
use sqlx::PgPool;

use super::RelayError;

/// How many events of one partition a round takes: 32 partitions of them are about 6 MB.
pub const EVENTS_PER_PARTITION: usize = 200;

const READ_AFTER: &str = "
    SELECT e.partition, e.position, e.aggregate_type, e.aggregate_id, e.sequence, e.owner_id, e.event_id, e.event_type,
           e.event_version, e.payload, e.metadata, e.command_id, e.occurred_at, e.recorded_at
    FROM unnest($1::integer[], $2::bigint[]) AS cursor (partition, position)
    CROSS JOIN LATERAL (
        SELECT * FROM events
        WHERE events.partition = cursor.partition AND events.position > cursor.position
        ORDER BY events.position LIMIT $3
    ) e
    ORDER BY e.partition, e.position";

/// The events after each cursor in partition and position order, without a hole.
pub async fn read_after(pool: &PgPool, cursors: &[(i32, i64)], limit: usize) -> Result<Vec<StoredEvent>, RelayError> {
    let (partitions, positions): (Vec<i32>, Vec<i64>) = cursors.iter().copied().unzip();
    let events: Vec<StoredEvent> = sqlx::query_as(READ_AFTER)
        .bind(&partitions)
        .bind(&positions)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    let mut expected: std::collections::HashMap<i32, i64> = cursors.iter().map(|(p, at)| (*p, at + 1)).collect();
    for event in &events {
        let next = expected.entry(event.partition).or_insert(event.position);
        if event.position != *next {
            return Err(RelayError::Hole { partition: event.partition, expected: *next, found: event.position });
        }
        *next += 1;
    }
    Ok(events)
}
