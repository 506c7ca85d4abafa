//! One batch, one transaction: checkpoints first (which fences), then rows, then parked events; the notice after the commit.
//! A batch that cannot be written is tried again a few times, and then taken apart until its poison is found.
use std::time::Duration;

use fittrack_runtime::backoff::Backoff;
use fittrack_schemas::read_models::Build;
use metrics::{counter, histogram};
use sqlx::{Connection, PgConnection, Postgres, pool::PoolConnection};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Halt, Interruption, Runner,
    batch::{self, Batch},
};
use crate::{
    checkpoint, erasure,
    notices::notice,
    parking::{self, Failure, Parked, isolate},
    projection::Projection,
    source::Source,
};

/// How often a batch is tried again before its poison is looked for.
const RETRIES: u32 = 3;

/// Why an attempt changed nothing.
enum Miss {
    Fenced,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Miss {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl<P: Projection, S: Source> Runner<P, S> {
    /// Commits a batch, parking what is poison in it.
    pub(super) async fn apply(
        &mut self,
        connection: &mut PoolConnection<Postgres>,
        batch: Batch,
        stop: &CancellationToken,
    ) -> Result<(), Interruption> {
        if batch.steps.is_empty() {
            return Ok(());
        }
        if !batch.steps.keys().all(|partition| self.keeper.still_held(*partition)) {
            return Err(Interruption::Fenced);
        }
        let started = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(200));
        let parked = loop {
            match commit_whole::<P>(self.parts.build, connection, &batch).await {
                Ok(()) => break vec![],
                Err(Miss::Fenced) => return Err(Interruption::Fenced),
                Err(Miss::Failed(Failure::Database(error))) => return Err(error.into()),
                // The database may have had its reasons; a fold has the same ones every time.
                Err(Miss::Failed(failure @ Failure::Write(_))) if backoff.attempts() < RETRIES => {
                    tracing::warn!(
                        build = self.worker,
                        cause = failure.kind(),
                        "a batch was not written; trying again"
                    );
                    if !backoff.wait(stop).await {
                        return Err(Interruption::Stopped);
                    }
                }
                Err(Miss::Failed(_)) => break self.commit_without_poison(connection, &batch).await?,
            }
        };
        self.committed(&batch, &parked, started);
        Ok(())
    }

    async fn commit_without_poison(
        &mut self,
        connection: &mut PgConnection,
        batch: &Batch,
    ) -> Result<Vec<Parked>, Interruption> {
        let mut transaction = connection.begin().await?;
        if !checkpoint::advance(&mut transaction, &self.worker, &batch.steps()).await? {
            transaction.rollback().await?;
            return Err(Interruption::Fenced);
        }
        let owners = batch.by_owner();
        let parked = match isolate::write_all_but_the_poison::<P>(&mut transaction, self.parts.build, &owners).await {
            Ok(parked) => parked,
            Err(Failure::Database(error) | Failure::Write(error)) => return Err(error.into()),
            Err(Failure::Fold(error)) => return Err(sqlx::Error::Encode(error.into()).into()),
        };
        let poisoned = poisoned(&parked);
        if self.storm.breaks_out(&poisoned, Instant::now()) {
            transaction.rollback().await?;
            return Err(storm(self.parts.tuning.storm, &parked).into());
        }
        parking::sql::insert(&mut transaction, &self.worker, &parked).await?;
        parking::sql::insert(&mut transaction, &self.worker, &batch.waiting).await?;
        erasure::erase(&mut transaction, self.parts.build, &batch.erased).await?;
        transaction.commit().await?;
        Ok(parked)
    }

    /// What follows from a commit: progress in memory, metrics, the notice.
    fn committed(&mut self, batch: &Batch, parked: &[Parked], started: Instant) {
        for step in batch.steps.values() {
            if let Some(held) = self.held.get_mut(&step.partition) {
                held.mark = step.to;
            }
        }
        for held in self.held.values_mut() {
            held.parked.retain(|owner| !batch.erased.contains(owner));
        }
        for Parked { event, .. } in parked {
            if let Some(held) = self.held.get_mut(&event.partition) {
                held.parked.insert(event.owner_id);
            }
        }
        if self.shown {
            let checkpoints = batch.steps.values().map(|step| (step.partition, step.to.position)).collect();
            self.parts.notices.give(&notice(self.parts.build, checkpoints, batch.owners()));
        }
        histogram!("fittrack_projection_batch_events", "projection" => P::NAME, "build" => self.worker.clone())
            .record(batch.covered as f64);
        histogram!("fittrack_projection_batch_seconds", "projection" => P::NAME, "build" => self.worker.clone())
            .record(started.elapsed().as_secs_f64());
        counter!("fittrack_projection_events_total", "projection" => P::NAME, "build" => self.worker.clone())
            .increment(u64::try_from(batch.covered).unwrap_or_default());
        if tracing::enabled!(tracing::Level::DEBUG) {
            tracing::debug!(
                build = self.worker,
                events = batch.covered,
                partitions = batch.steps.len(),
                trace_ids = batch.traces().join(","),
                "applied"
            );
        }
    }
}

async fn commit_whole<P: Projection>(build: Build, connection: &mut PgConnection, batch: &Batch) -> Result<(), Miss> {
    let worker = &build.worker();
    let changes = batch::fold::<P>(&batch.events)?;
    let mut transaction = connection.begin().await.map_err(Failure::Database)?;
    if !checkpoint::advance(&mut transaction, worker, &batch.steps()).await? {
        transaction.rollback().await?;
        return Err(Miss::Fenced);
    }
    if !batch.events.is_empty() {
        P::write(&mut transaction, build, &changes).await?;
    }
    parking::sql::insert(&mut transaction, worker, &batch.waiting).await?;
    erasure::erase(&mut transaction, build, &batch.erased).await?;
    // Whether it was committed is not known here; the next session reads the checkpoint and sees.
    transaction.commit().await.map_err(Failure::Database)?;
    Ok(())
}

fn storm(limit: usize, parked: &[Parked]) -> Halt {
    let last = parked.iter().rev().find(|parked| parked.error.is_some()).map(|parked| &parked.event);
    Halt::Storm {
        limit,
        event_type: last.map(|event| event.event_type.clone()).unwrap_or_default(),
        partition: last.map_or(-1, |event| event.partition),
        position: last.map_or(0, |event| event.position),
    }
}

/// The owners whose first event was poison now; those behind them are not counted again.
fn poisoned(parked: &[Parked]) -> Vec<Uuid> {
    parked.iter().filter(|parked| parked.error.is_some()).map(|parked| parked.event.owner_id).collect()
}
