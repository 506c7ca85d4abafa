//! Which sessions (and keys of programs) have ended while access tokens of theirs may still be good: read from the identity database each second by
//! every command API, refused by its own verifier, and given out at `/.well-known/revoked-sessions` for the others'.
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::http::HeaderValue;
use bytes::Bytes;
use fittrack_runtime::{
    auth::{LEEWAY_SECONDS, Revocations},
    private::Check,
};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::tokens::LIFETIME_S;

/// Between two looks at the database.
const PAUSE: Duration = Duration::from_secs(1);
/// A list older than this is not given out: another replica's is newer, and whoever asks keeps what it has.
const STALE: Duration = Duration::from_secs(5);
/// Longer than an access token is good for, issuer's and verifier's clocks apart by a minute.
const WINDOW_S: f64 = (LIFETIME_S + LEEWAY_SECONDS + 60) as f64;

/// The ended sessions, as they are known here. Cheap to clone.
#[derive(Clone)]
pub struct EndedSessions {
    pool: PgPool,
    revocations: Revocations,
    announced: Arc<RwLock<Option<Announced>>>,
}

/// The list as it is given out.
#[derive(Debug, Clone)]
pub struct Announced {
    /// JSON.
    pub body: Bytes,
    /// Follows from the body alone, so that it is the same on every replica.
    pub etag: HeaderValue,
    read_at: Instant,
}

/// A session without an access token that is still good needs no refusing.
const LATELY_ENDED: &str = "
    SELECT session_id FROM sessions
    WHERE ended_at > clock_timestamp() - make_interval(secs => $1)
      AND last_used_at > clock_timestamp() - make_interval(secs => $1)
    UNION ALL
    SELECT key_id FROM api_keys
    WHERE ended_at > clock_timestamp() - make_interval(secs => $1)
      AND last_used_at > clock_timestamp() - make_interval(secs => $1)";

impl EndedSessions {
    /// Over the identity database; `revocations` is what the verifier goes by.
    pub fn new(pool: PgPool, revocations: Revocations) -> Self {
        Self { pool, revocations, announced: Arc::default() }
    }

    /// Refuses sessions that were ended here, before the next look.
    pub fn note(&self, ended: impl IntoIterator<Item = Uuid>) {
        self.revocations.add(ended);
    }

    /// The list to give out; `None` where it is not known, or was known too long ago.
    pub fn announced(&self) -> Option<Announced> {
        let announced = self.announced.read().unwrap_or_else(PoisonError::into_inner);
        announced.as_ref().filter(|announced| announced.read_at.elapsed() < STALE).cloned()
    }

    /// One look at the database.
    pub async fn read(&self) -> Result<(), sqlx::Error> {
        let read_at = Instant::now();
        let ended: Vec<Uuid> = sqlx::query_scalar(LATELY_ENDED).bind(WINDOW_S).fetch_all(&self.pool).await?;
        self.revocations.learn(ended);
        // Ids always serialise, and the tag is hexadecimal.
        let body = serde_json::to_vec(&self.revocations.list()).unwrap_or_default();
        let tag = hex::encode(Sha256::digest(&body));
        let etag = HeaderValue::try_from(format!("\"{tag}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        let announced = Announced { body: body.into(), etag, read_at };
        *self.announced.write().unwrap_or_else(PoisonError::into_inner) = Some(announced);
        Ok(())
    }

    /// Looks each second until cancelled. The check holds from the first look on: what was known last stays in use.
    pub async fn follow(self, check: Check, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(PAUSE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_failing = false;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            match stop.run_until_cancelled(self.read()).await {
                None => return,
                Some(Ok(())) => {
                    check.ready();
                    is_failing = false;
                }
                Some(Err(error)) => {
                    if !self.revocations.is_known() {
                        check.unready(error.to_string());
                    } else if !is_failing {
                        tracing::warn!(%error, "ended sessions cannot be read; those last known stay refused");
                    }
                    is_failing = true;
                }
            }
        }
    }
}
