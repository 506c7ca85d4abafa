//! The event store: streams are read through postgres-es, batches of appends are written by the lanes.
//!
//! `append_events` (in `schemas/event-store/`) holds the rules; [`lane`] groups commits; [`cache`] keeps hot aggregates;
//! [`framework`] fits the store to `cqrs_es::EventStore`. The dispatcher is its only caller.
pub mod answers;
pub mod append;
pub mod cache;
pub mod framework;
pub mod hints;
pub mod lane;
pub mod wake;

use std::sync::Arc;

use cqrs_es::{EventEnvelope, persist::PersistedEventRepository};
use fittrack_domain::{aggregate::Decider, partition::partition_of, upcast};
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use answers::Answer;
use append::{Append, Earlier, Outcome};
use cache::{Loaded, StateCache};
use lane::{AppendError, Lane, LaneWorker};
use wake::Wake;

/// How many connections append: partitions are spread over them.
const LANES: usize = 2;

/// The stream could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database said no or nothing.
    #[error("the event store could not be read")]
    Database(#[source] sqlx::Error),
    /// postgres-es could not read the stream.
    #[error("the stream could not be read: {0}")]
    Stream(String),
}

/// The event store, cheap to clone.
#[derive(Clone)]
pub struct EventStore {
    pool: PgPool,
    lanes: Arc<[Lane]>,
    partitions: i32,
    cache: StateCache,
    wake: Arc<Wake>,
}

/// The lanes' workers; whoever opens a store has to [`Lanes::run`] them.
pub struct Lanes(Vec<LaneWorker>);

impl Lanes {
    /// Runs every lane until cancelled and drained.
    pub async fn run(self, stop: CancellationToken) {
        let lanes = self.0.into_iter().map(|worker| worker.run(stop.clone()));
        futures::future::join_all(lanes).await;
    }
}

impl EventStore {
    /// A store of `partitions` log partitions, read through `pool`, appended to by connections of its own that log in as the
    /// pool does.
    pub fn open(pool: PgPool, partitions: i32) -> (Self, Lanes) {
        let wake = Arc::new(Wake::new(partitions));
        let (lanes, workers): (Vec<_>, Vec<_>) =
            (0..LANES).map(|_| lane::lane(pool.clone(), Arc::clone(&wake))).unzip();
        let store = Self { pool, lanes: lanes.into(), partitions, cache: StateCache::default(), wake };
        (store, Lanes(workers))
    }

    /// Says which partitions have something new: the relay of this process listens.
    pub fn wake(&self) -> &Arc<Wake> {
        &self.wake
    }

    /// How many log partitions the store has.
    pub fn partitions(&self) -> i32 {
        self.partitions
    }

    /// The log partition of an owner.
    pub fn partition_of(&self, owner_id: Uuid) -> i32 {
        partition_of(owner_id, self.partitions)
    }

    /// Stores one command's events; resolves after COMMIT.
    pub async fn append(&self, append: Append) -> Result<Outcome, AppendError> {
        if append.events.is_empty() || append.events.len() > Append::MAX_EVENTS {
            return Err(AppendError::Rejected(format!("a command has 1 to {} events", Append::MAX_EVENTS)));
        }
        let lane = usize::try_from(append.partition).unwrap_or(0) % self.lanes.len();
        match self.lanes.get(lane) {
            Some(lane) => lane.append(append).await,
            None => Err(AppendError::Unavailable),
        }
    }

    /// What is known of an aggregate without asking the database.
    pub fn cached<A: Decider + 'static>(&self, id: Uuid) -> Option<Arc<Loaded<A>>> {
        self.cache.get(id)
    }

    /// Remembers an aggregate after an append.
    pub fn remember<A: Decider + 'static>(&self, id: Uuid, loaded: Loaded<A>) {
        self.cache.put(id, loaded);
    }

    /// Forgets an aggregate that turned out to be stale.
    pub fn forget<A: Decider>(&self, id: Uuid) {
        self.cache.forget::<A>(id);
    }

    /// Reads an aggregate from its stream and remembers it.
    pub async fn load<A: Decider + 'static>(&self, id: Uuid) -> Result<Loaded<A>, LoadError> {
        let envelopes = self.read_stream::<A>(id).await?;
        let mut loaded = Loaded { state: A::default(), version: 0 };
        for envelope in envelopes {
            loaded.version = i64::try_from(envelope.sequence).unwrap_or(i64::MAX);
            loaded.state.apply(envelope.payload);
        }
        if loaded.version > 0 {
            self.cache.put(id, loaded.clone());
        }
        Ok(loaded)
    }

    /// The events of one stream, through postgres-es, older versions as their newest.
    pub async fn read_stream<A: Decider>(&self, id: Uuid) -> Result<Vec<EventEnvelope<A>>, LoadError> {
        let repository = PostgresEventRepository::new(self.pool.clone());
        let serialized =
            repository.get_events::<A>(&id.to_string()).await.map_err(|error| LoadError::Stream(error.to_string()))?;
        serialized
            .into_iter()
            .map(|event| {
                let newest = upcast::to_newest(event).map_err(|error| LoadError::Stream(error.to_string()))?;
                EventEnvelope::try_from(newest).map_err(|error| LoadError::Stream(error.to_string()))
            })
            .collect()
    }

    /// Keeps the answer to a command that stores nothing; `false` where it has one already.
    pub async fn keep_answer(&self, answer: Answer) -> Result<bool, LoadError> {
        answers::keep(&self.pool, answer).await.map_err(LoadError::Database)
    }

    /// Removes kept answers that are long over; says how many.
    pub async fn sweep_answers(&self) -> Result<u64, LoadError> {
        answers::sweep(&self.pool).await.map_err(LoadError::Database)
    }

    /// What a command stored or was answered, if it was.
    pub async fn find_command(&self, command_id: Uuid) -> Result<Option<Earlier>, LoadError> {
        append::find_command(&self.pool, command_id).await.map_err(LoadError::Database)
    }

    /// The last position of a log partition; 0 where it is empty.
    pub async fn head(&self, partition: i32) -> Result<i64, LoadError> {
        const HEAD: &str = "SELECT position FROM events WHERE partition = $1 ORDER BY position DESC LIMIT 1";
        let position = sqlx::query_scalar::<_, i64>(HEAD).bind(partition).fetch_optional(&self.pool).await;
        Ok(position.map_err(LoadError::Database)?.unwrap_or(0))
    }

    /// The position of a stream's last event; 0 where there is none.
    pub async fn last_position<A: Decider>(&self, id: Uuid) -> Result<i64, LoadError> {
        const LAST_POSITION: &str = "SELECT position FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 \
             ORDER BY sequence DESC LIMIT 1";
        let position = sqlx::query_scalar::<_, i64>(LAST_POSITION)
            .bind(A::TYPE)
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(LoadError::Database)?;
        Ok(position.unwrap_or(0))
    }
}
