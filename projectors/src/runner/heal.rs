//! Fills gaps: what a source has left out is read from the event store, page by page, and applied before anything behind it.
use metrics::counter;
use sqlx::{Postgres, pool::PoolConnection};
use tokio_util::sync::CancellationToken;

use super::{
    Interruption, Runner,
    batch::{Batch, Place, place},
    unknown,
};
use crate::{
    event_log::{self, Wanted},
    projection::Projection,
    source::{Delivered, Source},
};

/// Events of one read.
const PAGE: i64 = 1_000;

impl<P: Projection, S: Source> Runner<P, S> {
    /// Applies what is missing in a partition up to and including `upto`, as long as the partition is held.
    pub(super) async fn heal(
        &mut self,
        connection: &mut PoolConnection<Postgres>,
        partition: i32,
        upto: i64,
        stop: &CancellationToken,
    ) -> Result<(), Interruption> {
        let mut healed = 0;
        let from = self.held.get(&partition).map(|held| held.mark.position + 1);
        while let Some(after) = self.held.get(&partition).map(|held| held.mark.position).filter(|after| *after < upto) {
            if stop.is_cancelled() {
                return Err(Interruption::Stopped);
            }
            let wanted = Wanted { partition, after, at_most: PAGE.min(upto - after) };
            let events = event_log::after(&self.parts.store, &[wanted]).await?;
            let found = events.len();
            let mut batch = Batch::default();
            for event in events {
                let Some(held) = self.held.get(&partition) else { break };
                let applied = batch.position(partition).unwrap_or(held.mark.position);
                if place(applied, event.position) != Place::Next {
                    return Err(Interruption::Hole { partition, position: applied + 1 });
                }
                let delivered = Delivered { event, next_offset: None };
                if !self.known.contains(&delivered.event.event_type, &delivered.event.event_version) {
                    self.apply(connection, batch, stop).await?;
                    return Err(unknown(&delivered).into());
                }
                batch.push::<P>(delivered, held);
            }
            if found == 0 {
                return Err(Interruption::Hole { partition, position: after + 1 });
            }
            self.apply(connection, batch, stop).await?;
            healed += found;
            counter!("fittrack_projection_healed_events_total", "projection" => P::NAME, "build" => self.worker.clone())
                .increment(u64::try_from(found).unwrap_or_default());
            self.keep_leases(connection).await?;
        }
        tracing::warn!(build = self.worker, partition, from, upto, healed, "a gap was filled from the event store");
        Ok(())
    }
}
