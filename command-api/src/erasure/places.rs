//! Every place an account leaves something in, and the statements that remove it. Each may run again after a crash: what is gone
//! stays gone. A number is exact but where a crash came between removing files and noting it: those are missing from it.
use fittrack_domain::ids::AthleteId;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::Removed;
use crate::{blobs, identity::throttle, imports::claims, store::answers};

/// Positions of the log that one statement looks at.
pub const SPAN: i64 = 20_000;
/// Events or claims whose blobs are removed in one go.
const PAGE: i64 = 200;

const CLOSE_LOG: &str = "SELECT close_log($1, $2, $3)";

/// Closes the athlete's log, as the role `fittrack_eraser`; the position of its last event.
pub async fn close_log(
    eraser: &PgPool,
    athlete_id: Uuid,
    partition: i32,
    erasure_id: Uuid,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(CLOSE_LOG).bind(athlete_id).bind(partition).bind(erasure_id).fetch_one(eraser).await
}

const REDACT: &str = "SELECT redact_events($1, $2, $3, $4)";

/// Takes the content from the athlete's events of a span of the log; how many there are without content in it.
pub async fn redact_events(
    eraser: &PgPool,
    athlete_id: Uuid,
    partition: i32,
    after: i64,
    upto: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(REDACT).bind(athlete_id).bind(partition).bind(after).bind(upto).fetch_one(eraser).await
}

/// A span of the log, and what the athlete's events in it name.
#[derive(Debug)]
pub struct Span {
    /// Its last position.
    pub upto: i64,
    /// Files and samples.
    pub blobs: Vec<Vec<u8>>,
}

const NAMED: &str = "
    SELECT position, array_remove(ARRAY[
               decode(payload->'recording'->>'original_sha256', 'hex'),
               decode(payload->'recording'->>'recording_sha256', 'hex')], NULL)
    FROM events
    WHERE partition = $1 AND position > $2 AND position <= $3 AND owner_id = $4 AND event_type = 'workout_imported'
    ORDER BY position LIMIT $5";

/// The next span before `end`: at most [`SPAN`] positions, and so many events that name files as are removed in one go. The claim of a
/// workout that was deleted is gone, its event is not.
pub async fn next_span(
    event_store: &PgPool,
    athlete_id: AthleteId,
    partition: i32,
    after: i64,
    end: i64,
) -> Result<Span, sqlx::Error> {
    let upto = end.min(after + SPAN);
    let named: Vec<(i64, Vec<Vec<u8>>)> = sqlx::query_as(NAMED)
        .bind(partition)
        .bind(after)
        .bind(upto)
        .bind(athlete_id.0)
        .bind(PAGE)
        .fetch_all(event_store)
        .await?;
    let is_full = i64::try_from(named.len()).unwrap_or(i64::MAX) >= PAGE;
    let last = named.last().filter(|_| is_full).map(|(position, ..)| *position);
    let blobs = named.into_iter().flat_map(|(_, blobs)| blobs);
    Ok(Span { upto: last.unwrap_or(upto), blobs: blobs.collect() })
}

/// Removes files and samples of the athlete's that nobody else has.
pub async fn remove_blobs(
    event_store: &PgPool,
    recordings: &PgPool,
    athlete_id: AthleteId,
    hashes: &[Vec<u8>],
    removed: &mut Removed,
) -> Result<(), sqlx::Error> {
    for kind in blobs::remove_of_erased(event_store, recordings, athlete_id, hashes).await? {
        *removed.entry(format!("recordings.{kind}s")).or_default() += 1;
    }
    Ok(())
}

/// Removes what the next of the athlete's claims name, then the claims; `false` when there are none. Of an import that never came to
/// its event the claim alone knows.
pub async fn remove_claims(
    event_store: &PgPool,
    recordings: &PgPool,
    athlete_id: AthleteId,
    removed: &mut Removed,
) -> Result<bool, sqlx::Error> {
    let page = claims::of_athlete(event_store, athlete_id, PAGE).await?;
    if page.is_empty() {
        return Ok(false);
    }
    let hashes: Vec<Vec<u8>> = page.iter().map(|blob| blob.sha256.clone()).collect();
    remove_blobs(event_store, recordings, athlete_id, &hashes, removed).await?;
    let mut workouts: Vec<Uuid> = page.iter().map(|blob| blob.workout_id).collect();
    workouts.dedup();
    *removed.entry("event_store.import_claims".to_owned()).or_default() +=
        claims::remove_all(event_store, athlete_id, &workouts).await?;
    Ok(true)
}

/// Removes what was kept of answers.
pub async fn remove_answers(event_store: &PgPool, athlete_id: Uuid, removed: &mut Removed) -> Result<(), sqlx::Error> {
    let answers = answers::remove_of_owner(event_store, athlete_id).await?;
    *removed.entry("event_store.answers".to_owned()).or_default() += answers.cast_signed();
    Ok(())
}

/// Pieces are a mebibyte each; what else is of a job goes with it.
const REMOVE_PIECES: [&str; 2] = [
    "DELETE FROM export_chunks WHERE ctid = ANY(ARRAY(SELECT ctid FROM export_chunks WHERE athlete_id = $1 LIMIT 100))",
    "DELETE FROM import_chunks WHERE ctid = ANY(ARRAY(SELECT ctid FROM import_chunks WHERE athlete_id = $1 LIMIT 100))",
];
const REMOVE_JOBS: [(&str, &str); 2] = [
    ("recordings.exports", "DELETE FROM export_jobs WHERE athlete_id = $1"),
    ("recordings.imports", "DELETE FROM import_jobs WHERE athlete_id = $1"),
];

/// Removes what exports and imports of zips have left.
pub async fn remove_jobs(recordings: &PgPool, athlete_id: Uuid, removed: &mut Removed) -> Result<(), sqlx::Error> {
    for statement in REMOVE_PIECES {
        while sqlx::query(statement).bind(athlete_id).execute(recordings).await?.rows_affected() > 0 {}
    }
    for (name, statement) in REMOVE_JOBS {
        let done = sqlx::query(statement).bind(athlete_id).execute(recordings).await?;
        *removed.entry(name.to_owned()).or_default() += done.rows_affected().cast_signed();
    }
    Ok(())
}

const REMOVE_REFRESH_TOKENS: &str =
    "DELETE FROM refresh_tokens WHERE session_id IN (SELECT session_id FROM sessions WHERE athlete_id = $1)";
/// The ids are announced until no token of theirs is good; then the sweeper removes the rows.
const FORGET_CLIENTS: &str = "UPDATE sessions SET user_agent = NULL WHERE athlete_id = $1";
const FORGET_KEYS: &str = "UPDATE api_keys SET name = 'erased' WHERE athlete_id = $1";
const REMOVE_ACCOUNT: &str = "DELETE FROM accounts WHERE athlete_id = $1";

/// Removes address, password and tokens, from where it was signed in, and what clients and keys were called; in the caller's transaction.
pub async fn remove_account(
    identity: &mut PgConnection,
    athlete_id: Uuid,
    removed: &mut Removed,
) -> Result<(), sqlx::Error> {
    let networks = throttle::forget_networks(identity, athlete_id).await?;
    *removed.entry("identity.known_networks".to_owned()).or_default() += networks.cast_signed();
    for (thing, statement) in [
        ("refresh_tokens", REMOVE_REFRESH_TOKENS),
        ("sessions", FORGET_CLIENTS),
        ("api_keys", FORGET_KEYS),
        ("accounts", REMOVE_ACCOUNT),
    ] {
        let done = sqlx::query(statement).bind(athlete_id).execute(&mut *identity).await?;
        *removed.entry(format!("identity.{thing}")).or_default() += done.rows_affected().cast_signed();
    }
    Ok(())
}

/// What one build of a read model has of somebody.
#[derive(Debug, Clone, FromRow)]
pub struct Left {
    /// The build.
    pub worker: String,
    /// How far it is in the log.
    pub position: i64,
    /// Its rows.
    pub rows: i64,
    /// Their events that it could not apply.
    pub parked: i64,
}

const ROWS_OF_OWNER: &str = "SELECT worker, position, rows, parked FROM rows_of_owner($1, $2)";

/// What the read models have of an athlete, as the role `fittrack_eraser`.
pub async fn rows_of_owner(read_models: &PgPool, athlete_id: Uuid, partition: i32) -> Result<Vec<Left>, sqlx::Error> {
    sqlx::query_as(ROWS_OF_OWNER).bind(athlete_id).bind(partition).fetch_all(read_models).await
}
