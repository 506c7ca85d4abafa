//! Counters that say whether what was read may have changed since: one for each owner, log partition and whole read model,
//! folded into a fixed array. Change notices raise them; a cached answer is good while those it was read under stand still.
//!
//! Two tags that share a counter only cost a needless load. The order is what matters: a stamp is taken *before* the database
//! is read, and a counter is raised *after* the commit, so an answer read too early never looks good.
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use fittrack_domain::partition::{DEFAULT_PARTITIONS, partition_of};
use fittrack_schemas::notice::ChangeNotice;
use uuid::Uuid;

use crate::read_model::ReadModel;

const COUNTERS: usize = 1 << 16;

/// All counters; shared by the cache and whoever follows the notices.
#[derive(Debug)]
pub struct Stamps {
    counters: Box<[AtomicU64]>,
    /// Raised where everything may have changed.
    epoch: AtomicU64,
    partitions: AtomicI32,
}

/// The counters an answer depends on, as they stood before it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    epoch: u64,
    seen: Vec<(u16, u64)>,
}

#[derive(Hash)]
enum Tag {
    Owner(ReadModel, Uuid),
    Partition(ReadModel, i32),
    Whole(ReadModel),
}

impl Default for Stamps {
    fn default() -> Self {
        let counters = (0..COUNTERS).map(|_| AtomicU64::new(0)).collect();
        Self { counters, epoch: AtomicU64::new(0), partitions: AtomicI32::new(DEFAULT_PARTITIONS) }
    }
}

impl Stamps {
    /// The stamp of what is about to be read of one owner's rows.
    pub fn of_owner(&self, model: ReadModel, owner: Uuid) -> Stamp {
        self.of_owner_in(&[model], owner)
    }

    /// The same in several read models.
    pub fn of_owner_in(&self, models: &[ReadModel], owner: Uuid) -> Stamp {
        let partition = partition_of(owner, self.partitions.load(Ordering::SeqCst));
        let of_model = |model: &ReadModel| [Tag::Owner(*model, owner), Tag::Partition(*model, partition)];
        self.read(&models.iter().flat_map(of_model).collect::<Vec<Tag>>())
    }

    /// The stamp of what is about to be read across owners.
    pub fn of_whole(&self, models: &[ReadModel]) -> Stamp {
        let tags: Vec<Tag> = models.iter().map(|model| Tag::Whole(*model)).collect();
        self.read(&tags)
    }

    /// Whether nothing the stamp names has changed since.
    pub fn holds(&self, stamp: &Stamp) -> bool {
        self.epoch.load(Ordering::SeqCst) == stamp.epoch
            && stamp.seen.iter().all(|(index, value)| self.counter(*index).load(Ordering::SeqCst) == *value)
    }

    /// A commit changed these owners' rows, or everybody's of its partitions.
    pub fn changed(&self, model: ReadModel, notice: &ChangeNotice) {
        match &notice.owners {
            Some(owners) => owners.iter().for_each(|owner| self.raise(&Tag::Owner(model, *owner))),
            None => notice.checkpoints.iter().for_each(|(at, _)| self.raise(&Tag::Partition(model, *at))),
        }
        self.raise(&Tag::Whole(model));
    }

    /// Something of these partitions changed, nobody says whose.
    pub fn changed_partitions(&self, model: ReadModel, partitions: impl IntoIterator<Item = i32>) {
        partitions.into_iter().for_each(|partition| self.raise(&Tag::Partition(model, partition)));
        self.raise(&Tag::Whole(model));
    }

    /// Everything may have changed.
    pub fn changed_everything(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// How many log partitions the store has; what was stamped under another number is dropped.
    pub fn set_partitions(&self, partitions: i32) {
        if self.partitions.swap(partitions, Ordering::SeqCst) != partitions {
            self.changed_everything();
        }
    }

    fn read(&self, tags: &[Tag]) -> Stamp {
        // The epoch first: one raised in between makes the stamp look old, which is safe.
        let epoch = self.epoch.load(Ordering::SeqCst);
        let seen = tags.iter().map(index_of).map(|index| (index, self.counter(index).load(Ordering::SeqCst))).collect();
        Stamp { epoch, seen }
    }

    fn raise(&self, tag: &Tag) {
        self.counter(index_of(tag)).fetch_add(1, Ordering::SeqCst);
    }

    #[expect(clippy::indexing_slicing, reason = "there is a counter for every u16")]
    fn counter(&self, index: u16) -> &AtomicU64 {
        &self.counters[usize::from(index)]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lowest 16 bits of the hash are the index")]
fn index_of(tag: &Tag) -> u16 {
    let mut hasher = DefaultHasher::new();
    tag.hash(&mut hasher);
    hasher.finish() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(owners: Option<Vec<Uuid>>, partition: i32) -> ChangeNotice {
        ChangeNotice {
            read_model: "workouts".into(),
            version: 1,
            generation: 1,
            checkpoints: vec![(partition, 7)],
            owners,
        }
    }

    #[test]
    fn a_notice_drops_its_owner_and_the_whole_and_nobody_else() {
        let stamps = Stamps::default();
        let (anna, ben) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let of_anna = stamps.of_owner(ReadModel::Workouts, anna);
        let of_ben = stamps.of_owner(ReadModel::Workouts, ben);
        let totals_of_anna = stamps.of_owner(ReadModel::Totals, anna);
        let whole = stamps.of_whole(&[ReadModel::Profiles, ReadModel::Workouts]);
        stamps.changed(ReadModel::Workouts, &notice(Some(vec![anna]), 3));
        assert!(!stamps.holds(&of_anna) && !stamps.holds(&whole));
        assert!(stamps.holds(&of_ben) && stamps.holds(&totals_of_anna));
    }

    #[test]
    fn a_notice_of_one_of_several_read_models_drops_what_was_read_from_all() {
        let stamps = Stamps::default();
        let anna = Uuid::from_u128(1);
        for model in [ReadModel::Workouts, ReadModel::PrivacyZones] {
            let stamp = stamps.of_owner_in(&[ReadModel::Workouts, ReadModel::PrivacyZones], anna);
            stamps.changed(ReadModel::Totals, &notice(Some(vec![anna]), 3));
            assert!(stamps.holds(&stamp));
            stamps.changed(model, &notice(Some(vec![anna]), 3));
            assert!(!stamps.holds(&stamp), "{model:?}");
        }
    }

    #[test]
    fn a_notice_without_owners_drops_everybody_of_its_partitions() {
        let stamps = Stamps::default();
        let anna = Uuid::from_u128(1);
        let hers = partition_of(anna, DEFAULT_PARTITIONS);
        let stamp = stamps.of_owner(ReadModel::Workouts, anna);
        stamps.changed(ReadModel::Workouts, &notice(None, hers + 1));
        assert!(stamps.holds(&stamp));
        stamps.changed(ReadModel::Workouts, &notice(None, hers));
        assert!(!stamps.holds(&stamp));
    }

    #[test]
    fn an_answer_read_before_the_commit_never_looks_good_after_its_notice() {
        let stamps = Stamps::default();
        let owner = Uuid::from_u128(9);
        // given a load that took its stamp and then read the old row
        let early = stamps.of_owner(ReadModel::Profiles, owner);
        // when the commit's notice comes before the load has ended
        stamps.changed(ReadModel::Profiles, &notice(Some(vec![owner]), 0));
        // then what it read is stale from the start, and a load begun now is not
        assert!(!stamps.holds(&early));
        assert!(stamps.holds(&stamps.of_owner(ReadModel::Profiles, owner)));
    }

    #[test]
    fn another_number_of_partitions_and_a_new_epoch_drop_everything() {
        let stamps = Stamps::default();
        let before = stamps.of_owner(ReadModel::Totals, Uuid::nil());
        stamps.set_partitions(DEFAULT_PARTITIONS);
        assert!(stamps.holds(&before));
        stamps.set_partitions(64);
        assert!(!stamps.holds(&before));
    }
}
