//! The relay: store to Kafka. Each partition has one holder at a time; the holder reads what is new in position order,
//! publishes it and moves the partition's cursor over what Kafka has acknowledged, never over anything else.
//!
//! Woken by the lanes of this process ([`crate::store::wake`]) and by hints of others; the poll behind it is the truth.
//! With Kafka away, commands go on and the backlog waits in the store. Publishing an event twice is harmless, so the
//! cursor is written lazily and a new holder begins where the written cursor stands.
//!
//! Behind it the [`prover`] reads the log again and compares its proof with the relay's.
mod checkpoints;
mod cursors;
pub mod prover;
mod publisher;
mod reader;

use std::{collections::HashMap, sync::Arc, time::Duration};

use fittrack_runtime::{
    backoff::Backoff,
    kafka::{self, KafkaAccess, TopicSpec},
    lease::LeaseKeeper,
};
use fittrack_schemas::topics;
use metrics::{counter, gauge};
use sqlx::PgPool;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{hints, wake::Wake};
use cursors::Cursor;
use publisher::Publisher;

/// The relay's name in `checkpoints` and `lease_members`.
pub const WORKER: &str = "relay";
/// How long a partition stays a holder's without renewal.
const LEASE_TTL: Duration = Duration::from_secs(10);
/// How often a partition is looked at without having been named.
const POLL: Duration = Duration::from_millis(100);
/// After a round the next one gathers for so long per event the last one published, and no longer than [`MAX_GATHER`]: at
/// low load nothing waits, and under load Kafka and all who follow it handle many events at a time instead of each alone. To the
/// broker a piece of a partition costs much and an event in it little, and a round has pieces of all partitions.
const GATHER_PER_EVENT: Duration = Duration::from_micros(200);
/// The most that gathering may add to the way of an event.
const MAX_GATHER: Duration = Duration::from_millis(50);
/// It also rests as long as it worked, but no longer than this: where the machine is busy with something else, few events too go
/// together.
const MAX_REST: Duration = Duration::from_millis(10);
/// How often moved cursors are written.
const WRITE_CURSORS: Duration = Duration::from_millis(500);

/// What a relay needs.
pub struct Relay {
    /// The event store, as the role `fittrack_relay`.
    pub pool: PgPool,
    /// Kafka, and whom it knows this process as.
    pub kafka: KafkaAccess,
    /// The topic the events go to.
    pub topic: String,
    /// How many log partitions the store has.
    pub partitions: i32,
    /// Rung when something was appended.
    pub wake: Arc<Wake>,
    /// This process among the relays, and the sender of its own hints.
    pub holder: Uuid,
}

/// The relay could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Kafka's client could not be made, or the topic is not as it must be.
    #[error("Kafka: {0}")]
    Kafka(String),
    /// The event store did not answer.
    #[error("event store: {0}")]
    Store(#[from] sqlx::Error),
    /// The log has a hole: a position is absent though a later one is there.
    #[error("partition {partition} has no event at position {expected}, but one at {found}: the log has a hole")]
    Hole {
        /// The partition.
        partition: i32,
        /// The absent position.
        expected: i64,
        /// The next position there is.
        found: i64,
    },
}

impl Relay {
    /// Publishes until cancelled; whatever fails is tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RelayError> {
        self.kafka.warn_if_exposed();
        let topics = [spec(topics::TopicSpec { name: topics::EVENTS, ..topics::events(self.partitions) }, &self.topic)];
        let notices = spec(topics::read_model_changes(), topics::READ_MODEL_CHANGES);
        let all: Vec<TopicSpec> = topics.into_iter().chain([notices]).collect();
        if let Err(error) = kafka::ensure_topics(&self.kafka, &all, &stop).await {
            if stop.is_cancelled() {
                return Ok(());
            }
            return Err(RelayError::Kafka(error.to_string()));
        }
        let listening =
            tokio::spawn(hints::listen(self.pool.clone(), self.holder, Arc::clone(&self.wake), stop.clone()));
        let keeper = LeaseKeeper::new(self.pool.clone(), WORKER, 0..self.partitions, self.holder, LEASE_TTL);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        while !stop.is_cancelled() {
            match self.publish_until_failure(&keeper, &stop).await {
                Ok(()) => break,
                Err(error) => {
                    counter!("fittrack_relay_failures_total").increment(1);
                    tracing::error!(%error, "the relay stopped; starting it again");
                    if !backoff.wait(&stop).await {
                        break;
                    }
                }
            }
        }
        if let Err(error) = keeper.release_all().await {
            tracing::warn!(%error, "leases were not given back; others take them when they expire");
        }
        listening.abort();
        Ok(())
    }

    async fn publish_until_failure(&self, keeper: &LeaseKeeper, stop: &CancellationToken) -> Result<(), RelayError> {
        let publisher = Publisher::new(&self.kafka, &self.topic)?;
        let mut cursors: HashMap<i32, Cursor> = HashMap::new();
        // Leases that an earlier run of this loop held are still ours, but their cursors are not known here.
        keeper.release_all().await?;
        let mut lease_tick = ticking(LEASE_TTL / 3);
        let mut poll = ticking(POLL);
        let mut write = ticking(WRITE_CURSORS);
        loop {
            let mut dirty: Vec<i32> = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    cursors::write(&self.pool, &mut cursors).await?;
                    return Ok(());
                }
                _ = lease_tick.tick() => {
                    let gained = self.renew(keeper, &mut cursors).await?;
                    gauge!("fittrack_relay_held_partitions").set(cursors.len() as f64);
                    gained
                }
                _ = write.tick() => {
                    cursors::write(&self.pool, &mut cursors).await?;
                    cursors::measure_backlog(&self.pool, &cursors).await?;
                    continue;
                }
                () = self.wake.rung() => self.wake.take(),
                _ = poll.tick() => cursors.keys().copied().collect(),
            };
            let (mut found, woken) = (0, Instant::now());
            // One partition after the other may have more than one round's worth; a round serves them all alike.
            while !dirty.is_empty() && !stop.is_cancelled() {
                dirty.retain(|partition| cursors.contains_key(partition) && keeper.still_held(*partition));
                let round = self.round(&publisher, keeper, &dirty, &mut cursors, stop).await?;
                (dirty, found) = (round.unfinished, round.events);
                if is_due(&mut lease_tick).await {
                    self.renew(keeper, &mut cursors).await?;
                    cursors::write(&self.pool, &mut cursors).await?;
                }
            }
            sleep(gather(found, woken.elapsed())).await;
        }
    }

    /// Renews the leases and forgets the cursors of those lost; returns the partitions gained.
    async fn renew(&self, keeper: &LeaseKeeper, cursors: &mut HashMap<i32, Cursor>) -> Result<Vec<i32>, RelayError> {
        let leases = keeper.tick().await?;
        cursors.retain(|partition, _| !leases.lost.contains(partition));
        let gained = cursors::read(&self.pool, &leases.gained).await?;
        // What was known of them belongs to an older epoch.
        leases.gained.iter().for_each(|held| _ = cursors.remove(&held.partition));
        let partitions = gained.keys().copied().collect();
        cursors.extend(gained);
        Ok(partitions)
    }

    /// Publishes the next events of these partitions.
    async fn round(
        &self,
        publisher: &Publisher,
        keeper: &LeaseKeeper,
        partitions: &[i32],
        cursors: &mut HashMap<i32, Cursor>,
        stop: &CancellationToken,
    ) -> Result<Round, RelayError> {
        let from: Vec<(i32, i64)> = partitions
            .iter()
            .filter_map(|partition| cursors.get(partition).map(|cursor| (*partition, cursor.published.position)))
            .collect();
        if from.is_empty() {
            return Ok(Round::default());
        }
        let events = reader::read_after(&self.pool, &from, reader::EVENTS_PER_PARTITION).await?;
        if events.is_empty() {
            return Ok(Round::default());
        }
        let read_per_partition = events.iter().fold(HashMap::<i32, usize>::new(), |mut counts, event| {
            *counts.entry(event.partition).or_default() += 1;
            counts
        });
        let started = Instant::now();
        let acknowledged = publisher.publish(&events, keeper, stop).await?;
        metrics::histogram!("fittrack_relay_publish_seconds").record(started.elapsed().as_secs_f64());
        for event in events.iter().take(acknowledged) {
            if let Some(cursor) = cursors.get_mut(&event.partition) {
                cursor.advance(event.position, event.event_id);
            }
        }
        let full = read_per_partition.into_iter().filter(|(_, read)| *read >= reader::EVENTS_PER_PARTITION);
        Ok(Round { events: events.len(), unfinished: full.map(|(partition, _)| partition).collect() })
    }
}

/// What a round came to.
#[derive(Debug, Default)]
struct Round {
    /// How many events it published.
    events: usize,
    /// The partitions that may have more.
    unfinished: Vec<i32>,
}

/// How long the next round gathers after one that took so long for so many events.
fn gather(events: usize, took: Duration) -> Duration {
    let for_events = GATHER_PER_EVENT.saturating_mul(u32::try_from(events).unwrap_or(u32::MAX));
    if events == 0 { Duration::ZERO } else { for_events.min(MAX_GATHER).max(took.min(MAX_REST)) }
}

/// During a long backlog the lease still has to be renewed in time.
async fn is_due(lease_tick: &mut tokio::time::Interval) -> bool {
    tokio::select! {
        biased;
        _ = lease_tick.tick() => true,
        () = std::future::ready(()) => false,
    }
}

fn ticking(every: Duration) -> tokio::time::Interval {
    let mut interval = interval(every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn spec(topic: topics::TopicSpec, name: &str) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        partitions: topic.partitions,
        replication: 1,
        config: vec![("retention.ms".to_owned(), topic.retention_ms.to_string())],
    }
}
