//! Signs of life: about every second the checkpoints say that the worker lives, how fresh its rows are, and how far it is
//! behind. What has been in the store for long and has not come by then is read from there, so no lost message stays lost.
use metrics::gauge;
use sqlx::{Postgres, pool::PoolConnection};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Interruption, Runner};
use crate::{
    checkpoint::{self, Beat},
    event_log,
    projection::Projection,
    source::Source,
};

/// At most so many overdue events of a partition are read from the store between two deliveries.
const OVERDUE_AT_ONCE: i64 = 10_000;

/// A head of the log that a partition has not reached, and that nothing has come closer to since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overdue {
    position: i64,
    head: i64,
    since: Instant,
}

impl<P: Projection, S: Source> Runner<P, S> {
    /// Writes heartbeats and measures the lag when it is time; heals what is overdue.
    pub(super) async fn show_life(
        &mut self,
        connection: &mut PoolConnection<Postgres>,
        stop: &CancellationToken,
    ) -> Result<(), Interruption> {
        if Instant::now() < self.next_beat {
            return Ok(());
        }
        self.next_beat = Instant::now() + self.parts.tuning.heartbeat;
        let partitions: Vec<i32> = self.held.keys().copied().collect();
        let Some(found) = event_log::heads(&self.parts.store, &partitions).await? else {
            self.measure(0);
            return Ok(());
        };
        let mut lag = 0;
        let mut beats = Vec::with_capacity(partitions.len());
        for (partition, head) in found.heads {
            let Some(held) = self.held.get(&partition) else { continue };
            let behind = (head - held.mark.position).max(0);
            lag += behind;
            let as_of = (behind == 0).then_some(found.at);
            beats.push(Beat { partition, epoch: held.epoch, as_of });
            self.note_overdue(partition, head);
        }
        checkpoint::beat(connection, &self.worker, &beats).await?;
        self.measure(lag);
        self.heal_overdue(connection, stop).await
    }

    /// Remembers since when a partition has been behind without coming closer.
    fn note_overdue(&mut self, partition: i32, head: i64) {
        let Some(position) = self.held.get(&partition).map(|held| held.mark.position) else { return };
        if position >= head {
            self.overdue.remove(&partition);
            return;
        }
        let now = Instant::now();
        let noted = self.overdue.entry(partition).or_insert(Overdue { position, head, since: now });
        if noted.position != position {
            *noted = Overdue { position, head, since: now };
        }
    }

    async fn heal_overdue(
        &mut self,
        connection: &mut PoolConnection<Postgres>,
        stop: &CancellationToken,
    ) -> Result<(), Interruption> {
        let patience = self.parts.tuning.overdue;
        let overdue: Vec<(i32, i64)> = self
            .overdue
            .iter()
            .filter(|(_, overdue)| overdue.since.elapsed() >= patience)
            .map(|(partition, overdue)| (*partition, overdue.head.min(overdue.position + OVERDUE_AT_ONCE)))
            .collect();
        for (partition, upto) in overdue {
            self.overdue.remove(&partition);
            self.heal(connection, partition, upto, stop).await?;
        }
        Ok(())
    }

    fn measure(&self, lag: i64) {
        let position: i64 = self.held.values().map(|held| held.mark.position).sum();
        let parked: usize = self.held.values().map(|held| held.parked.len()).sum();
        gauge!("fittrack_projection_position", "projection" => P::NAME, "build" => self.worker.clone())
            .set(position as f64);
        gauge!("fittrack_projection_lag_events", "projection" => P::NAME, "build" => self.worker.clone())
            .set(lag as f64);
        gauge!("fittrack_projection_parked_keys", "projection" => P::NAME, "build" => self.worker.clone())
            .set(parked as f64);
        gauge!("fittrack_projection_partitions", "projection" => P::NAME, "build" => self.worker.clone())
            .set(self.held.len() as f64);
    }
}
