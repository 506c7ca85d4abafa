//! From a command to its events in the log: load the aggregate, decide, append, answer.
//!
//! A lost race is decided again on the newer state, a bounded number of times. The same command id is stored once, whatever is
//! retried by whom.
use std::{sync::Arc, time::Duration};

use cqrs_es::DomainEvent;
use fittrack_domain::{
    aggregate::{Context, Decider},
    ids::AthleteId,
};
use fittrack_schemas::envelope::Metadata;
use metrics::counter;
use serde::Serialize;
use uuid::Uuid;

pub use crate::store::append::Earlier;
use crate::store::{
    EventStore, LoadError,
    answers::Answer,
    append::{Append, NewEvent, Outcome, Place},
    cache::Loaded,
    hints::Hints,
    lane::AppendError,
};

/// How often a command is decided again after losing a race for its stream.
const MAX_ATTEMPTS: u32 = 6;
/// Seldom is an event's JSON longer, or that of its metadata.
const EVENT_BYTES: usize = 768;
const METADATA_BYTES: usize = 256;

/// One command, and everything that is said about it.
#[derive(Debug, Clone)]
pub struct Request<A: Decider> {
    /// The stream it changes.
    pub stream_id: Uuid,
    /// Whose log the stream is in.
    pub owner_id: AthleteId,
    /// What is asked.
    pub command: A::Command,
    /// Who asks, and when.
    pub context: Context,
    /// The same id again is the same command again.
    pub command_id: Uuid,
    /// Identifies the request; the same command id with another fingerprint is refused.
    pub fingerprint: Option<String>,
    /// Its client named it by a key: its answer is kept even where it stores nothing.
    pub keyed: bool,
    /// What the client believes the stream's version to be.
    pub precondition: Option<Precondition>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Common to the commands of one request or saga.
    pub correlation_id: Option<Uuid>,
}

/// What `If-Match` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// The stream is at this version.
    Version(i64),
    /// The stream exists.
    AnyVersion,
}

/// What is answered for a stored command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The stream the command changed; of a replay, the one its first time changed.
    pub stream_id: Uuid,
    /// The stream's version after it.
    pub version: i64,
    /// The log partition.
    pub partition: i32,
    /// The position up to which a reader must have come to see it.
    pub position: i64,
    /// The command had been stored before.
    pub replayed: bool,
    /// False where the command led to no event, because everything was so already.
    pub changed: bool,
}

/// Why a command was not stored.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError<R: std::error::Error> {
    /// The rules say no.
    #[error(transparent)]
    Refused(R),
    /// The precondition does not hold.
    #[error("the resource is at version {current}")]
    VersionMismatch {
        /// The version the stream is at.
        current: i64,
    },
    /// The command id belongs to another request.
    #[error("the idempotency key was used for another request")]
    FingerprintMismatch,
    /// The owner's account was erased.
    #[error("the owner's log is closed")]
    Erased,
    /// Others changed the stream again and again meanwhile.
    #[error("others keep changing the resource")]
    Busy,
    /// More waits than can be stored in time; nothing was stored.
    #[error("too many commands are waiting")]
    Overloaded,
    /// Whether it was stored is not known; a retry with the same key will tell.
    #[error("the outcome is not known")]
    Unknown,
    /// The store cannot be reached, and nothing was stored.
    #[error("{0}")]
    Unavailable(String),
}

/// Takes commands to the event store. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    store: EventStore,
    hints: Arc<Hints>,
}

/// What one attempt came to.
enum Attempt {
    Done(Receipt),
    /// The stream was at another version than the one decided on.
    Stale,
    /// By what is remembered there is nothing to do; nothing will say whether that is still so but the stream.
    Unsure,
}

impl Dispatcher {
    /// A dispatcher over a store, telling other processes through `hints`.
    pub fn new(store: EventStore, hints: Arc<Hints>) -> Self {
        Self { store, hints }
    }

    /// The store underneath.
    pub fn store(&self) -> &EventStore {
        &self.store
    }

    /// Decides and stores a command. Whoever drops this future half-way may have stored it or not; the edge, under which all
    /// routes stand, lets a command whose client has gone go on to its end.
    pub async fn dispatch<A: Decider + 'static>(
        &self,
        request: Request<A>,
    ) -> Result<Receipt, DispatchError<A::Error>> {
        let request = &request;
        let mut cached = self.store.cached::<A>(request.stream_id).or_else(|| assumed_new::<A>(&request.command));
        for _ in 0..MAX_ATTEMPTS {
            let is_fresh = cached.is_none();
            let loaded = match cached.take() {
                Some(cached) => cached,
                None => Arc::new(self.store.load::<A>(request.stream_id).await.map_err(unavailable)?),
            };
            match self.attempt(request, &loaded, is_fresh).await {
                Ok(Attempt::Done(receipt)) => return Ok(receipt),
                Ok(Attempt::Stale) => {
                    counter!("fittrack_command_conflicts_total", "aggregate" => A::TYPE).increment(1);
                    self.store.forget::<A>(request.stream_id);
                    tokio::time::sleep(Duration::from_micros(rand::random_range(100..2_000))).await;
                }
                Ok(Attempt::Unsure) => self.store.forget::<A>(request.stream_id),
                // What memory refuses, the store itself may allow: another replica may have gone on.
                Err(DispatchError::Refused(_) | DispatchError::VersionMismatch { .. }) if !is_fresh => {
                    self.store.forget::<A>(request.stream_id);
                }
                // A retry of a stored command finds its own work in its way.
                Err(error @ (DispatchError::Refused(_) | DispatchError::VersionMismatch { .. })) => {
                    return self.replay_or(request, error).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(DispatchError::Busy)
    }

    /// The aggregate as it is, from memory where it is known.
    pub async fn load<A: Decider + 'static>(&self, stream_id: Uuid) -> Result<(A, i64), LoadError> {
        let loaded = match self.store.cached::<A>(stream_id) {
            Some(cached) => (*cached).clone(),
            None => self.store.load::<A>(stream_id).await?,
        };
        Ok((loaded.state, loaded.version))
    }

    /// What a command stored or was answered, if it was.
    pub async fn find_command(&self, command_id: Uuid) -> Result<Option<Earlier>, LoadError> {
        self.store.find_command(command_id).await
    }

    async fn attempt<A: Decider + 'static>(
        &self,
        request: &Request<A>,
        loaded: &Loaded<A>,
        is_fresh: bool,
    ) -> Result<Attempt, DispatchError<A::Error>> {
        if !holds(request.precondition, loaded.version) {
            return Err(DispatchError::VersionMismatch { current: loaded.version });
        }
        let events = loaded.state.decide(&request.command, &request.context).map_err(DispatchError::Refused)?;
        if events.is_empty() && !is_fresh {
            return Ok(Attempt::Unsure);
        }
        if events.is_empty() {
            return self.unchanged(request, loaded.version).await.map(Attempt::Done);
        }
        let append = self.append_of(request, loaded.version, &events)?;
        let partition = append.partition;
        match self.store.append(append).await {
            Ok(Outcome::Stored(place)) => {
                self.hints.note([partition]);
                // What has just begun is seldom changed next; what was changed may well be changed again.
                if !A::begins_stream(&request.command) {
                    let mut state = loaded.state.clone();
                    for event in events {
                        state.apply(event);
                    }
                    self.store.remember(request.stream_id, Loaded { state, version: place.version });
                }
                Ok(Attempt::Done(receipt(request.stream_id, place)))
            }
            Ok(Outcome::Duplicate(earlier)) => replayed(request, &earlier).map(Attempt::Done),
            Ok(Outcome::Conflict { .. }) => Ok(Attempt::Stale),
            Err(AppendError::Overloaded) => Err(DispatchError::Overloaded),
            Err(AppendError::Unavailable) => Err(DispatchError::Unavailable(AppendError::Unavailable.to_string())),
            Err(AppendError::Unknown) => {
                self.store.forget::<A>(request.stream_id);
                Err(DispatchError::Unknown)
            }
            Err(AppendError::Closed) => Err(DispatchError::Erased),
            // A unique index said no: two partitions raced for one stream id. The next look will see who has it.
            Err(AppendError::Rejected(reason)) if reason.contains("events_stream") => Ok(Attempt::Stale),
            Err(AppendError::Rejected(reason)) if reason.contains("events_command") => Ok(Attempt::Stale),
            Err(AppendError::Rejected(reason)) => {
                tracing::error!(reason, aggregate = A::TYPE, stream_id = %request.stream_id, "an append was refused");
                Err(DispatchError::Unavailable("the event store refused the command".to_owned()))
            }
        }
    }

    fn append_of<A: Decider>(
        &self,
        request: &Request<A>,
        expected_version: i64,
        events: &[A::Event],
    ) -> Result<Append, DispatchError<A::Error>> {
        let encode =
            |error: serde_json::Error| DispatchError::Unavailable(format!("an event cannot be written: {error}"));
        let metadata = Metadata {
            actor: Some(request.context.actor.0),
            traceparent: request.traceparent.clone(),
            correlation_id: request.correlation_id,
            fingerprint: request.fingerprint.clone(),
        };
        let metadata = json_text(&metadata, METADATA_BYTES).map_err(encode)?;
        let new_event = |event: &A::Event| {
            Ok(NewEvent {
                event_id: Uuid::now_v7(),
                event_type: event.event_type(),
                event_version: event.event_version(),
                payload: json_text(event, EVENT_BYTES).map_err(encode)?,
                metadata: metadata.clone(),
                occurred_at: request.context.now,
            })
        };
        Ok(Append {
            command_id: request.command_id,
            partition: self.store.partition_of(request.owner_id.0),
            aggregate_type: A::TYPE,
            aggregate_id: request.stream_id,
            owner_id: request.owner_id.0,
            expected_version,
            events: events.iter().map(new_event).collect::<Result<_, _>>()?,
        })
    }

    /// Nothing is to be changed: a retry finds what its first time stored, anybody else the stream as it is.
    async fn unchanged<A: Decider + 'static>(
        &self,
        request: &Request<A>,
        version: i64,
    ) -> Result<Receipt, DispatchError<A::Error>> {
        if let Some(earlier) = self.find_command(request.command_id).await.map_err(unavailable)? {
            return replayed(request, &earlier);
        }
        let position = self.store.last_position::<A>(request.stream_id).await.map_err(unavailable)?;
        let partition = self.store.partition_of(request.owner_id.0);
        let place = Place { version, partition, position };
        if request.keyed {
            let answer = Answer {
                command_id: request.command_id,
                owner_id: request.owner_id.0,
                aggregate_id: request.stream_id,
                place,
                fingerprint: request.fingerprint.clone(),
            };
            // Its own copy may have been faster.
            if !self.store.keep_answer(answer).await.map_err(unavailable)?
                && let Some(earlier) = self.find_command(request.command_id).await.map_err(unavailable)?
            {
                return replayed(request, &earlier);
            }
        }
        Ok(Receipt { changed: false, ..receipt(request.stream_id, place) })
    }

    async fn replay_or<A: Decider + 'static>(
        &self,
        request: &Request<A>,
        error: DispatchError<A::Error>,
    ) -> Result<Receipt, DispatchError<A::Error>> {
        match self.find_command(request.command_id).await.map_err(unavailable)? {
            Some(earlier) => replayed(request, &earlier),
            None => Err(error),
        }
    }
}

/// The state a command is decided on that begins a stream, as if it had been read.
fn assumed_new<A: Decider>(command: &A::Command) -> Option<Arc<Loaded<A>>> {
    A::begins_stream(command).then(|| Arc::new(Loaded { state: A::default(), version: 0 }))
}

/// JSON in a text that need not grow where it is no longer than expected.
fn json_text(value: &impl Serialize, expected_bytes: usize) -> Result<String, serde_json::Error> {
    let mut json = Vec::with_capacity(expected_bytes);
    serde_json::to_writer(&mut json, value)?;
    String::from_utf8(json).map_err(serde::ser::Error::custom)
}

fn holds(precondition: Option<Precondition>, version: i64) -> bool {
    match precondition {
        None => true,
        Some(Precondition::AnyVersion) => version > 0,
        Some(Precondition::Version(expected)) => version == expected,
    }
}

fn receipt(stream_id: Uuid, place: Place) -> Receipt {
    Receipt {
        stream_id,
        version: place.version,
        partition: place.partition,
        position: place.position,
        replayed: false,
        changed: true,
    }
}

fn replayed<A: Decider>(request: &Request<A>, earlier: &Earlier) -> Result<Receipt, DispatchError<A::Error>> {
    if let (Some(asked), Some(stored)) = (&request.fingerprint, &earlier.metadata.fingerprint)
        && asked != stored
    {
        return Err(DispatchError::FingerprintMismatch);
    }
    let stream_id = Uuid::parse_str(&earlier.aggregate_id).unwrap_or(request.stream_id);
    Ok(Receipt { replayed: true, changed: earlier.changed(), ..receipt(stream_id, earlier.place) })
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn unavailable<R: std::error::Error>(error: LoadError) -> DispatchError<R> {
    tracing::warn!(error = %std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string), "the event store could not be read");
    DispatchError::Unavailable(error.to_string())
}
