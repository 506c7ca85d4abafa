//! Every statement of the leases, one round trip each, timed by the database's clock.
//! `checkpoints` and `lease_members` are made by the migrations of the event store and of the read models, with the same columns.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::{Held, Inner};

/// Makes the checkpoint rows of a worker that has never run; existing ones stay as they are.
const SEED: &str = "
    INSERT INTO checkpoints (worker, partition)
    SELECT $1, p FROM generate_series($2::int, $3::int - 1) AS p
    ON CONFLICT (worker, partition) DO NOTHING";

/// Says that this process lives, forgets those long dead, and lists the live others. ($1 worker, $2 holder, $3 ttl)
const ANNOUNCE: &str = "
    WITH me AS (
        INSERT INTO lease_members (worker, holder, expires_at)
        VALUES ($1, $2, clock_timestamp() + $3)
        ON CONFLICT (worker, holder) DO UPDATE SET expires_at = excluded.expires_at
    ), long_dead AS (
        DELETE FROM lease_members
        WHERE worker = $1 AND holder <> $2 AND expires_at < clock_timestamp() - 10 * $3::interval
    )
    SELECT holder FROM lease_members
    WHERE worker = $1 AND holder <> $2 AND expires_at > clock_timestamp()";

/// An expired lease that nobody has taken may be renewed: its epoch is still ours alone.
/// Rows are locked in ascending order, as writers of several checkpoints must do too: then nobody deadlocks.
const RENEW: &str = "
    WITH mine AS (
        SELECT partition FROM checkpoints
        WHERE worker = $1 AND holder = $2 AND partition >= $4 AND partition < $5
        ORDER BY partition
        FOR NO KEY UPDATE
    )
    UPDATE checkpoints c
    SET lease_expires_at = clock_timestamp() + $3, heartbeat_at = clock_timestamp()
    FROM mine
    WHERE c.worker = $1 AND c.partition = mine.partition
    RETURNING c.partition, c.epoch, c.position";

/// Skipping locked rows keeps two takers from waiting for each other; what is skipped is there at the next tick.
const TAKE: &str = "
    WITH free AS (
        SELECT partition FROM checkpoints
        WHERE worker = $1 AND partition >= $4 AND partition < $5
          AND (holder IS NULL OR lease_expires_at IS NULL OR lease_expires_at < clock_timestamp())
        ORDER BY partition
        LIMIT $6
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE checkpoints c
    SET holder = $2, epoch = c.epoch + 1,
        lease_expires_at = clock_timestamp() + $3, heartbeat_at = clock_timestamp()
    FROM free
    WHERE c.worker = $1 AND c.partition = free.partition
    RETURNING c.partition, c.epoch, c.position";

const RELEASE: &str = "
    WITH mine AS (
        SELECT partition FROM checkpoints
        WHERE worker = $1 AND holder = $2 AND partition = ANY($3)
        ORDER BY partition
        FOR NO KEY UPDATE
    )
    UPDATE checkpoints c SET holder = NULL, lease_expires_at = NULL
    FROM mine
    WHERE c.worker = $1 AND c.partition = mine.partition";

const RELEASE_ALL: &str = "
    WITH left_members AS (
        DELETE FROM lease_members WHERE worker = $1 AND holder = $2
    ), mine AS (
        SELECT partition FROM checkpoints
        WHERE worker = $1 AND holder = $2
        ORDER BY partition
        FOR NO KEY UPDATE
    )
    UPDATE checkpoints c SET holder = NULL, lease_expires_at = NULL
    FROM mine
    WHERE c.worker = $1 AND c.partition = mine.partition";

pub(super) async fn seed(keeper: &Inner) -> Result<(), sqlx::Error> {
    sqlx::query(SEED)
        .bind(&keeper.worker)
        .bind(keeper.partitions.start)
        .bind(keeper.partitions.end)
        .execute(&keeper.pool)
        .await?;
    Ok(())
}

pub(super) async fn announce(keeper: &Inner) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(ANNOUNCE)
        .bind(&keeper.worker)
        .bind(keeper.holder)
        .bind(interval(keeper.ttl))
        .fetch_all(&keeper.pool)
        .await
}

/// What is held, by partition.
pub(super) async fn renew(keeper: &Inner) -> Result<Vec<Held>, sqlx::Error> {
    let mut held: Vec<Held> = sqlx::query_as(RENEW)
        .bind(&keeper.worker)
        .bind(keeper.holder)
        .bind(interval(keeper.ttl))
        .bind(keeper.partitions.start)
        .bind(keeper.partitions.end)
        .fetch_all(&keeper.pool)
        .await?;
    held.sort_by_key(|lease| lease.partition);
    Ok(held)
}

pub(super) async fn take(keeper: &Inner, at_most: usize) -> Result<Vec<Held>, sqlx::Error> {
    sqlx::query_as(TAKE)
        .bind(&keeper.worker)
        .bind(keeper.holder)
        .bind(interval(keeper.ttl))
        .bind(keeper.partitions.start)
        .bind(keeper.partitions.end)
        .bind(i64::try_from(at_most).unwrap_or(i64::MAX))
        .fetch_all(&keeper.pool)
        .await
}

pub(super) async fn release(keeper: &Inner, partitions: &[i32]) -> Result<(), sqlx::Error> {
    sqlx::query(RELEASE).bind(&keeper.worker).bind(keeper.holder).bind(partitions).execute(&keeper.pool).await?;
    Ok(())
}

pub(super) async fn release_all(keeper: &Inner) -> Result<(), sqlx::Error> {
    sqlx::query(RELEASE_ALL).bind(&keeper.worker).bind(keeper.holder).execute(&keeper.pool).await?;
    Ok(())
}

fn interval(duration: Duration) -> PgInterval {
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
