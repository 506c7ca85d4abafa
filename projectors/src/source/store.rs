//! Follows the event store itself, without Kafka: woken by `NOTIFY fittrack_appended`, with a short poll behind it.
//! A partition with a long way to go is read alone in big pages, so that its rows merge well; the others stay prompt.
use std::{collections::BTreeMap, time::Duration};

use fittrack_runtime::backoff::Backoff;
use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Delivered, MAX_EVENTS, Source, SourceError};
use crate::{
    checkpoint::Start,
    event_log::{self, Wanted},
};

/// What appenders notify; the payload is `<sender>:<partition>,<partition>...`, or the partitions alone.
const CHANNEL: &str = "fittrack_appended";
/// How often every partition is looked at although nobody said so.
const SAFETY_POLL: Duration = Duration::from_millis(100);
/// Events of one partition in a read of many; whoever has more is read alone.
const SHALLOW: i64 = 150;
/// Events of a partition that is read alone.
const DEEP: i64 = 4_000;

/// The event store as a source.
#[derive(Debug)]
pub struct StoreSource {
    store: PgPool,
    held: BTreeMap<i32, Reading>,
    hints: mpsc::Receiver<Vec<i32>>,
    next_poll: Instant,
    listening: CancellationToken,
    /// The last partition that was read alone.
    last_deep: i32,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    after: i64,
    /// Whether there may be something new.
    dirty: bool,
    /// Whether there was more than a shallow read could take.
    deep: bool,
}

impl StoreSource {
    /// A source over this store; listens for hints in a task of its own while it lives.
    pub fn new(store: PgPool) -> Self {
        let (sender, hints) = mpsc::channel(256);
        let listening = CancellationToken::new();
        tokio::spawn(listen(store.clone(), sender, listening.clone()));
        Self { store, held: BTreeMap::new(), hints, next_poll: Instant::now(), listening, last_deep: -1 }
    }

    /// Waits until some partition may have something new; `false` at `until` or when told to stop.
    async fn wait(&mut self, until: Instant, stop: &CancellationToken) -> bool {
        loop {
            while let Ok(hint) = self.hints.try_recv() {
                self.mark(&hint);
            }
            if self.held.values().any(|reading| reading.dirty) {
                return true;
            }
            tokio::select! {
                () = stop.cancelled() => return false,
                () = sleep_until(until) => return false,
                () = sleep_until(self.next_poll) => {
                    self.held.values_mut().for_each(|reading| reading.dirty = true);
                    self.next_poll = Instant::now() + SAFETY_POLL;
                }
                Some(hint) = self.hints.recv() => self.mark(&hint),
            }
        }
    }

    fn mark(&mut self, partitions: &[i32]) {
        for partition in partitions {
            if let Some(reading) = self.held.get_mut(partition) {
                reading.dirty = true;
            }
        }
    }

    /// All that may have something new, and at most one of those with a long way to go.
    fn wanted(&mut self) -> Vec<Wanted> {
        let deep = |(_, reading): &(&i32, &Reading)| reading.dirty && reading.deep;
        let next_deep = self
            .held
            .range(self.last_deep + 1..)
            .find(deep)
            .or_else(|| self.held.iter().find(deep))
            .map(|(partition, _)| *partition);
        self.last_deep = next_deep.unwrap_or(-1);
        let wanted = self.held.iter().filter_map(|(partition, reading)| {
            let at_most = match reading.deep {
                _ if !reading.dirty => return None,
                true if next_deep != Some(*partition) => return None,
                true => DEEP,
                false => SHALLOW,
            };
            Some(Wanted { partition: *partition, after: reading.after, at_most })
        });
        wanted.take(MAX_EVENTS).collect()
    }
}

impl Drop for StoreSource {
    fn drop(&mut self) {
        self.listening.cancel();
    }
}

impl Source for StoreSource {
    fn hold(&mut self, starts: &[Start]) -> Result<(), SourceError> {
        for start in starts {
            self.held.insert(start.partition, Reading { after: start.mark.position, dirty: true, deep: false });
        }
        Ok(())
    }

    fn let_go(&mut self, partitions: &[i32]) -> Result<(), SourceError> {
        self.held.retain(|partition, _| !partitions.contains(partition));
        Ok(())
    }

    async fn next(&mut self, until: Instant, stop: &CancellationToken) -> Result<Vec<Delivered>, SourceError> {
        if !self.wait(until, stop).await {
            return Ok(vec![]);
        }
        let wanted = self.wanted();
        let events = event_log::after(&self.store, &wanted).await?;
        for Wanted { partition, after, at_most } in wanted {
            let Some(reading) = self.held.get_mut(&partition) else { continue };
            let found = || events.iter().filter(|event| event.partition == partition);
            let full = i64::try_from(found().count()).is_ok_and(|count| count >= at_most);
            reading.after = found().next_back().map_or(after, |event| event.position);
            reading.deep = full;
            reading.dirty = full;
        }
        Ok(events.into_iter().map(|event| Delivered { event, next_offset: None }).collect())
    }
}

/// Passes hints on until cancelled; reconnects by itself. What is missed meanwhile, the poll finds.
async fn listen(store: PgPool, hints: mpsc::Sender<Vec<i32>>, stop: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    while let Some(Err(error)) = stop.run_until_cancelled(listen_once(&store, &hints, &mut backoff)).await {
        tracing::debug!(%error, "not listening for hints; polling goes on");
        if !backoff.wait(&stop).await {
            return;
        }
    }
}

async fn listen_once(store: &PgPool, hints: &mpsc::Sender<Vec<i32>>, backoff: &mut Backoff) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(store).await?;
    listener.listen(CHANNEL).await?;
    backoff.reset();
    loop {
        // A lost connection is `None`; the next call opens another.
        let Some(hint) = listener.try_recv().await? else { continue };
        // Where the queue is full, somebody is busy reading and polls soon.
        let _ = hints.try_send(partitions_of(hint.payload()));
    }
}

fn partitions_of(payload: &str) -> Vec<i32> {
    let (_, partitions) = payload.split_once(':').unwrap_or(("", payload));
    partitions.split(',').filter_map(|partition| partition.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_partitions_with_or_without_its_sender() {
        assert_eq!(partitions_of("0192d3c4-aaaa-7bbb-8ccc-1234567890ab:3,17"), [3, 17]);
        assert_eq!(partitions_of("3, 17"), [3, 17]);
        assert_eq!(partitions_of("nonsense"), [0; 0]);
    }
}
