//! A source that delivers exactly what a test says, in whatever order and as often as it says.
use fittrack_schemas::envelope::StoredEvent;
use projectors::{
    checkpoint::Start,
    source::{Delivered, Source, SourceError},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Where the test speaks.
pub struct Script(UnboundedSender<Vec<StoredEvent>>);

/// Where the runner listens.
pub struct Scripted {
    deliveries: UnboundedReceiver<Vec<StoredEvent>>,
    holds: bool,
}

pub fn scripted() -> (Script, Scripted) {
    let (sender, deliveries) = unbounded_channel();
    (Script(sender), Scripted { deliveries, holds: false })
}

impl Script {
    /// One delivery.
    pub fn deliver<'e>(&self, events: impl IntoIterator<Item = &'e StoredEvent>) {
        self.0.send(events.into_iter().cloned().collect()).unwrap();
    }
}

impl Source for Scripted {
    fn hold(&mut self, starts: &[Start]) -> Result<(), SourceError> {
        self.holds |= !starts.is_empty();
        Ok(())
    }

    fn let_go(&mut self, _: &[i32]) -> Result<(), SourceError> {
        Ok(())
    }

    async fn next(&mut self, until: Instant, stop: &CancellationToken) -> Result<Vec<Delivered>, SourceError> {
        tokio::select! {
            // Nothing is said to a runner that holds nothing: it would not listen.
            Some(events) = self.deliveries.recv(), if self.holds => {
                Ok(events.into_iter().map(|event| Delivered { event, next_offset: None }).collect())
            }
            () = sleep_until(until) => Ok(vec![]),
            () = stop.cancelled() => Ok(vec![]),
        }
    }
}
