//! Imports of zips as rows: received, taken, ended, swept; the pieces of the zips, and what became of each file.
use bytes::Bytes;
use chrono::{DateTime, Utc};
use fittrack_domain::{ids::AthleteId, values::Visibility};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::jobs::{LEASE, worker::Then};

/// How long a finished import is remembered, in seconds.
const KEPT_S: f64 = 7.0 * 86_400.0;
/// How many are removed in one sweep.
const SWEPT: i64 = 20;
/// How many zips wait at once, of all athletes.
const MAX_WAITING: i64 = 100;

/// An import that was asked for before.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Known {
    /// `receiving`, `pending`, `running`, `succeeded` or `failed`.
    pub state: String,
    /// Of its request.
    pub fingerprint: Option<String>,
}

/// An import that a worker has taken.
#[derive(Debug, Clone, FromRow)]
pub struct Taken {
    /// Its id.
    pub import_id: Uuid,
    /// Whose.
    pub athlete_id: Uuid,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// How often it was taken.
    pub attempts: i32,
    /// Whose turn it is: every write names it.
    pub epoch: i64,
    /// How long the zip is.
    pub size_bytes: i64,
    /// Who may see the workouts, as the request said.
    pub visibility: Option<String>,
    /// The shoes or the bike, as the request said.
    pub gear_id: Option<Uuid>,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Stored by this import.
    Stored,
    /// There before.
    Duplicate,
    /// Not taken in.
    Refused,
}

/// A file and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOutcome {
    /// Its name, for its athlete.
    pub name: String,
    /// What became of it.
    pub status: Status,
    /// Why, where that is not clear.
    pub reason: Option<String>,
    /// The workouts it is.
    pub workout_ids: Vec<Uuid>,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
        }
    }
}

/// Whether a zip may be received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// Its pieces may come.
    Receiving,
    /// The athlete has another import under way.
    OneAtATime,
    /// Too many of all athletes wait.
    TooMany,
}

const FIND: &str = "SELECT state, fingerprint FROM import_jobs WHERE import_id = $1 AND athlete_id = $2";

/// An athlete's own import.
pub async fn find(pool: &PgPool, athlete_id: AthleteId, import_id: Uuid) -> Result<Option<Known>, sqlx::Error> {
    sqlx::query_as(FIND).bind(import_id).bind(athlete_id.0).fetch_optional(pool).await
}

const WAITING: &str = "
    SELECT count(*) FROM (
        SELECT FROM import_jobs WHERE state IN ('receiving', 'pending', 'running') LIMIT $1) AS waiting";
const REPLACE: &str = "DELETE FROM import_jobs WHERE athlete_id = $1 AND state = 'receiving'";
const BEGIN: &str = "
    INSERT INTO import_jobs (import_id, athlete_id) VALUES ($1, $2)
    ON CONFLICT (athlete_id) WHERE state IN ('receiving', 'pending', 'running') DO NOTHING";

/// Begins to receive a zip, in the place of one of the same athlete that never came whole.
pub async fn begin(pool: &PgPool, athlete_id: AthleteId, import_id: Uuid) -> Result<Begun, sqlx::Error> {
    let waiting: i64 = sqlx::query_scalar(WAITING).bind(MAX_WAITING).fetch_one(pool).await?;
    if waiting >= MAX_WAITING {
        return Ok(Begun::TooMany);
    }
    let mut transaction = pool.begin().await?;
    sqlx::query(REPLACE).bind(athlete_id.0).execute(&mut *transaction).await?;
    let begun = sqlx::query(BEGIN).bind(import_id).bind(athlete_id.0).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(if begun.rows_affected() == 1 { Begun::Receiving } else { Begun::OneAtATime })
}

const PUT: &str = "
    INSERT INTO import_chunks (import_id, number, athlete_id, content)
    SELECT import_id, $2, athlete_id, $3 FROM import_jobs WHERE import_id = $1 AND state = 'receiving'";

/// Stores a piece of a zip; false where another has taken its place.
pub async fn put(pool: &PgPool, import_id: Uuid, number: i32, piece: &[u8]) -> Result<bool, sqlx::Error> {
    Ok(sqlx::query(PUT).bind(import_id).bind(number).bind(piece).execute(pool).await?.rows_affected() == 1)
}

const GET: &str = "SELECT content FROM import_chunks WHERE import_id = $1 AND number = $2";

/// A piece of a zip.
pub async fn piece(pool: &PgPool, import_id: Uuid, number: i32) -> Result<Option<Bytes>, sqlx::Error> {
    let piece: Option<Vec<u8>> = sqlx::query_scalar(GET).bind(import_id).bind(number).fetch_optional(pool).await?;
    Ok(piece.map(Bytes::from))
}

const DROP: &str = "DELETE FROM import_jobs WHERE import_id = $1 AND state = 'receiving'";

/// Forgets a zip that is not wanted after all.
pub async fn forget(pool: &PgPool, import_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(DROP).bind(import_id).execute(pool).await.map(|_| ())
}

const CANCEL: &str = "DELETE FROM import_jobs WHERE import_id = $1 AND state = 'pending' AND epoch = 0";

/// Forgets a zip that no worker has taken.
pub async fn cancel(pool: &PgPool, import_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(CANCEL).bind(import_id).execute(pool).await.map(|_| ())
}

/// What was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// Of the request.
    pub fingerprint: String,
    /// How long the zip is.
    pub size_bytes: u64,
    /// Who may see the workouts.
    pub visibility: Option<Visibility>,
    /// The shoes or the bike.
    pub gear_id: Option<Uuid>,
}

const QUEUE: &str = "
    UPDATE import_jobs
    SET state = 'pending', fingerprint = $2, size_bytes = $3, visibility = $4, gear_id = $5, expires_at = NULL,
        lease_expires_at = clock_timestamp()
    WHERE import_id = $1 AND state = 'receiving'";

/// The zip is whole and may be worked on; false where another has taken its place.
pub async fn queue(pool: &PgPool, import_id: Uuid, received: &Received) -> Result<bool, sqlx::Error> {
    let queued = sqlx::query(QUEUE)
        .bind(import_id)
        .bind(&received.fingerprint)
        .bind(i64::try_from(received.size_bytes).unwrap_or(i64::MAX))
        .bind(received.visibility.map(Visibility::as_str))
        .bind(received.gear_id)
        .execute(pool)
        .await?;
    Ok(queued.rows_affected() == 1)
}

const TAKE: &str = "
    UPDATE import_jobs
    SET state = 'running', attempts = attempts + 1, epoch = epoch + 1,
        lease_expires_at = clock_timestamp() + make_interval(secs => $1)
    WHERE import_id = (
        SELECT import_id FROM import_jobs
        WHERE state IN ('pending', 'running') AND lease_expires_at <= clock_timestamp()
        ORDER BY lease_expires_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING import_id, athlete_id, requested_at, attempts, epoch, coalesce(size_bytes, 0) AS size_bytes, visibility, gear_id";

/// Takes the job that has waited longest.
pub async fn take(pool: &PgPool) -> Result<Option<Taken>, sqlx::Error> {
    sqlx::query_as(TAKE).bind(LEASE.as_secs_f64()).fetch_optional(pool).await
}

const RENEW: &str = "
    UPDATE import_jobs SET lease_expires_at = clock_timestamp() + make_interval(secs => $3)
    WHERE import_id = $1 AND epoch = $2 AND state = 'running'";

/// A sign of life; false where the job is somebody else's now.
pub async fn renew(pool: &PgPool, job: &Taken) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(RENEW).bind(job.import_id).bind(job.epoch).bind(LEASE.as_secs_f64());
    Ok(query.execute(pool).await?.rows_affected() == 1)
}

const COUNTED: &str = "
    UPDATE import_jobs SET files = $3 WHERE import_id = $1 AND epoch = $2 AND state = 'running'";
const NEXT: &str = "SELECT coalesce(max(number) + 1, 0) FROM import_files WHERE import_id = $1";

/// Says how many files there are; answers how many are done already.
pub async fn counted(pool: &PgPool, job: &Taken, files: i32) -> Result<i32, sqlx::Error> {
    sqlx::query(COUNTED).bind(job.import_id).bind(job.epoch).bind(files).execute(pool).await?;
    sqlx::query_scalar(NEXT).bind(job.import_id).fetch_one(pool).await
}

const PUT_FILE: &str = "
    INSERT INTO import_files (import_id, number, athlete_id, name, status, reason, workout_ids)
    SELECT import_id, $3, athlete_id, $4, $5, $6, $7 FROM import_jobs
    WHERE import_id = $1 AND epoch = $2 AND state = 'running'";

/// Says what became of a file; false where the job is somebody else's now.
pub async fn put_file(pool: &PgPool, job: &Taken, number: i32, outcome: &FileOutcome) -> Result<bool, sqlx::Error> {
    let put = sqlx::query(PUT_FILE)
        .bind(job.import_id)
        .bind(job.epoch)
        .bind(number)
        .bind(&outcome.name)
        .bind(outcome.status.as_str())
        .bind(&outcome.reason)
        .bind(&outcome.workout_ids)
        .execute(pool)
        .await?;
    Ok(put.rows_affected() == 1)
}

const FINISH: &str = "
    UPDATE import_jobs
    SET state = 'succeeded', finished_at = clock_timestamp(), partition = $3, position = $4,
        expires_at = clock_timestamp() + make_interval(secs => $5)
    WHERE import_id = $1 AND epoch = $2 AND state = 'running'";
const CLEAR: &str = "DELETE FROM import_chunks WHERE import_id = $1";

/// Every file was looked at; the last event is not behind this position. False where the job is somebody else's now.
pub async fn finish(pool: &PgPool, job: &Taken, partition: i32, position: i64) -> Result<bool, sqlx::Error> {
    let finished = sqlx::query(FINISH)
        .bind(job.import_id)
        .bind(job.epoch)
        .bind(partition)
        .bind(position)
        .bind(KEPT_S)
        .execute(pool)
        .await?;
    if finished.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(CLEAR).bind(job.import_id).execute(pool).await?;
    Ok(true)
}

const POSTPONE: &str = "
    UPDATE import_jobs
    SET state = 'pending', attempts = attempts - $3, lease_expires_at = clock_timestamp() + make_interval(secs => $4)
    WHERE import_id = $1 AND epoch = $2 AND state = 'running'";
const FAIL: &str = "
    UPDATE import_jobs
    SET state = 'failed', reason = $3, finished_at = clock_timestamp(),
        expires_at = clock_timestamp() + make_interval(secs => $4)
    WHERE import_id = $1 AND epoch = $2 AND state = 'running'";

/// What becomes of a job whose attempt did not end well.
pub async fn end(pool: &PgPool, job: &Taken, then: &Then) -> Result<(), sqlx::Error> {
    if let Then::Fail(reason) = then {
        let query = sqlx::query(FAIL).bind(job.import_id).bind(job.epoch).bind(reason).bind(KEPT_S);
        if query.execute(pool).await?.rows_affected() == 1 {
            sqlx::query(CLEAR).bind(job.import_id).execute(pool).await?;
        }
    }
    if let Some((forgiven, wait)) = then.again() {
        let query = sqlx::query(POSTPONE).bind(job.import_id).bind(job.epoch).bind(forgiven).bind(wait.as_secs_f64());
        query.execute(pool).await?;
    }
    Ok(())
}

const SWEEP: &str = "
    DELETE FROM import_jobs WHERE import_id IN (
        SELECT import_id FROM import_jobs WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $1)";

/// Removes imports that are over, and zips that never came whole; says how many.
pub async fn sweep(pool: &PgPool) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(SWEEP).bind(SWEPT).execute(pool).await?.rows_affected())
}
