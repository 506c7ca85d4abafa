//! How a decision is made: `decide` turns a command into events or a refusal, `apply` copies facts into the state.
//! Both are pure; the adapter at the end fits them to `cqrs_es::Aggregate`.
use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};

use crate::{
    ids::AthleteId,
    values::{TimeZone, Visibility},
};

/// What a decision may know besides the aggregate: who asks, when, and the asker's own defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The instant of the decision; becomes `occurred_at`.
    pub now: DateTime<Utc>,
    /// The athlete who gave the command.
    pub actor: AthleteId,
    /// The actor's home zone, in which local days are counted.
    pub time_zone: TimeZone,
    /// What the actor's new workouts are when nothing is said.
    pub default_visibility: Visibility,
}

impl Context {
    /// A context for examples and tests: 1 November 2026, noon UTC, athlete 1.
    pub fn example() -> Self {
        Self {
            now: DateTime::from_timestamp_nanos(1_793_534_400_000_000_000),
            actor: AthleteId(uuid::Uuid::from_u128(1)),
            time_zone: TimeZone::default(),
            default_visibility: Visibility::Private,
        }
    }
}

/// An aggregate as its rules see it: the state, what may be asked of it, what happens.
pub trait Decider: Aggregate<Services = Context> + Clone {
    /// What the command leads to, or why it is refused. An empty list means that nothing changes.
    fn decide(&self, command: &Self::Command, context: &Context) -> Result<Vec<Self::Event>, Self::Error>;

    /// Whether the command begins a stream. It is decided on the empty state without a read; should the stream exist after
    /// all, the version check of the append finds out.
    fn begins_stream(command: &Self::Command) -> bool;
}

/// The body of every `Aggregate::handle` here: decide, then write the events to the sink.
///
/// The sink applies what is written to the aggregate it is given; the framework applies the same events again when they
/// are committed. So the sink gets a scratch clone.
pub async fn handle_by_deciding<A: Decider>(
    aggregate: &A,
    command: &A::Command,
    context: &Context,
    sink: &EventSink<A>,
) -> Result<(), A::Error>
where
    A::Command: Sync,
    A::Event: DomainEvent,
{
    let mut scratch = aggregate.clone();
    for event in aggregate.decide(command, context)? {
        sink.write(event, &mut scratch).await;
    }
    Ok(())
}
