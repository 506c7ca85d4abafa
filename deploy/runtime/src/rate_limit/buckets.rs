//! Who has asked how much: one number for each caller, by the generic cell rate algorithm, in bounded memory.
//!
//! Of the ready-made ones `governor` keeps a map that only shrinks when somebody sweeps it; here a full shard sweeps itself, and
//! forgetting costs little: whoever has their whole allowance again is the same as somebody never seen.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Requests of different callers rarely meet at one lock.
const SHARDS: usize = 64;
/// Callers remembered; about 8 MB. With more than that active at once those who used least are forgotten, in their favour.
pub(super) const MOST_KEYS: usize = 1 << 17;
const MOST_IN_SHARD: usize = MOST_KEYS / SHARDS;

/// Whom something is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Class and kind of caller.
    pub(super) counter: u8,
    /// The caller.
    pub(super) who: [u8; 16],
}

/// An allowance: so many at once, and one more every interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// Nanoseconds after which one more is allowed.
    pub(super) interval: u64,
    /// How many may come at once.
    pub(super) burst: u64,
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is allowed.
    Allowed {
        /// How many more may come at once.
        remaining: u64,
        /// After how long the whole allowance is there again.
        full_in: Duration,
    },
    /// It is not.
    Refused {
        /// After how long one is.
        wait: Duration,
    },
}

/// For each caller the instant at which the allowance is whole again, in nanoseconds of the limiter's own clock.
pub(super) struct Buckets {
    shards: Box<[Mutex<HashMap<Key, u64>>]>,
    hasher: RandomState,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Buckets {
    /// Takes one from the caller's allowance, where there is one.
    pub(super) fn take(&self, key: Key, pace: Pace, now: u64) -> Taken {
        let capacity = pace.interval.saturating_mul(pace.burst);
        let mut shard = self.shard(&key).lock().unwrap_or_else(PoisonError::into_inner);
        let whole_at = shard.get(&key).copied().unwrap_or(now).max(now).saturating_add(pace.interval);
        let used = whole_at - now;
        if used > capacity {
            return Taken::Refused { wait: Duration::from_nanos(used - capacity) };
        }
        if shard.len() >= MOST_IN_SHARD && !shard.contains_key(&key) {
            make_room(&mut shard, now);
        }
        shard.insert(key, whole_at);
        Taken::Allowed { remaining: (capacity - used) / pace.interval.max(1), full_in: Duration::from_nanos(used) }
    }

    #[expect(clippy::indexing_slicing, reason = "there is a shard for every index below SHARDS")]
    fn shard(&self, key: &Key) -> &Mutex<HashMap<Key, u64>> {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest bits of the hash choose the shard")]
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        &self.shards[index]
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().capacity()).sum()
    }
}

/// Forgets everybody whose allowance is whole, and where that leaves more than half, those who are nearest to it.
fn make_room(shard: &mut HashMap<Key, u64>, now: u64) {
    shard.retain(|_, whole_at| *whole_at > now);
    if shard.len() <= MOST_IN_SHARD / 2 {
        return;
    }
    let mut instants: Vec<u64> = shard.values().copied().collect();
    let middle = instants.len() / 2;
    let (_, median, _) = instants.select_nth_unstable(middle);
    let median = *median;
    shard.retain(|_, whole_at| *whole_at > median);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn key(who: u128) -> Key {
        Key { counter: 0, who: who.to_be_bytes() }
    }

    fn is_allowed(taken: Taken) -> bool {
        matches!(taken, Taken::Allowed { .. })
    }

    #[test]
    fn so_many_come_at_once_and_then_one_every_interval() {
        let buckets = Buckets::default();
        let pace = Pace { interval: SECOND / 10, burst: 3 };
        for remaining in [2, 1, 0] {
            let Taken::Allowed { remaining: left, full_in } = buckets.take(key(1), pace, SECOND) else {
                panic!("{remaining} should remain")
            };
            assert_eq!((left, full_in), (remaining, Duration::from_millis(100 * (3 - remaining))));
        }
        let refused = Taken::Refused { wait: Duration::from_millis(100) };
        assert_eq!(buckets.take(key(1), pace, SECOND), refused);
        assert_eq!(buckets.take(key(1), pace, SECOND), refused, "a refusal costs nothing");
        assert!(is_allowed(buckets.take(key(2), pace, SECOND)), "another caller has their own");
        assert!(is_allowed(buckets.take(key(1), pace, SECOND + SECOND / 10)));
        assert!(!is_allowed(buckets.take(key(1), pace, SECOND + SECOND / 10)));
        let later = buckets.take(key(1), pace, 60 * SECOND);
        assert_eq!(
            later,
            Taken::Allowed { remaining: 2, full_in: Duration::from_millis(100) },
            "never more than the burst"
        );
    }

    #[test]
    fn over_any_span_no_more_is_allowed_than_the_burst_and_the_pace() {
        let buckets = Buckets::default();
        let pace = Pace { interval: SECOND / 50, burst: 20 };
        // A request every 1.7 ms for ten seconds.
        let allowed = (0..10_000_000_000).step_by(1_700_000).filter(|now| is_allowed(buckets.take(key(1), pace, *now)));
        assert_eq!(allowed.count(), 20 + 10 * 50 - 1);
    }

    #[test]
    fn a_million_callers_do_not_grow_it_without_bound() {
        let buckets = Buckets::default();
        // Hours until an allowance is whole again: nothing is free to be forgotten.
        let pace = Pace { interval: 720 * SECOND, burst: 5 };
        for who in 0..1_000_000 {
            assert!(is_allowed(buckets.take(key(who), pace, u64::try_from(who).unwrap())));
            if who % 50_000 == 0 {
                assert!(buckets.len() <= MOST_KEYS, "{}", buckets.len());
            }
        }
        assert!(buckets.len() <= MOST_KEYS && buckets.capacity() <= 4 * MOST_KEYS, "{}", buckets.capacity());
    }

    #[test]
    fn whoever_used_most_is_remembered_longest() {
        let buckets = Buckets::default();
        let pace = Pace { interval: 720 * SECOND, burst: 5 };
        let greedy = key(u128::MAX);
        while is_allowed(buckets.take(greedy, pace, 1)) {}
        for who in 0..1_000_000 {
            buckets.take(key(who), pace, 1);
        }
        assert!(!is_allowed(buckets.take(greedy, pace, 1)), "a crowd of others gave a used-up allowance back");
    }
}
