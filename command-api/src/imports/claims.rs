//! Which activity is which workout: claims, written before the workout's event, under a lock per athlete, in one short
//! transaction. A claim whose event never came is taken over by the next upload of the activity.
//!
//! Blobs are swept when no claim names them, so a claim must name what its event names. Hence the one rule that is not
//! obvious: while an upload may still be on its way to its event, another *file* of the same activity waits (409), and
//! only the same file goes on under the same id.
use chrono::{DateTime, Utc};
use fittrack_domain::ids::{AthleteId, WorkoutId};
use sqlx::{Connection, FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::overlap::Span;

/// No upload is on its way to its event for longer than this, in seconds.
const UNDER_WAY_S: f64 = 300.0;

/// What an activity is recognised by.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its place in the file, from 0.
    pub leg: i32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// From start to end.
    pub duration_ms: i64,
    /// How far.
    pub distance_mm: Option<i64>,
    /// SHA-256 of the file.
    pub original_sha256: [u8; 32],
    /// SHA-256 of its encoded samples.
    pub recording_sha256: [u8; 32],
}

/// What is to be done with an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Store it under this id.
    Proceed(WorkoutId),
    /// It is there.
    Duplicate(Existing),
    /// It is the same activity as an earlier one of this file, which is stored under this id.
    Repeats(WorkoutId),
}

/// A workout that is there, and where its stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Its id.
    pub workout_id: WorkoutId,
    /// Its stream's version.
    pub version: i64,
    /// Its log partition.
    pub partition: i32,
    /// The position of its last event.
    pub position: i64,
}

/// What a claimed workout's stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stream {
    /// Nothing yet.
    Unknown,
    /// It is there.
    Logged(Existing),
    /// It was deleted or erased.
    Gone,
}

/// Why activities could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another file of the same activity is under way.
    #[error("another file of the same activity is under way")]
    Busy,
    /// The athlete's account was erased.
    #[error("the account was erased")]
    Erased,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Claims a file's activities for an athlete: one answer for each.
pub async fn claim(pool: &PgPool, athlete_id: AthleteId, file: &[Candidate]) -> Result<Vec<Claim>, ClaimError> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    lock(&mut transaction, athlete_id).await?;
    if sqlx::query_scalar(IS_ERASED).bind(athlete_id.0).fetch_one(&mut *transaction).await? {
        return Err(ClaimError::Erased);
    }
    let mut claims = Vec::with_capacity(file.len());
    let mut taken = Vec::with_capacity(file.len());
    for candidate in file {
        let claim = claim_one(&mut transaction, athlete_id, candidate, &taken).await?;
        if let Claim::Proceed(workout_id) = claim {
            taken.push(workout_id);
        }
        claims.push(claim);
    }
    transaction.commit().await?;
    Ok(claims)
}

async fn claim_one(
    connection: &mut PgConnection,
    athlete_id: AthleteId,
    candidate: &Candidate,
    taken: &[WorkoutId],
) -> Result<Claim, ClaimError> {
    for known in known_claims(connection, athlete_id, candidate).await? {
        let workout_id = WorkoutId(known.workout_id);
        if taken.contains(&workout_id) {
            return Ok(Claim::Repeats(workout_id));
        }
        match stream_of(connection, workout_id).await? {
            Stream::Logged(existing) => return Ok(Claim::Duplicate(existing)),
            Stream::Gone => delete(connection, athlete_id, workout_id).await?,
            Stream::Unknown if known.is_under_way && !known.is_exact => return Err(ClaimError::Busy),
            Stream::Unknown => {
                // Made anew, so that it is young again and names what this upload's event will name.
                delete(connection, athlete_id, workout_id).await?;
                insert(connection, athlete_id, workout_id, candidate).await?;
                return Ok(Claim::Proceed(workout_id));
            }
        }
    }
    let workout_id = WorkoutId(Uuid::now_v7());
    insert(connection, athlete_id, workout_id, candidate).await?;
    Ok(Claim::Proceed(workout_id))
}

#[derive(FromRow)]
struct KnownRow {
    workout_id: Uuid,
    started_at: DateTime<Utc>,
    duration_ms: i64,
    distance_mm: Option<i64>,
    is_exact: bool,
    is_under_way: bool,
}

const KNOWN: &str = "
    SELECT workout_id, started_at, duration_ms, distance_mm, original_sha256 = $2 AND leg = $3 AS is_exact,
           claimed_at > clock_timestamp() - make_interval(secs => $6) AS is_under_way
    FROM import_claims
    WHERE athlete_id = $1 AND (original_sha256 = $2 AND leg = $3 OR started_at BETWEEN $4 AND $5)
    ORDER BY claimed_at LIMIT 100";

/// Claims of the same activity: the same leg of the same file first, then the most common time.
async fn known_claims(
    connection: &mut PgConnection,
    athlete_id: AthleteId,
    candidate: &Candidate,
) -> Result<Vec<KnownRow>, sqlx::Error> {
    let span = Span {
        started_at: candidate.started_at,
        duration_ms: candidate.duration_ms,
        distance_mm: candidate.distance_mm,
    };
    let (earliest, latest) = span.possible_starts();
    let mut known: Vec<KnownRow> = sqlx::query_as(KNOWN)
        .bind(athlete_id.0)
        .bind(&candidate.original_sha256[..])
        .bind(candidate.leg)
        .bind(earliest)
        .bind(latest)
        .bind(UNDER_WAY_S)
        .fetch_all(connection)
        .await?;
    known.retain(|row| row.is_exact || span.is_same_activity(&row.span()));
    known.sort_by(|a, b| {
        let common = |row: &KnownRow| span.common_time(&row.span());
        b.is_exact.cmp(&a.is_exact).then(common(b).total_cmp(&common(a)))
    });
    Ok(known)
}

impl KnownRow {
    fn span(&self) -> Span {
        Span { started_at: self.started_at, duration_ms: self.duration_ms, distance_mm: self.distance_mm }
    }
}

const STREAM: &str = "
    SELECT event_type, sequence, partition, position FROM events
    WHERE aggregate_type = 'workout' AND aggregate_id = $1 ORDER BY sequence DESC LIMIT 1";

/// Where a workout's stream stands.
pub async fn stream_of(connection: &mut PgConnection, workout_id: WorkoutId) -> Result<Stream, sqlx::Error> {
    let last: Option<(String, i64, i32, i64)> =
        sqlx::query_as(STREAM).bind(workout_id.to_string()).fetch_optional(connection).await?;
    Ok(match last {
        None => Stream::Unknown,
        Some((event_type, ..)) if matches!(event_type.as_str(), "workout_deleted" | "redacted") => Stream::Gone,
        Some((_, version, partition, position)) => {
            Stream::Logged(Existing { workout_id, version, partition, position })
        }
    })
}

const INSERT: &str = "
    INSERT INTO import_claims
        (athlete_id, workout_id, started_at, duration_ms, distance_mm, leg, original_sha256, recording_sha256)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

async fn insert(
    connection: &mut PgConnection,
    athlete_id: AthleteId,
    workout_id: WorkoutId,
    candidate: &Candidate,
) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT)
        .bind(athlete_id.0)
        .bind(workout_id.0)
        .bind(candidate.started_at)
        .bind(candidate.duration_ms)
        .bind(candidate.distance_mm)
        .bind(candidate.leg)
        .bind(&candidate.original_sha256[..])
        .bind(&candidate.recording_sha256[..])
        .execute(connection)
        .await
        .map(|_| ())
}

const DELETE: &str = "DELETE FROM import_claims WHERE athlete_id = $1 AND workout_id = $2";

async fn delete(
    connection: &mut PgConnection,
    athlete_id: AthleteId,
    workout_id: WorkoutId,
) -> Result<(), sqlx::Error> {
    sqlx::query(DELETE).bind(athlete_id.0).bind(workout_id.0).execute(connection).await.map(|_| ())
}

/// Removes the claim of a deleted workout; where there is none, nothing happens.
pub async fn remove(pool: &PgPool, athlete_id: AthleteId, workout_id: WorkoutId) -> Result<(), sqlx::Error> {
    sqlx::query(DELETE).bind(athlete_id.0).bind(workout_id.0).execute(pool).await.map(|_| ())
}

/// A blob that a claim of an athlete names.
#[derive(Debug, Clone, FromRow)]
pub struct NamedBlob {
    /// The claimed workout.
    pub workout_id: Uuid,
    /// The file or its samples.
    pub sha256: Vec<u8>,
}

const OF_ATHLETE: &str = "
    SELECT c.workout_id, blob.sha256
    FROM (SELECT workout_id, original_sha256, recording_sha256 FROM import_claims
          WHERE athlete_id = $1 ORDER BY workout_id LIMIT $2) c
    CROSS JOIN LATERAL (VALUES (c.original_sha256), (c.recording_sha256)) AS blob (sha256)
    ORDER BY c.workout_id";

/// The blobs that the first so many claims of an athlete name.
pub async fn of_athlete(pool: &PgPool, athlete_id: AthleteId, claims: i64) -> Result<Vec<NamedBlob>, sqlx::Error> {
    sqlx::query_as(OF_ATHLETE).bind(athlete_id.0).bind(claims).fetch_all(pool).await
}

/// Of two who are erased at once neither keeps the other's file.
const NOT_OF_OTHERS: &str = "
    SELECT hash FROM unnest($2::bytea[]) AS hash
    WHERE NOT EXISTS (
        SELECT FROM import_claims o WHERE o.original_sha256 = hash AND o.athlete_id <> $1
        AND NOT EXISTS (SELECT FROM erased_owners e WHERE e.owner_id = o.athlete_id))
      AND NOT EXISTS (
        SELECT FROM import_claims o WHERE o.recording_sha256 = hash AND o.athlete_id <> $1
        AND NOT EXISTS (SELECT FROM erased_owners e WHERE e.owner_id = o.athlete_id))";

/// Those blobs among these that no claim of anybody else names who still has an account.
pub async fn not_of_others(
    pool: &PgPool,
    athlete_id: AthleteId,
    hashes: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar(NOT_OF_OTHERS).bind(athlete_id.0).bind(hashes).fetch_all(pool).await
}

const DELETE_ALL: &str = "DELETE FROM import_claims WHERE athlete_id = $1 AND workout_id = ANY($2)";

/// Removes these claims of an athlete; how many there were.
pub async fn remove_all(pool: &PgPool, athlete_id: AthleteId, workouts: &[Uuid]) -> Result<i64, sqlx::Error> {
    let deleted = sqlx::query(DELETE_ALL).bind(athlete_id.0).bind(workouts).execute(pool).await?;
    Ok(deleted.rows_affected().cast_signed())
}

/// Returns when no transaction that began before is claiming anything for the athlete: one that begins now sees whether their log
/// is closed.
pub async fn wait_for_those_under_way(pool: &PgPool, athlete_id: AthleteId) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    lock(&mut transaction, athlete_id).await?;
    transaction.commit().await
}

const IS_ERASED: &str = "SELECT EXISTS (SELECT FROM erased_owners WHERE owner_id = $1)";

/// One at a time for each athlete, until the end of the transaction.
async fn lock(transaction: &mut PgConnection, athlete_id: AthleteId) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock_of(athlete_id)).execute(transaction).await.map(|_| ())
}

/// The athlete's number among advisory locks; the append's locks are of the two-number kind and cannot meet these.
fn lock_of(athlete_id: AthleteId) -> i64 {
    let (high, low) = athlete_id.0.as_u64_pair();
    i64::from_be_bytes((high ^ low).to_be_bytes())
}
