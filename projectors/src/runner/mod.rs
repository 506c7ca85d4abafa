//! The machinery around a projection: takes what a source delivers, puts it into order, folds it and commits rows and
//! checkpoints together (decision 6), under leases and their epochs. One runner a projection; none waits for another.
//!
//! A session lasts until something fails. Then everything in memory is dropped, and the next session reads the checkpoints
//! again: so a commit of unknown outcome, a lost connection and a lost lease all need no care of their own.
pub mod batch;
mod commit;
mod heal;
mod heartbeat;
pub(crate) mod known;
mod shown_check;

use std::{collections::BTreeMap, time::Duration};

use fittrack_runtime::{backoff::Backoff, lease::LeaseKeeper};
use fittrack_schemas::read_models::Build;
use metrics::counter;
use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use batch::{Batch, Held, Place, place};
use heartbeat::Overdue;
use known::KnownTypes;
pub use shown_check::ShownCheck;

use crate::{
    builds, checkpoint,
    notices::Notices,
    parking::{self, Storm},
    projection::Projection,
    source::{Delivered, Source, SourceError},
};

/// From the order to stop to giving up on the batch under way; the process has ten seconds in all.
const GRACE: Duration = Duration::from_secs(5);
/// After a delivery a runner rests as long as that took, but no longer than this: at low load nothing waits, and where the machine
/// is busy what comes meanwhile shares a transaction, a notice and the broker's attention.
const MAX_REST: Duration = Duration::from_millis(10);
/// Larger deliveries are a backlog, which gathers by itself.
const BACKLOG: usize = 200;
/// How long giving the leases back may take at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a runner works with.
#[derive(Clone)]
pub struct Parts {
    /// The event store, read-only.
    pub store: PgPool,
    /// The read models: rows, checkpoints, leases.
    pub read_models: PgPool,
    /// The build that is fed.
    pub build: Build,
    /// How many log partitions there are.
    pub partitions: i32,
    /// Where commits are told.
    pub notices: Notices,
    /// Whether this projection works.
    pub check: ShownCheck,
    /// How it behaves.
    pub tuning: Tuning,
}

/// Numbers that tests make smaller.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// How long a partition stays this process's without renewal.
    pub lease: Duration,
    /// How often idle partitions show that they are up to date.
    pub heartbeat: Duration,
    /// What has been in the store for so long and has not come is read from there.
    pub overdue: Duration,
    /// More poisoned owners within a minute stop the projection.
    pub storm: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(6),
            heartbeat: Duration::from_secs(1),
            overdue: Duration::from_secs(10),
            storm: 20,
        }
    }
}

/// Why a projection stopped for good, until somebody does something.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// An event of a type this program does not know.
    #[error(
        "event type {event_type} version {event_version} at {partition}:{position} is unknown to this program: deploy the newer projectors"
    )]
    UnknownEvent {
        /// The stored type.
        event_type: String,
        /// The stored version.
        event_version: String,
        /// The log partition.
        partition: i32,
        /// The position.
        position: i64,
    },
    /// Too many owners would have to be parked.
    #[error(
        "more than {limit} owners' events could not be applied within a minute, the last a {event_type} at {partition}:{position}: the projection is broken, not the events"
    )]
    Storm {
        /// How many may be.
        limit: usize,
        /// The type of the last event that failed.
        event_type: String,
        /// Its log partition.
        partition: i32,
        /// Its position.
        position: i64,
    },
}

/// Why a session ended before its time.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("a lease was lost: another process goes on")]
    Fenced,
    #[error("the event store shows no event at {partition}:{position}, though a later one was delivered")]
    Hole { partition: i32, position: i64 },
    #[error(transparent)]
    Halt(#[from] Halt),
    #[error("stopping")]
    Stopped,
}

/// Runs one projection.
pub struct Runner<P: Projection, S: Source> {
    parts: Parts,
    source: S,
    worker: String,
    /// Whether readers see the build, as of this session's leases: promotion takes them.
    shown: bool,
    keeper: LeaseKeeper,
    held: BTreeMap<i32, Held>,
    overdue: BTreeMap<i32, Overdue>,
    known: KnownTypes,
    storm: Storm,
    next_tick: Instant,
    next_beat: Instant,
    projection: std::marker::PhantomData<P>,
}

impl<P: Projection, S: Source> Runner<P, S> {
    /// A runner that has not begun.
    pub fn new(parts: Parts, source: S) -> Self {
        let worker = parts.build.worker();
        let keeper = LeaseKeeper::new(
            parts.read_models.clone(),
            &worker,
            0..parts.partitions,
            Uuid::now_v7(),
            parts.tuning.lease,
        );
        Self {
            storm: Storm::new(parts.tuning.storm),
            parts,
            source,
            worker,
            shown: false,
            keeper,
            held: BTreeMap::new(),
            overdue: BTreeMap::new(),
            known: KnownTypes::default(),
            next_tick: Instant::now(),
            next_beat: Instant::now(),
            projection: std::marker::PhantomData,
        }
    }

    /// Projects until told to stop, or until it must not go on. Whatever else fails is tried again.
    pub async fn run(mut self, stop: &CancellationToken) -> Result<(), Halt> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let ended = loop {
            let session = async {
                tokio::select! {
                    ended = self.session(stop, &mut backoff) => ended,
                    () = grace(stop) => Err(Interruption::Stopped),
                }
            };
            match session.await {
                Ok(()) | Err(Interruption::Stopped) => break Ok(()),
                Err(Interruption::Halt(halt)) => break Err(halt),
                Err(interruption) => self.interrupted(&interruption),
            }
            if self.forget_everything().is_err() || !backoff.wait(stop).await {
                break Ok(());
            }
        };
        if !matches!(timeout(FAREWELL, self.keeper.release_all()).await, Ok(Ok(()))) {
            tracing::warn!(build = self.worker, "leases were not given back; others take them when they expire");
        }
        ended
    }

    fn interrupted(&self, interruption: &Interruption) {
        if matches!(interruption, Interruption::Fenced) {
            counter!("fittrack_projection_fenced_total", "projection" => P::NAME, "build" => self.worker.clone())
                .increment(1);
            tracing::info!(build = self.worker, "{interruption}");
            return;
        }
        counter!("fittrack_projection_failures_total", "projection" => P::NAME, "build" => self.worker.clone())
            .increment(1);
        tracing::warn!(build = self.worker, %interruption, "interrupted; going on from the checkpoints");
        self.parts.check.unready(interruption.to_string());
    }

    fn forget_everything(&mut self) -> Result<(), SourceError> {
        let partitions: Vec<i32> = std::mem::take(&mut self.held).into_keys().collect();
        self.overdue.clear();
        self.source.let_go(&partitions)
    }

    /// Until told to stop or the first failure.
    async fn session(&mut self, stop: &CancellationToken, backoff: &mut Backoff) -> Result<(), Interruption> {
        let mut connection = self.parts.read_models.acquire().await?;
        // What was held before is gone from memory, so all of it counts as gained.
        let leases = self.keeper.tick().await?;
        self.next_tick = Instant::now() + self.keeper.tick_interval();
        self.next_beat = Instant::now();
        self.shown = builds::is_shown(&mut connection, self.parts.build).await?;
        let held: Vec<(i32, i64)> = leases.held.iter().map(|held| (held.partition, held.epoch)).collect();
        self.take_over(&mut connection, &held).await?;
        self.parts.check.ready();
        while !stop.is_cancelled() {
            self.keep_leases(&mut connection).await?;
            self.show_life(&mut connection, stop).await?;
            let until = self.next_tick.min(self.next_beat);
            let delivered = self.source.next(until, stop).await?;
            if !delivered.is_empty() {
                let (started, is_backlog) = (Instant::now(), delivered.len() > BACKLOG);
                self.take(&mut connection, delivered, stop).await?;
                backoff.reset();
                if !is_backlog {
                    sleep(started.elapsed().min(MAX_REST)).await;
                }
            }
        }
        Ok(())
    }

    /// Renews the leases when it is time, and follows what that changes.
    async fn keep_leases(&mut self, connection: &mut PoolConnection<Postgres>) -> Result<(), Interruption> {
        if Instant::now() < self.next_tick {
            return Ok(());
        }
        self.next_tick = Instant::now() + self.keeper.tick_interval();
        let leases = self.keeper.tick().await?;
        if !leases.lost.is_empty() {
            tracing::info!(build = self.worker, partitions = ?leases.lost, "partitions went to another process");
            self.held.retain(|partition, _| !leases.lost.contains(partition));
            self.overdue.retain(|partition, _| !leases.lost.contains(partition));
            self.source.let_go(&leases.lost)?;
        }
        let gained: Vec<(i32, i64)> = leases.gained.iter().map(|held| (held.partition, held.epoch)).collect();
        self.take_over(connection, &gained).await
    }

    /// Begins with partitions whose lease was just acquired: their checkpoints are read now, not before.
    async fn take_over(
        &mut self,
        connection: &mut PoolConnection<Postgres>,
        gained: &[(i32, i64)],
    ) -> Result<(), Interruption> {
        if gained.is_empty() {
            return Ok(());
        }
        let partitions: Vec<i32> = gained.iter().map(|(partition, _)| *partition).collect();
        let starts = checkpoint::load(connection, &self.worker, &partitions).await?;
        let parked = parking::sql::owners(connection, &self.worker, &partitions).await?;
        for start in &starts {
            let epoch = gained.iter().find(|(partition, _)| *partition == start.partition).map(|(_, epoch)| *epoch);
            let parked = parked.iter().filter(|(partition, _)| *partition == start.partition);
            let held = Held {
                epoch: epoch.unwrap_or_default(),
                mark: start.mark,
                parked: parked.map(|(_, owner)| *owner).collect(),
            };
            self.held.insert(start.partition, held);
            self.overdue.remove(&start.partition);
        }
        tracing::info!(build = self.worker, ?partitions, "holding partitions");
        self.source.hold(&starts)?;
        self.next_beat = Instant::now();
        Ok(())
    }

    /// Puts a delivery into order and applies it: repeats are skipped, gaps filled from the store.
    async fn take(
        &mut self,
        connection: &mut PoolConnection<Postgres>,
        delivered: Vec<Delivered>,
        stop: &CancellationToken,
    ) -> Result<(), Interruption> {
        let mut batch = Batch::default();
        for delivered in delivered {
            let event = &delivered.event;
            let (partition, position) = (event.partition, event.position);
            // One that was let go meanwhile may still have something in the source's queue.
            let Some(held) = self.held.get(&partition) else { continue };
            let applied = batch.position(partition).unwrap_or(held.mark.position);
            let place = place(applied, position);
            if place == Place::Applied {
                continue;
            }
            if place == Place::Beyond {
                self.apply(connection, std::mem::take(&mut batch), stop).await?;
                self.heal(connection, partition, position - 1, stop).await?;
            }
            if !self.known.contains(&delivered.event.event_type, &delivered.event.event_version) {
                self.apply(connection, batch, stop).await?;
                return Err(unknown(&delivered).into());
            }
            // Healing may have renewed the leases, and this one may be gone.
            let Some(held) = self.held.get(&partition) else { continue };
            if place == Place::Next || held.mark.position + 1 == position {
                batch.push::<P>(delivered, held);
            }
        }
        self.apply(connection, batch, stop).await
    }
}

fn unknown(delivered: &Delivered) -> Halt {
    let event = &delivered.event;
    Halt::UnknownEvent {
        event_type: event.event_type.clone(),
        event_version: event.event_version.clone(),
        partition: event.partition,
        position: event.position,
    }
}

async fn grace(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(GRACE).await;
}
