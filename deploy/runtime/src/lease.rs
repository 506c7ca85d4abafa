//! Who works on which partition: leases in the database, shared fairly among the live processes, each takeover fenced by a new epoch.
//! The relay and every projection keep theirs this way; their writers add `WHERE worker = $1 AND partition = $2 AND epoch = $3`,
//! so that a process that slept past its lease writes nothing.
//!
//! A holder trusts a lease by its own monotonic clock, from the moment it *asked* for the renewal, less a margin; expiry is judged by the
//! database's clock alone. So no two clocks are ever compared.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use uuid::Uuid;

mod share;
mod sql;

use share::fair_share;

/// A partition this process may work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Held {
    /// The partition.
    pub partition: i32,
    /// The fencing epoch: every write of progress must name it.
    pub epoch: i64,
    /// The checkpoint as the database had it at this tick.
    pub position: i64,
}

/// What a tick found and changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    /// Everything held now, by partition.
    pub held: Vec<Held>,
    /// Held now and not (or under another epoch) at the tick before.
    pub gained: Vec<Held>,
    /// Held at the tick before and not any more: given back, or taken by another after it had expired.
    pub lost: Vec<i32>,
}

/// Keeps one worker's leases in this process; clones share them.
#[derive(Clone)]
pub struct LeaseKeeper {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    worker: String,
    partitions: Range<i32>,
    holder: Uuid,
    ttl: Duration,
    local: Mutex<BTreeMap<i32, Local>>,
    /// One tick at a time; holds whether the checkpoint rows are known to exist.
    ticking: tokio::sync::Mutex<bool>,
}

/// What this process believes of a lease.
#[derive(Debug, Clone, Copy)]
struct Local {
    epoch: i64,
    trusted_until: Instant,
}

impl LeaseKeeper {
    /// A keeper for `worker` (a relay or a projection, by name); `holder` is new for each process, `ttl` at least a second.
    pub fn new(pool: PgPool, worker: impl Into<String>, partitions: Range<i32>, holder: Uuid, ttl: Duration) -> Self {
        let inner = Inner {
            pool,
            worker: worker.into(),
            partitions,
            holder,
            ttl,
            local: Mutex::default(),
            ticking: tokio::sync::Mutex::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// How often to tick: three times a lease.
    pub fn tick_interval(&self) -> Duration {
        self.inner.ttl / 3
    }

    /// Announces this process, renews what it holds, gives back what exceeds its share and takes what is free up to it.
    ///
    /// What appears in `lost` is already free for others; stop its work (the epoch fences what is under way).
    /// After an error everything held stays trusted until its time is up.
    pub async fn tick(&self) -> Result<Leases, sqlx::Error> {
        let inner = &*self.inner;
        let mut seeded = inner.ticking.lock().await;
        if !*seeded {
            sql::seed(inner).await?;
            *seeded = true;
        }
        let share = fair_share(inner.partitions.len(), &sql::announce(inner).await?, inner.holder);
        let asked_at = Instant::now();
        let mut held = sql::renew(inner).await?;
        let surplus: Vec<i32> = held.iter().skip(share).map(|lease| lease.partition).collect();
        if !surplus.is_empty() {
            // Distrusted before anybody else may have them.
            inner.forget(&surplus);
            sql::release(inner, &surplus).await?;
            held.truncate(share);
        }
        if held.len() < share {
            held.extend(sql::take(inner, share - held.len()).await?);
            held.sort_by_key(|lease| lease.partition);
        }
        Ok(inner.remember(held, asked_at, surplus))
    }

    /// Whether the partition may be worked on at this moment. Ask before each batch; the fence in the writer's SQL decides in the end.
    pub fn still_held(&self, partition: i32) -> bool {
        self.epoch(partition).is_some()
    }

    /// The epoch under which the partition is held at this moment.
    pub fn epoch(&self, partition: i32) -> Option<i64> {
        let local = self.inner.local();
        local.get(&partition).filter(|lease| Instant::now() < lease.trusted_until).map(|lease| lease.epoch)
    }

    /// This process's id among the holders.
    pub fn holder(&self) -> Uuid {
        self.inner.holder
    }

    /// The worker's name.
    pub fn worker(&self) -> &str {
        &self.inner.worker
    }

    /// Gives one partition back (its work failed here; another process may fare better). This process may take it again.
    pub async fn release(&self, partition: i32) -> Result<(), sqlx::Error> {
        let _ticking = self.inner.ticking.lock().await;
        self.inner.forget(&[partition]);
        sql::release(&self.inner, &[partition]).await
    }

    /// Gives everything back and leaves, so that others take over at once; the last act of a worker.
    pub async fn release_all(&self) -> Result<(), sqlx::Error> {
        let _ticking = self.inner.ticking.lock().await;
        self.inner.local().clear();
        sql::release_all(&self.inner).await
    }
}

impl Inner {
    fn local(&self) -> MutexGuard<'_, BTreeMap<i32, Local>> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, partitions: &[i32]) {
        let mut local = self.local();
        for partition in partitions {
            local.remove(partition);
        }
    }

    /// Replaces what is believed by what the database said, and tells the difference.
    fn remember(&self, held: Vec<Held>, asked_at: Instant, mut lost: Vec<i32>) -> Leases {
        // A fifth of the lease for scheduling, the commit under way and clocks that run unevenly.
        let trusted_until = asked_at + self.ttl.mul_f64(0.8);
        let now: BTreeMap<i32, Local> =
            held.iter().map(|lease| (lease.partition, Local { epoch: lease.epoch, trusted_until })).collect();
        let mut local = self.local();
        let before = std::mem::replace(&mut *local, now);
        drop(local);
        let same = |lease: &Held| before.get(&lease.partition).is_some_and(|known| known.epoch == lease.epoch);
        let gained = held.iter().filter(|lease| !same(lease)).copied().collect();
        lost.extend(before.keys().filter(|partition| held.iter().all(|lease| lease.partition != **partition)));
        lost.sort_unstable();
        Leases { held, gained, lost }
    }
}

#[cfg(test)]
mod tests;
