//! What has changed in the read models: notices and checkpoints come in here, drop cached answers and wake those who wait.
//! Notices are the fast way; the table of checkpoints, read every second, is the truth behind them.
//!
//! Always in this order: first the counters (answers become stale), then the positions, then the wake-up. So whoever is woken
//! for a position finds no answer from before it.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fittrack_schemas::notice::ChangeNotice;
use sqlx::PgPool;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use crate::cache::stamps::Stamps;
use crate::progress::{Progress, Shown};
use crate::queries::checkpoints::{self, CheckpointRow};
use crate::read_model::ReadModel;

pub mod follow;
mod kafka;
mod listen;

/// Where changes come in; shared.
#[derive(Debug)]
pub struct Changes {
    pool: PgPool,
    stamps: Arc<Stamps>,
    progress: Progress,
    /// When checkpoints were last read; holding it makes the reading single.
    read_at: Mutex<Option<Instant>>,
    /// Whether notices tell everything: cleared when checkpoints show what no notice did.
    told: AtomicBool,
    /// Asks for a reading of the checkpoints now.
    look: Notify,
}

impl Changes {
    /// Changes of the read models in this database.
    pub fn new(pool: PgPool, stamps: Arc<Stamps>) -> Self {
        Self {
            pool,
            stamps,
            progress: Progress::default(),
            read_at: Mutex::default(),
            told: AtomicBool::new(false),
            look: Notify::new(),
        }
    }

    /// How far the read models have come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// A projector's notice. Only of what is shown are there any, so one of another build says that another is shown by now
    /// (or comes late): the checkpoints tell.
    pub fn apply(&self, notice: &ChangeNotice) {
        let Some(model) = ReadModel::named(&notice.read_model) else { return };
        match self.progress.shown(model) {
            Some(shown) if (shown.version, shown.generation) != (notice.version, notice.generation) => {
                self.told.store(false, Ordering::SeqCst);
                self.look.notify_one();
                return;
            }
            Some(_) => self.stamps.changed(model, notice),
            // Not even the builds are known yet.
            None => return self.stamps.changed_everything(),
        }
        for (partition, position) in &notice.checkpoints {
            self.progress.advance(model, *partition, *position);
        }
        self.told.store(true, Ordering::SeqCst);
        self.progress.moved.notify_waiters();
    }

    /// Notices may have been lost: everything is stale, and checkpoints are read soon.
    pub fn may_have_missed(&self) {
        self.told.store(false, Ordering::SeqCst);
        self.stamps.changed_everything();
    }

    /// Whether notices tell everything, as far as is known.
    pub fn is_told(&self) -> bool {
        self.told.load(Ordering::SeqCst)
    }

    /// Waits until somebody asks for a reading of the checkpoints.
    pub async fn asked_to_look(&self) {
        self.look.notified().await;
    }

    /// Reads checkpoints, unless somebody did within `recently`; those who ask meanwhile wait for the same reading.
    pub async fn read_checkpoints(&self, recently: Duration) -> Result<(), sqlx::Error> {
        let mut read_at = self.read_at.lock().await;
        if read_at.is_some_and(|at| at.elapsed() < recently) {
            return Ok(());
        }
        // A notice comes after its commit, so whatever is known now must be in the table we read next.
        let known = ReadModel::ALL.map(|model| self.progress.all_applied(model));
        let rows = checkpoints::shown(&self.pool).await?;
        for (model, known) in ReadModel::ALL.into_iter().zip(known) {
            self.take(model, &known, rows.iter().filter(|row| row.name == model.name()));
        }
        if let Some(highest) = rows.iter().filter_map(|row| row.partition).max() {
            self.stamps.set_partitions(highest + 1);
            self.progress.set_partitions(highest + 1);
        }
        *read_at = Some(Instant::now());
        drop(read_at);
        self.progress.moved.notify_waiters();
        Ok(())
    }

    fn take<'a>(&self, model: ReadModel, known: &[i64], rows: impl Iterator<Item = &'a CheckpointRow> + Clone) {
        let shown_by =
            |row: &CheckpointRow| Shown { version: row.version, generation: row.generation, flips: row.flips };
        let Some(now_shown) = rows.clone().map(shown_by).next() else { return };
        let shown = self.progress.shown(model);
        let positions: Vec<(i32, i64)> = rows.clone().filter_map(|row| Some((row.partition?, row.position?))).collect();
        let known = |partition: i32| usize::try_from(partition).ok().and_then(|at| known.get(at)).copied().unwrap_or(0);
        let put_back = positions.iter().any(|(partition, position)| *position < known(*partition));
        if put_back || shown.is_some_and(|shown| shown != now_shown) {
            tracing::info!(
                read_model = model.name(),
                now_shown.version,
                now_shown.generation,
                "another build or an older state is shown: starting over"
            );
            self.stamps.changed_everything();
            (0..)
                .zip(self.progress.all_applied(model))
                .for_each(|(partition, _)| self.progress.put_back(model, partition, 0));
        }
        let moved: Vec<i32> = positions
            .iter()
            .filter(|(partition, position)| *position > self.progress.applied(model, *partition))
            .map(|(partition, _)| *partition)
            .collect();
        if !moved.is_empty() {
            self.told.store(false, Ordering::SeqCst);
            self.stamps.changed_partitions(model, moved);
        }
        self.progress.set_shown(model, now_shown);
        for (partition, position) in &positions {
            self.progress.advance(model, *partition, *position);
        }
        if let Some(as_of) = rows.filter_map(|row| row.as_of).min() {
            self.progress.set_as_of(model, as_of);
        }
    }
}
