//! The prover: reads the log again behind the relay, and compares its rolling hash with that of what Kafka acknowledged.
//! What differs was removed, changed or moved in between; the metric `fittrack_unproven_events` is then above 0 for good.
//!
//! New events are read soon after they were published. Old ones are read again from the first on, slowly and for ever: a
//! change of what was proven once is found by the next pass. Replicas share the partitions by leases, as relays do, and
//! the checkpoints of the worker `store` say how far the log is proven, so that a new process goes on from there.
mod watched;

use std::{collections::BTreeMap, ops::Bound, time::Duration};

use fittrack_runtime::{backoff::Backoff, lease::LeaseKeeper};
use fittrack_schemas::proof::{LogError, Mark};
use metrics::{counter, gauge};
use sqlx::PgPool;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::checkpoints;
use watched::{Doubt, Seen, Watched};

/// The prover's name in `checkpoints` and `lease_members`: what it keeps there is the store's own proof.
pub const WORKER: &str = "store";
/// How long a partition stays a holder's without renewal.
const LEASE_TTL: Duration = Duration::from_secs(10);
/// How many events one statement reads: a few milliseconds of the database's time.
const PAGE: i64 = 5_000;

/// How much it reads, and how soon what is not proven counts.
#[derive(Debug, Clone)]
pub struct Pace {
    /// From one round to the next.
    pub every: Duration,
    /// An event that is not proven so long after it was first seen is counted by the metric.
    pub grace: Duration,
    /// The most events of a round that were published since the last one.
    pub new_events: i64,
    /// The most old events of a round.
    pub old_events: i64,
}

impl Default for Pace {
    /// 2,500 old events a second: half a percent of a core, and two hundred million events a day.
    fn default() -> Self {
        Self { every: Duration::from_secs(2), grace: Duration::from_secs(10), new_events: 100_000, old_events: 5_000 }
    }
}

/// Proves the partitions it holds.
pub struct Prover {
    pool: PgPool,
    keeper: LeaseKeeper,
    pace: Pace,
    watched: BTreeMap<i32, Watched>,
    pass: Option<Pass>,
    last_passed: Option<i32>,
}

/// A partition that is read again from its first event up to what was published when the pass began.
#[derive(Debug, Clone, Copy)]
struct Pass {
    partition: i32,
    until: Mark,
    read: Mark,
}

impl Prover {
    /// `pool` is the event store's, as the role `fittrack_relay`; one connection is enough.
    pub fn new(pool: PgPool, partitions: i32, pace: Pace) -> Self {
        let keeper = LeaseKeeper::new(pool.clone(), WORKER, 0..partitions, Uuid::now_v7(), LEASE_TTL);
        Self { pool, keeper, pace, watched: BTreeMap::new(), pass: None, last_passed: None }
    }

    /// Proves until cancelled; whatever fails is tried again.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = interval(self.pace.every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            match stop.run_until_cancelled(self.round()).await {
                None => break,
                Some(Ok(unproven)) => {
                    gauge!("fittrack_unproven_events", "hop" => "store_to_road").set(unproven as f64);
                    backoff.reset();
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "the log could not be proven; trying again");
                    if !backoff.wait(&stop).await {
                        break;
                    }
                }
            }
        }
        self.stop().await;
    }

    /// Gives its partitions back, so that others prove them at once.
    pub async fn stop(self) {
        if let Err(error) = self.keeper.release_all().await {
            tracing::warn!(%error, "the prover's leases were not given back; others take them when they expire");
        }
    }

    /// Looks at every held partition once; returns how many stored events are not proven though they should be.
    pub async fn round(&mut self) -> Result<i64, sqlx::Error> {
        self.renew().await?;
        self.look().await?;
        self.prove_new().await?;
        self.prove_old_again().await?;
        self.keep().await?;
        Ok(self.watched.values().map(Watched::unproven).sum())
    }

    async fn renew(&mut self) -> Result<(), sqlx::Error> {
        let leases = self.keeper.tick().await?;
        self.watched.retain(|partition, _| !leases.lost.contains(partition));
        leases.gained.iter().for_each(|held| _ = self.watched.remove(&held.partition));
        let gained = checkpoints::read(&self.pool, WORKER, &leases.gained).await?;
        self.watched.extend(gained.into_iter().map(|kept| (kept.partition, Watched::new(kept))));
        Ok(())
    }

    async fn look(&mut self) -> Result<(), sqlx::Error> {
        let partitions: Vec<i32> = self.watched.keys().copied().collect();
        let seen: Vec<Seen> = sqlx::query_as(Seen::QUERY).bind(partitions).fetch_all(&self.pool).await?;
        let now = Instant::now();
        for seen in seen {
            if let Some(watched) = self.watched.get_mut(&seen.partition) {
                watched.saw(seen, now, self.pace.grace);
            }
        }
        Ok(())
    }

    /// What was published since the last round. A doubted partition waits for its next whole pass.
    async fn prove_new(&mut self) -> Result<(), sqlx::Error> {
        let mut budget = self.pace.new_events;
        for watched in self.watched.values_mut().filter(|watched| !watched.is_doubted()) {
            let (partition, until) = (watched.partition(), watched.published().position);
            match read(&self.pool, partition, &mut watched.read, until, &mut budget).await? {
                None => watched.compare(),
                Some(doubt) => watched.doubt(doubt),
            }
        }
        Ok(())
    }

    /// Goes on with the pass under way and begins others: each partition at most once a round.
    async fn prove_old_again(&mut self) -> Result<(), sqlx::Error> {
        let mut budget = self.pace.old_events;
        for _ in 0..self.watched.len() {
            let Some(mut pass) = self.pass.take().or_else(|| self.next_pass()) else { break };
            let before = budget;
            let doubt = read(&self.pool, pass.partition, &mut pass.read, pass.until.position, &mut budget).await?;
            counter!("fittrack_proof_reread_events_total").increment((before - budget).unsigned_abs());
            let is_under_way = doubt.is_none() && pass.read.position < pass.until.position;
            if is_under_way {
                self.pass = Some(pass);
                break;
            }
            if let Some(watched) = self.watched.get_mut(&pass.partition) {
                match doubt {
                    None => watched.passed(pass.read, pass.until),
                    Some(doubt) => watched.doubt(doubt),
                }
            }
        }
        Ok(())
    }

    /// The next partition in their circle of which something was published.
    fn next_pass(&mut self) -> Option<Pass> {
        let after = self.last_passed.map_or(Bound::Unbounded, Bound::Excluded);
        let circle = self.watched.range((after, Bound::Unbounded)).chain(self.watched.iter());
        let (partition, watched) =
            circle.into_iter().find(|(_, watched)| watched.published().position > 0).map(|(at, one)| (*at, one))?;
        self.last_passed = Some(partition);
        Some(Pass { partition, until: watched.published(), read: Mark::default() })
    }

    async fn keep(&mut self) -> Result<(), sqlx::Error> {
        let moved = self.watched.values().filter_map(Watched::to_keep).collect();
        checkpoints::write(&self.pool, WORKER, moved).await?;
        self.watched.values_mut().for_each(Watched::kept);
        Ok(())
    }
}

/// Reads a partition on towards `until`, as far as the budget goes. An event that is not there is a reason for doubt.
async fn read(
    pool: &PgPool,
    partition: i32,
    mark: &mut Mark,
    until: i64,
    budget: &mut i64,
) -> Result<Option<Doubt>, sqlx::Error> {
    while mark.position < until && *budget > 0 {
        match mark.read_on(pool, partition, until, PAGE.min(*budget)).await {
            Ok(read) => *budget -= read,
            Err(LogError::Missing { position, .. }) => return Ok(Some(Doubt::Missing { position })),
            Err(LogError::Store(error)) => return Err(error),
        }
    }
    Ok(None)
}
