//! Progress: how far a worker has come in each partition, moved only under the epoch it was read under.
//! Rows are locked in ascending order of partition, as the lease keeper does, so that nobody deadlocks.
use chrono::{DateTime, Utc};
use fittrack_schemas::proof::Mark;
use sqlx::PgConnection;

/// Where to go on in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Start {
    /// The log partition.
    pub partition: i32,
    /// Every event up to here is applied, with the proof of them.
    #[sqlx(flatten)]
    pub mark: Mark,
    /// Kafka's offset to read from; a hint that may be absent, too low or too high.
    pub next_offset: Option<i64>,
}

/// A step over some events of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    /// The log partition.
    pub partition: i32,
    /// The epoch it is held under.
    pub epoch: i64,
    /// Where the checkpoint stands before.
    pub from: i64,
    /// Where it stands after, with the proof of everything up to there.
    pub to: Mark,
    /// Kafka's offset behind the last of the events, if they came that way.
    pub next_offset: Option<i64>,
    /// When the last of the events was recorded.
    pub as_of: DateTime<Utc>,
}

/// A sign of life for one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// The log partition.
    pub partition: i32,
    /// The epoch it is held under.
    pub epoch: i64,
    /// Everything recorded up to here is applied, where that is known.
    pub as_of: Option<DateTime<Utc>>,
}

const LOAD: &str = "
SELECT partition, position, proof_events, proof_hash, next_offset
FROM checkpoints WHERE worker = $1 AND partition = ANY($2) ORDER BY partition";

/// The checkpoints of these partitions; read them after the leases were acquired.
pub async fn load(connection: &mut PgConnection, worker: &str, partitions: &[i32]) -> Result<Vec<Start>, sqlx::Error> {
    sqlx::query_as(LOAD).bind(worker).bind(partitions).fetch_all(connection).await
}

const ADVANCE: &str = "
WITH steps AS (
    SELECT * FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::timestamptz[],
                         $8::bigint[], $9::bigint[])
        AS step (partition, epoch, from_position, to_position, next_offset, as_of, proof_events, proof_hash)
), held AS (
    SELECT c.partition, s.to_position, s.next_offset, s.as_of, s.proof_events, s.proof_hash
    FROM checkpoints c JOIN steps s ON s.partition = c.partition
    WHERE c.worker = $1 AND c.epoch = s.epoch AND c.position = s.from_position
    ORDER BY c.partition
    FOR NO KEY UPDATE OF c
)
UPDATE checkpoints c
SET position = held.to_position, next_offset = coalesce(held.next_offset, c.next_offset),
    heartbeat_at = clock_timestamp(), as_of = greatest(c.as_of, held.as_of),
    proof_events = held.proof_events, proof_hash = held.proof_hash
FROM held
WHERE c.worker = $1 AND c.partition = held.partition";

/// Moves the checkpoints, all of them or (with `false`: roll back) not: then a partition has a new holder.
pub async fn advance(connection: &mut PgConnection, worker: &str, steps: &[Advance]) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(ADVANCE)
        .bind(worker)
        .bind(steps.iter().map(|step| step.partition).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.epoch).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.from).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.to.position).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.next_offset).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.as_of).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.to.proof.events).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.to.proof.hash).collect::<Vec<_>>())
        .execute(connection)
        .await?
        .rows_affected();
    Ok(usize::try_from(moved) == Ok(steps.len()))
}

const BEAT: &str = "
WITH beats AS (
    SELECT * FROM unnest($2::integer[], $3::bigint[], $4::timestamptz[]) AS beat (partition, epoch, as_of)
), held AS (
    SELECT c.partition, b.as_of
    FROM checkpoints c JOIN beats b ON b.partition = c.partition
    WHERE c.worker = $1 AND c.epoch = b.epoch
    ORDER BY c.partition
    FOR NO KEY UPDATE OF c
)
UPDATE checkpoints c SET heartbeat_at = clock_timestamp(), as_of = greatest(c.as_of, held.as_of)
FROM held
WHERE c.worker = $1 AND c.partition = held.partition";

/// Says that this worker lives, and how fresh its rows are.
pub async fn beat(connection: &mut PgConnection, worker: &str, beats: &[Beat]) -> Result<(), sqlx::Error> {
    sqlx::query(BEAT)
        .bind(worker)
        .bind(beats.iter().map(|beat| beat.partition).collect::<Vec<_>>())
        .bind(beats.iter().map(|beat| beat.epoch).collect::<Vec<_>>())
        .bind(beats.iter().map(|beat| beat.as_of).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
