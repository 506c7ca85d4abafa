//! Uploaded files and encoded samples under their SHA-256, in the recordings database. An import stores them before the
//! event that names them; what no claim names and is a day old is swept.
use std::time::Duration;

use chrono::{DateTime, Utc};
use fittrack_domain::ids::AthleteId;
use metrics::counter;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::imports::claims;

/// How often unreferenced blobs are looked for.
const INTERVAL: Duration = Duration::from_secs(3600);
/// How many blobs are looked at in one statement, and in one sweep.
const PAGE: i64 = 500;
const PAGES_A_SWEEP: usize = 40;
/// How old an unreferenced blob must be, in seconds: an import under way names its blobs long before.
const MIN_AGE_S: f64 = 86_400.0;

/// What a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobKind {
    /// A file as it was uploaded.
    Original,
    /// Encoded samples.
    Recording,
}

impl BlobKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Recording => "recording",
        }
    }
}

const RENEW: &str = "UPDATE blobs SET stored_at = clock_timestamp() WHERE sha256 = $1";
const INSERT: &str = "
    INSERT INTO blobs (sha256, kind, content) VALUES ($1, $2, $3)
    ON CONFLICT (sha256) DO UPDATE SET stored_at = clock_timestamp()";

/// Stores a blob durably; one that is there is made young again instead of being sent once more.
pub async fn store(pool: &PgPool, kind: BlobKind, sha256: [u8; 32], content: &[u8]) -> Result<(), sqlx::Error> {
    let renewed = sqlx::query(RENEW).bind(&sha256[..]).execute(pool).await?;
    if renewed.rows_affected() == 0 {
        sqlx::query(INSERT).bind(&sha256[..]).bind(kind.as_str()).bind(content).execute(pool).await?;
        counter!("fittrack_blobs_stored_bytes_total", "kind" => kind.as_str()).increment(content.len() as u64);
    }
    Ok(())
}

const LOAD: &str = "SELECT content FROM blobs WHERE sha256 = decode($1, 'hex')";

/// The content with this SHA-256 (hexadecimal).
pub async fn load(pool: &PgPool, sha256: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar(LOAD).bind(sha256).fetch_optional(pool).await
}

const NOW: &str = "SELECT clock_timestamp()";
const REMOVE_OLDER: &str = "DELETE FROM blobs WHERE sha256 = ANY($1) AND stored_at < $2 RETURNING kind";

/// Removes blobs of somebody whose account is erased; the kinds of those that were there. One that somebody else has imported as well
/// stays theirs: their claim is seen, or their import makes it younger than our look.
pub async fn remove_of_erased(
    event_store: &PgPool,
    recordings: &PgPool,
    athlete_id: AthleteId,
    hashes: &[Vec<u8>],
) -> Result<Vec<String>, sqlx::Error> {
    if hashes.is_empty() {
        return Ok(vec![]);
    }
    let looked_at: DateTime<Utc> = sqlx::query_scalar(NOW).fetch_one(recordings).await?;
    let own = claims::not_of_others(event_store, athlete_id, hashes).await?;
    sqlx::query_scalar(REMOVE_OLDER).bind(&own).bind(looked_at).fetch_all(recordings).await
}

/// Removes blobs that nothing names. Claims are in another database, so a blob is removed only if it is still old at the
/// moment of its removal: an import that names it has renewed it first.
#[derive(Debug, Clone)]
pub struct Sweeper {
    recordings: PgPool,
    event_store: PgPool,
    min_age_s: f64,
    /// Where the last sweep stopped.
    after: Option<(DateTime<Utc>, Vec<u8>)>,
}

impl Sweeper {
    /// A sweeper of blobs a day old.
    pub fn new(recordings: PgPool, event_store: PgPool) -> Self {
        Self { recordings, event_store, min_age_s: MIN_AGE_S, after: None }
    }

    /// The same for another age.
    #[must_use]
    pub fn min_age(self, age: Duration) -> Self {
        Self { min_age_s: age.as_secs_f64(), ..self }
    }

    /// Sweeps every hour until cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            match self.sweep().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "removed blobs that no import names"),
                Err(error) => tracing::warn!(%error, "unreferenced blobs could not be swept"),
            }
        }
    }

    /// Looks at the next blobs, the oldest first, and begins again when all were seen; says how many were removed.
    pub async fn sweep(&mut self) -> Result<u64, sqlx::Error> {
        let mut removed = 0;
        for _ in 0..PAGES_A_SWEEP {
            let page = self.next_page().await?;
            let hashes: Vec<Vec<u8>> = page.iter().map(|(_, hash)| hash.clone()).collect();
            removed += self.remove_unreferenced(&hashes).await?;
            self.after = page.last().cloned();
            if self.after.is_none() {
                break;
            }
        }
        counter!("fittrack_blobs_swept_total").increment(removed);
        Ok(removed)
    }

    async fn next_page(&self) -> Result<Vec<(DateTime<Utc>, Vec<u8>)>, sqlx::Error> {
        const PAGE_OF_OLD: &str = "
            SELECT stored_at, sha256 FROM blobs
            WHERE stored_at <= clock_timestamp() - make_interval(secs => $1) AND (stored_at, sha256) > ($2, $3)
            ORDER BY stored_at, sha256 LIMIT $4";
        let (stored_at, sha256) = self.after.clone().unwrap_or((DateTime::UNIX_EPOCH, vec![]));
        sqlx::query_as(PAGE_OF_OLD)
            .bind(self.min_age_s)
            .bind(stored_at)
            .bind(sha256)
            .bind(PAGE)
            .fetch_all(&self.recordings)
            .await
    }

    async fn remove_unreferenced(&self, hashes: &[Vec<u8>]) -> Result<u64, sqlx::Error> {
        const UNREFERENCED: &str = "
            SELECT hash FROM unnest($1::bytea[]) AS hash
            WHERE NOT EXISTS (SELECT FROM import_claims WHERE original_sha256 = hash)
              AND NOT EXISTS (SELECT FROM import_claims WHERE recording_sha256 = hash)";
        const REMOVE: &str = "
            DELETE FROM blobs
            WHERE sha256 = ANY($1) AND stored_at <= clock_timestamp() - make_interval(secs => $2)";
        let unreferenced: Vec<Vec<u8>> =
            sqlx::query_scalar(UNREFERENCED).bind(hashes).fetch_all(&self.event_store).await?;
        if unreferenced.is_empty() {
            return Ok(0);
        }
        let removed = sqlx::query(REMOVE).bind(unreferenced).bind(self.min_age_s).execute(&self.recordings).await?;
        Ok(removed.rows_affected())
    }
}
