//! The store as a `cqrs_es::EventStore`, for those who drive an aggregate through the framework. Appends go through the
//! same lanes as every other; nothing is applied twice, because [`cqrs_es::EventStore::commit`] returns events only.
//!
//! The framework knows neither owners nor command ids; they travel in its metadata under [`OWNER_ID`] and [`COMMAND_ID`].
use std::collections::HashMap;

use cqrs_es::{AggregateContext, AggregateError, EventEnvelope};
use fittrack_domain::aggregate::Decider;
use fittrack_runtime::clock;
use uuid::Uuid;

use super::{
    EventStore, LoadError,
    append::{Append, NewEvent, Outcome},
};

/// Metadata key: the owner's UUID, required.
pub const OWNER_ID: &str = "owner_id";
/// Metadata key: the command's UUID; a new one where it is absent.
pub const COMMAND_ID: &str = "command_id";

/// An aggregate between load and commit.
pub struct LoadedContext<A> {
    aggregate_id: String,
    aggregate: A,
    version: i64,
}

impl<A: Decider> AggregateContext<A> for LoadedContext<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

type FrameworkError<A> = AggregateError<<A as cqrs_es::Aggregate>::Error>;

impl<A: Decider + 'static> cqrs_es::EventStore<A> for EventStore
where
    A::Error: Send + Sync,
{
    type AC = LoadedContext<A>;

    async fn load_events(&self, aggregate_id: &str) -> Result<Vec<EventEnvelope<A>>, FrameworkError<A>> {
        self.read_stream::<A>(parse_id(aggregate_id)?).await.map_err(database)
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Self::AC, FrameworkError<A>> {
        let loaded = self.load::<A>(parse_id(aggregate_id)?).await.map_err(database)?;
        Ok(LoadedContext { aggregate_id: aggregate_id.to_owned(), aggregate: loaded.state, version: loaded.version })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, FrameworkError<A>> {
        if events.is_empty() {
            return Ok(vec![]);
        }
        let aggregate_id = parse_id(&context.aggregate_id)?;
        let owner_id = parse_id(metadata.get(OWNER_ID).map_or("", String::as_str))?;
        let command_id = metadata.get(COMMAND_ID).map_or_else(|| Ok(Uuid::now_v7()), |id| parse_id(id))?;
        let envelopes: Vec<EventEnvelope<A>> = (context.version + 1..)
            .zip(events)
            .map(|(sequence, payload)| EventEnvelope {
                aggregate_id: context.aggregate_id.clone(),
                sequence: usize::try_from(sequence).unwrap_or(usize::MAX),
                payload,
                metadata: metadata.clone(),
            })
            .collect();
        let new_events = envelopes.iter().map(new_event).collect::<Result<Vec<_>, _>>().map_err(unexpected)?;
        let append = Append {
            command_id,
            partition: self.partition_of(owner_id),
            aggregate_type: A::TYPE,
            aggregate_id,
            owner_id,
            expected_version: context.version,
            events: new_events,
        };
        match self.append(append).await.map_err(|error| AggregateError::DatabaseConnectionError(error.into()))? {
            Outcome::Stored(_) | Outcome::Duplicate(_) => Ok(envelopes),
            Outcome::Conflict { .. } => Err(AggregateError::AggregateConflict),
        }
    }
}

fn new_event<A: Decider>(envelope: &EventEnvelope<A>) -> Result<NewEvent, serde_json::Error> {
    use cqrs_es::DomainEvent;
    Ok(NewEvent {
        event_id: Uuid::now_v7(),
        event_type: envelope.payload.event_type(),
        event_version: envelope.payload.event_version(),
        payload: serde_json::to_string(&envelope.payload)?,
        metadata: serde_json::to_string(&envelope.metadata)?,
        occurred_at: clock::now(),
    })
}

fn parse_id<E: std::error::Error>(id: &str) -> Result<Uuid, AggregateError<E>> {
    Uuid::parse_str(id).map_err(unexpected)
}

fn database<E: std::error::Error>(error: LoadError) -> AggregateError<E> {
    AggregateError::DatabaseConnectionError(error.into())
}

fn unexpected<E: std::error::Error>(error: impl std::error::Error + Send + Sync + 'static) -> AggregateError<E> {
    AggregateError::UnexpectedError(Box::new(error))
}
