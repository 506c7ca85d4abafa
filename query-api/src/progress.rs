//! How far each read model has come, in memory: the position applied in each log partition, and up to when it is complete.
//! Notices and checkpoints move it; token waits and the `Freshness` header read it.
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use fittrack_domain::partition::partition_of;
use fittrack_schemas::consistency::ConsistencyToken;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::read_model::ReadModel;

/// `as_of` before anything is known.
const UNKNOWN: i64 = i64::MIN;

/// The progress of all read models.
#[derive(Debug)]
pub struct Progress {
    models: [ModelProgress; ReadModel::COUNT],
    /// How many log partitions there are; 0 while unknown.
    partitions: AtomicI32,
    /// Wakes those who wait for a position.
    pub moved: Notify,
}

#[derive(Debug)]
struct ModelProgress {
    /// The build shown; nothing while unknown.
    shown: Mutex<Option<Shown>>,
    applied: Box<[AtomicI64]>,
    as_of_ms: AtomicI64,
}

/// Which build of a read model is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Its version.
    pub version: i32,
    /// Its generation.
    pub generation: i32,
    /// How often another build was shown before: a build that is shown again is not the same as before.
    pub flips: i64,
}

/// A read model that has not come as far as a token asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// The read model.
    pub model: ReadModel,
    /// The log partition.
    pub partition: i32,
    /// How far it has come.
    pub applied: i64,
    /// How far the token asks.
    pub wanted: i64,
}

impl Default for Progress {
    fn default() -> Self {
        let model = || ModelProgress {
            shown: Mutex::default(),
            applied: (0..ConsistencyToken::MAX_PARTITIONS).map(|_| AtomicI64::new(0)).collect(),
            as_of_ms: AtomicI64::new(UNKNOWN),
        };
        Self { models: std::array::from_fn(|_| model()), partitions: AtomicI32::new(0), moved: Notify::new() }
    }
}

impl Progress {
    /// The build shown, once known.
    pub fn shown(&self, model: ReadModel) -> Option<Shown> {
        *self.of(model).shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The position applied in a partition; 0 where nothing is known.
    pub fn applied(&self, model: ReadModel, partition: i32) -> i64 {
        self.cell(model, partition).map_or(0, |cell| cell.load(Ordering::SeqCst))
    }

    /// The positions applied in all partitions.
    pub fn all_applied(&self, model: ReadModel) -> Vec<i64> {
        self.of(model).applied.iter().map(|cell| cell.load(Ordering::SeqCst)).collect()
    }

    /// A commit has come this far.
    pub fn advance(&self, model: ReadModel, partition: i32, position: i64) {
        if let Some(cell) = self.cell(model, partition) {
            cell.fetch_max(position, Ordering::SeqCst);
        }
    }

    /// The read model was put back (restored, or another build is shown): this is where it is, however far it was.
    pub fn put_back(&self, model: ReadModel, partition: i32, position: i64) {
        if let Some(cell) = self.cell(model, partition) {
            cell.store(position, Ordering::SeqCst);
        }
    }

    /// How many log partitions there are.
    pub fn set_partitions(&self, partitions: i32) {
        self.partitions.store(partitions, Ordering::SeqCst);
    }

    /// The log partition of an owner's events; none while it is not known how many there are.
    pub fn partition_of(&self, owner: Uuid) -> Option<i32> {
        let partitions = self.partitions.load(Ordering::SeqCst);
        (partitions > 0).then(|| partition_of(owner, partitions))
    }

    /// Whether the token names a log partition that does not exist: it is another installation's.
    pub fn is_foreign(&self, token: &ConsistencyToken) -> bool {
        let partitions = self.partitions.load(Ordering::SeqCst);
        partitions > 0 && token.positions().any(|(partition, _)| partition >= partitions)
    }

    /// Which build is shown.
    pub fn set_shown(&self, model: ReadModel, shown: Shown) {
        *self.of(model).shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
    }

    /// Everything recorded up to this instant is in the rows.
    pub fn set_as_of(&self, model: ReadModel, as_of: DateTime<Utc>) {
        self.of(model).as_of_ms.store(as_of.timestamp_millis(), Ordering::SeqCst);
    }

    /// How many milliseconds these read models may be behind at `now`; none before anything was projected. What is read from no
    /// read model is read where it is written, and not behind at all.
    pub fn behind_ms(&self, models: &[ReadModel], now: DateTime<Utc>) -> Option<i64> {
        let as_of = models.iter().map(|model| self.of(*model).as_of_ms.load(Ordering::Relaxed)).min();
        let Some(as_of) = as_of else { return Some(0) };
        (as_of != UNKNOWN).then(|| now.timestamp_millis().saturating_sub(as_of).max(0))
    }

    /// The first read model that has not come as far as the token asks.
    pub fn behind(&self, token: &ConsistencyToken, models: &[ReadModel]) -> Option<Behind> {
        token.positions().find_map(|(partition, wanted)| {
            models.iter().find_map(|&model| {
                let applied = self.applied(model, partition);
                (applied < wanted).then_some(Behind { model, partition, applied, wanted })
            })
        })
    }

    #[expect(clippy::indexing_slicing, reason = "COUNT is one more than the last read model's number")]
    fn of(&self, model: ReadModel) -> &ModelProgress {
        &self.models[model.index()]
    }

    fn cell(&self, model: ReadModel, partition: i32) -> Option<&AtomicI64> {
        self.of(model).applied.get(usize::try_from(partition).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_notice_moves_nothing_back() {
        let progress = Progress::default();
        progress.advance(ReadModel::Totals, 3, 9);
        progress.advance(ReadModel::Totals, 3, 8);
        progress.advance(ReadModel::Totals, -1, 8);
        progress.advance(ReadModel::Totals, 100_000, 8);
        assert_eq!(progress.applied(ReadModel::Totals, 3), 9);
        assert_eq!(progress.applied(ReadModel::Totals, 100_000), 0);
    }

    #[test]
    fn the_slowest_read_model_used_decides() {
        let progress = Progress::default();
        let now: DateTime<Utc> = "2026-11-24T08:00:02Z".parse().unwrap();
        assert_eq!(progress.behind_ms(&[ReadModel::Totals], now), None);
        assert_eq!(progress.behind_ms(&[], now), Some(0));
        progress.set_as_of(ReadModel::Totals, "2026-11-24T08:00:01.5Z".parse().unwrap());
        progress.set_as_of(ReadModel::Profiles, "2026-11-24T08:00:03Z".parse().unwrap());
        assert_eq!(progress.behind_ms(&[ReadModel::Totals, ReadModel::Profiles], now), Some(500));
        assert_eq!(progress.behind_ms(&[ReadModel::Profiles], now), Some(0));
    }

    #[test]
    fn a_token_is_met_when_every_position_is_in_every_read_model_used() {
        let progress = Progress::default();
        let token = ConsistencyToken::of(1, 5).and(2, 7);
        let used = [ReadModel::Totals, ReadModel::Workouts];
        for model in used {
            progress.advance(model, 1, 5);
        }
        progress.advance(ReadModel::Totals, 2, 9);
        let behind = Behind { model: ReadModel::Workouts, partition: 2, applied: 0, wanted: 7 };
        assert_eq!(progress.behind(&token, &used), Some(behind));
        assert_eq!(progress.behind(&token, &[ReadModel::Totals]), None);
        progress.advance(ReadModel::Workouts, 2, 7);
        assert_eq!(progress.behind(&token, &used), None);
        assert!(!progress.is_foreign(&token));
        progress.set_partitions(2);
        assert!(progress.is_foreign(&token));
    }
}
