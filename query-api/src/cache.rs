//! Ready answers in memory: finished bytes with their `ETag`, found by caller and target, good while their stamp holds.
//! A miss loads once however many ask; a stale answer is replaced, never served; an error is never kept.
//!
//! The bound on staleness is the notice's way here, a few milliseconds; should notices be lost, a second (checkpoints
//! are read that often) for what moved a checkpoint, and [`MAX_AGE`] for everything.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::HeaderValue;
use bytes::Bytes;
use fittrack_runtime::problem::Problem;
use futures::FutureExt;
use metrics::Counter;
use moka::Equivalent;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::stamps::{Stamp, Stamps};
use crate::coded::Coded;
use crate::read_model::ReadModel;

pub mod stamps;

/// No answer is served longer than this after it was read.
pub const MAX_AGE: Duration = Duration::from_secs(10);
/// Longer bodies are not kept: they would drive out thousands of others.
const MAX_KEPT_BYTES: usize = 1 << 20;
/// More loads under way than this are refused: the database has enough to do.
const MAX_LOADS: usize = 256;
/// What an entry costs besides its bytes: headers, stamp, the cache's own bookkeeping.
const ENTRY_BYTES: usize = 512;

/// An answer ready to be sent.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The body, as it goes onto the wire.
    pub body: Bytes,
    /// Its media type.
    pub content_type: HeaderValue,
    /// Its entity tag.
    pub etag: HeaderValue,
    /// Where the list goes on, as a `Link` header.
    pub link: Option<HeaderValue>,
    /// The body in other codings.
    pub coded: Coded,
}

/// An answer and what it depends on.
#[derive(Debug)]
pub struct Loaded {
    /// The answer.
    pub answer: Answer,
    /// Taken before the database was read.
    pub stamp: Stamp,
}

/// A kept answer, and what is needed to send it before its request is routed.
#[derive(Debug)]
pub struct Kept {
    /// The answer.
    pub loaded: Loaded,
    /// The route that gave it, as metrics call it.
    pub route: Box<str>,
    /// The read models it was read from.
    pub models: &'static [ReadModel],
}

/// What an answer is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    /// The caller, where the answer depends on who asks.
    pub caller: Option<Uuid>,
    /// Path and query.
    pub target: &'a str,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OwnedKey {
    caller: Option<Uuid>,
    target: Box<str>,
}

impl Equivalent<OwnedKey> for Key<'_> {
    fn equivalent(&self, key: &OwnedKey) -> bool {
        self.caller == key.caller && *self.target == *key.target
    }
}

/// The cache; shared by all requests.
#[derive(Debug)]
pub struct Cache {
    entries: moka::future::Cache<OwnedKey, Arc<Kept>>,
    stamps: Arc<Stamps>,
    loads: Semaphore,
    hits: Counter,
    misses: Counter,
    stale: Counter,
}

impl Cache {
    /// An empty cache of at most `bytes`.
    pub fn new(bytes: u64, stamps: Arc<Stamps>) -> Self {
        let entries = moka::future::Cache::builder().max_capacity(bytes).weigher(weight).time_to_live(MAX_AGE).build();
        let counted = |result: &'static str| metrics::counter!("fittrack_query_cache_total", "result" => result);
        Self {
            entries,
            stamps,
            loads: Semaphore::new(MAX_LOADS),
            hits: counted("hit"),
            misses: counted("miss"),
            stale: counted("stale"),
        }
    }

    /// The counters answers are stamped with.
    pub fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    /// The kept answer of this key, where there is one and it is good; without waiting for anything.
    pub fn ready(&self, key: Key<'_>) -> Option<Arc<Kept>> {
        let kept = self.entries.get(&key).now_or_never()??;
        self.stamps.holds(&kept.loaded.stamp).then(|| {
            self.hits.increment(1);
            kept
        })
    }

    /// The answer of this key: a kept one that is still good, or what `load` gives. Refuses with 503 where too many load already.
    pub async fn get_or_load<F>(&self, key: Key<'_>, load: impl Fn() -> F) -> Result<Arc<Kept>, Problem>
    where
        F: Future<Output = Result<Kept, Problem>>,
    {
        if let Some(kept) = self.entries.get(&key).await {
            if self.stamps.holds(&kept.loaded.stamp) {
                self.hits.increment(1);
                return Ok(kept);
            }
            self.stale.increment(1);
            self.entries.invalidate(&key).await;
        }
        self.misses.increment(1);
        // A load we only joined may have read before the change we were woken for: then once more, and that load began after we came.
        match self.load(key, &load).await {
            (Ok(kept), joined) if !joined || self.stamps.holds(&kept.loaded.stamp) => Ok(kept),
            (Err(problem), false) => Err(problem),
            _ => {
                self.entries.invalidate(&key).await;
                self.load(key, &load).await.0
            }
        }
    }

    /// One load for all who ask at the same time, and whether it was somebody else's.
    async fn load<F>(&self, key: Key<'_>, load: &impl Fn() -> F) -> (Result<Arc<Kept>, Problem>, bool)
    where
        F: Future<Output = Result<Kept, Problem>>,
    {
        let joined = AtomicBool::new(true);
        let owned = OwnedKey { caller: key.caller, target: key.target.into() };
        let once = async {
            joined.store(false, Ordering::Relaxed);
            let busy = || Problem::unavailable("too many answers are being prepared", Duration::from_secs(1));
            let _permit = self.loads.try_acquire().map_err(|_| busy())?;
            load().await.map(Arc::new)
        };
        let outcome = self.entries.try_get_with(owned, once).await.map_err(|shared: Arc<Problem>| (*shared).clone());
        if outcome.as_ref().is_ok_and(|kept| kept.loaded.answer.body.len() > MAX_KEPT_BYTES) {
            self.entries.invalidate(&key).await;
        }
        (outcome, joined.into_inner())
    }
}

fn weight(key: &OwnedKey, kept: &Arc<Kept>) -> u32 {
    let Answer { body, coded, .. } = &kept.loaded.answer;
    // All codings of a body together are hardly longer than it.
    let copies = if coded.is_possible() { 2 } else { 1 };
    u32::try_from(ENTRY_BYTES + key.target.len() + copies * body.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
