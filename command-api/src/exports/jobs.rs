//! Exports as rows: asked for, taken, ended, swept; and the pieces of the zips they make.
use bytes::Bytes;
use chrono::{DateTime, Utc};
use fittrack_domain::ids::AthleteId;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::jobs::{LEASE, pieces::Written, worker::Then};

/// How long a finished export is kept, in seconds.
const KEPT_S: f64 = 7.0 * 86_400.0;
/// How many are removed in one sweep.
const SWEPT: i64 = 20;

/// An export as its athlete is told of it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Export {
    /// Its id.
    pub export_id: Uuid,
    /// `pending`, `running`, `succeeded` or `failed`.
    pub state: String,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it goes, of a finished one.
    pub expires_at: Option<DateTime<Utc>>,
    /// How long its zip is.
    pub size_bytes: Option<i64>,
    /// SHA-256 of its zip.
    pub sha256: Option<Vec<u8>>,
    /// Why it failed.
    pub reason: Option<String>,
    /// Names the pieces of its zip.
    pub epoch: i64,
}

/// An export that a worker has taken.
#[derive(Debug, Clone, FromRow)]
pub struct Taken {
    /// Its id.
    pub export_id: Uuid,
    /// Whose.
    pub athlete_id: Uuid,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// How often it was taken.
    pub attempts: i32,
    /// Whose turn it is: every write names it.
    pub epoch: i64,
}

const REQUEST: &str = "
    INSERT INTO export_jobs (export_id, athlete_id) VALUES ($1, $2)
    ON CONFLICT (athlete_id) WHERE state IN ('pending', 'running') DO NOTHING";
const UNDER_WAY: &str = "
    SELECT export_id, state, requested_at, finished_at, expires_at, size_bytes, sha256, reason, epoch
    FROM export_jobs WHERE athlete_id = $1 AND state IN ('pending', 'running')";

/// A new export; the one under way where there is one.
pub async fn request(pool: &PgPool, athlete_id: AthleteId) -> Result<Export, sqlx::Error> {
    loop {
        sqlx::query(REQUEST).bind(Uuid::now_v7()).bind(athlete_id.0).execute(pool).await?;
        // It may have ended in between; then the next turn makes a new one.
        if let Some(export) = sqlx::query_as(UNDER_WAY).bind(athlete_id.0).fetch_optional(pool).await? {
            return Ok(export);
        }
    }
}

const FIND: &str = "
    SELECT export_id, state, requested_at, finished_at, expires_at, size_bytes, sha256, reason, epoch
    FROM export_jobs WHERE export_id = $1 AND athlete_id = $2";

/// An athlete's own export.
pub async fn find(pool: &PgPool, athlete_id: AthleteId, export_id: Uuid) -> Result<Option<Export>, sqlx::Error> {
    sqlx::query_as(FIND).bind(export_id).bind(athlete_id.0).fetch_optional(pool).await
}

const IS_ANOTHER_S: &str = "SELECT EXISTS (SELECT FROM export_jobs WHERE export_id = $1 AND athlete_id <> $2)";

/// Whether an export is somebody else's.
pub async fn is_another_s(pool: &PgPool, athlete_id: AthleteId, export_id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(IS_ANOTHER_S).bind(export_id).bind(athlete_id.0).fetch_one(pool).await
}

const TAKE: &str = "
    UPDATE export_jobs
    SET state = 'running', attempts = attempts + 1, epoch = epoch + 1,
        lease_expires_at = clock_timestamp() + make_interval(secs => $1)
    WHERE export_id = (
        SELECT export_id FROM export_jobs
        WHERE state IN ('pending', 'running') AND lease_expires_at <= clock_timestamp()
        ORDER BY lease_expires_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING export_id, athlete_id, requested_at, attempts, epoch";
/// Never what a later attempt has written, however late this comes.
const CLEAR: &str = "DELETE FROM export_chunks WHERE export_id = $1 AND epoch <= $2";

/// Takes the job that has waited longest, without what an earlier attempt wrote.
pub async fn take(pool: &PgPool) -> Result<Option<Taken>, sqlx::Error> {
    let taken: Option<Taken> = sqlx::query_as(TAKE).bind(LEASE.as_secs_f64()).fetch_optional(pool).await?;
    if let Some(taken) = &taken {
        sqlx::query(CLEAR).bind(taken.export_id).bind(taken.epoch - 1).execute(pool).await?;
    }
    Ok(taken)
}

const RENEW: &str = "
    UPDATE export_jobs SET lease_expires_at = clock_timestamp() + make_interval(secs => $3)
    WHERE export_id = $1 AND epoch = $2 AND state = 'running'";

/// A sign of life; false where the job is somebody else's now.
pub async fn renew(pool: &PgPool, job: &Taken) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(RENEW).bind(job.export_id).bind(job.epoch).bind(LEASE.as_secs_f64());
    Ok(query.execute(pool).await?.rows_affected() == 1)
}

const PUT: &str = "
    INSERT INTO export_chunks (export_id, epoch, number, athlete_id, content)
    SELECT export_id, epoch, $3, athlete_id, $4 FROM export_jobs
    WHERE export_id = $1 AND epoch = $2 AND state = 'running'";

/// Stores a piece; false where the job is somebody else's now.
pub async fn put(pool: &PgPool, job: &Taken, number: i32, piece: &[u8]) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(PUT).bind(job.export_id).bind(job.epoch).bind(number).bind(piece);
    Ok(query.execute(pool).await?.rows_affected() == 1)
}

const GET: &str = "SELECT content FROM export_chunks WHERE export_id = $1 AND epoch = $2 AND number = $3";

/// A piece of a finished export's zip.
pub async fn piece(pool: &PgPool, export: &Export, number: i32) -> Result<Option<Bytes>, sqlx::Error> {
    let query = sqlx::query_scalar(GET).bind(export.export_id).bind(export.epoch).bind(number);
    Ok(query.fetch_optional(pool).await?.map(|piece: Vec<u8>| piece.into()))
}

const FINISH: &str = "
    UPDATE export_jobs
    SET state = 'succeeded', finished_at = clock_timestamp(), size_bytes = $3, sha256 = $4,
        expires_at = clock_timestamp() + make_interval(secs => $5)
    WHERE export_id = $1 AND epoch = $2 AND state = 'running'";
const REPLACE: &str = "
    DELETE FROM export_jobs WHERE athlete_id = $1 AND export_id <> $2 AND state IN ('succeeded', 'failed')";

/// The zip is whole; it replaces the athlete's older ones. False where the job is somebody else's now.
pub async fn finish(pool: &PgPool, job: &Taken, zip: Written) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let finished = sqlx::query(FINISH)
        .bind(job.export_id)
        .bind(job.epoch)
        .bind(i64::try_from(zip.bytes).unwrap_or(i64::MAX))
        .bind(&zip.sha256[..])
        .bind(KEPT_S)
        .execute(&mut *transaction)
        .await?;
    if finished.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(REPLACE).bind(job.athlete_id).bind(job.export_id).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

const POSTPONE: &str = "
    UPDATE export_jobs
    SET state = 'pending', attempts = attempts - $3, lease_expires_at = clock_timestamp() + make_interval(secs => $4)
    WHERE export_id = $1 AND epoch = $2 AND state = 'running'";
const FAIL: &str = "
    UPDATE export_jobs
    SET state = 'failed', reason = $3, finished_at = clock_timestamp(),
        expires_at = clock_timestamp() + make_interval(secs => $4)
    WHERE export_id = $1 AND epoch = $2 AND state = 'running'";

/// What becomes of a job whose attempt did not end well.
pub async fn end(pool: &PgPool, job: &Taken, then: &Then) -> Result<(), sqlx::Error> {
    if let Then::Fail(reason) = then {
        let query = sqlx::query(FAIL).bind(job.export_id).bind(job.epoch).bind(reason).bind(KEPT_S);
        query.execute(pool).await?;
        sqlx::query(CLEAR).bind(job.export_id).bind(job.epoch).execute(pool).await?;
    }
    if let Some((forgiven, wait)) = then.again() {
        let query = sqlx::query(POSTPONE).bind(job.export_id).bind(job.epoch).bind(forgiven).bind(wait.as_secs_f64());
        query.execute(pool).await?;
    }
    Ok(())
}

const SWEEP: &str = "
    DELETE FROM export_jobs WHERE export_id IN (
        SELECT export_id FROM export_jobs WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $1)";

/// Removes finished exports that are over; says how many.
pub async fn sweep(pool: &PgPool) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(SWEEP).bind(SWEPT).execute(pool).await?.rows_affected())
}
