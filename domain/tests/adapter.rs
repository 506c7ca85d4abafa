//! The adapter to `cqrs_es::Aggregate`: an event is applied once, by whoever commits it, and never by `handle`.
//! Shown on an aggregate that counts its applications, because a rule that sets a value cannot tell once from twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]
use std::convert::Infallible;

use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use fittrack_domain::aggregate::{Context, Decider, handle_by_deciding};
use futures::executor::block_on;
use serde::{Deserialize, Serialize};

/// How many events were applied.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Tally(u32);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Counted;

impl DomainEvent for Counted {
    fn event_type(&self) -> String {
        "counted".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Tally {
    const TYPE: &'static str = "tally";
    /// How many events to answer with.
    type Command = usize;
    type Event = Counted;
    type Error = Infallible;
    type Services = Context;

    async fn handle(&mut self, command: usize, context: &Context, sink: &EventSink<Self>) -> Result<(), Infallible> {
        handle_by_deciding(self, &command, context, sink).await
    }

    fn apply(&mut self, _: Counted) {
        self.0 += 1;
    }
}

impl Decider for Tally {
    fn decide(&self, command: &usize, _: &Context) -> Result<Vec<Counted>, Infallible> {
        Ok(vec![Counted; *command])
    }

    fn begins_stream(_: &Self::Command) -> bool {
        false
    }
}

#[test]
fn three_events_are_applied_three_times() {
    let mut tally = Tally(10);
    let sink = EventSink::default();
    block_on(tally.handle(3, &Context::example(), &sink)).unwrap();
    assert_eq!(tally, Tally(10), "handle leaves the aggregate alone");
    let events = block_on(sink.collect());
    assert_eq!(events.len(), 3);
    for event in events {
        tally.apply(event);
    }
    assert_eq!(tally, Tally(13));
}

#[test]
fn the_frameworks_sink_would_have_applied_them_to_what_it_is_given() {
    // Why the adapter hands the sink a clone. When an upgrade changes this, the clone can go.
    let mut tally = Tally(10);
    let sink = EventSink::<Tally>::default();
    block_on(sink.write(Counted, &mut tally));
    assert_eq!(tally, Tally(11));
}
