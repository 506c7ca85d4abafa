//! The proof that nothing was lost: a count and a rolling hash over the events of one partition, in order. The store, the
//! relay and every projection keep one each beside their position; at the same position they must be the same.
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;
use uuid::Uuid;

mod mark;

pub use mark::{LogError, Mark};

/// What a party says it has seen of a partition up to its position: a pure function of the events 1, 2, 3 ... there.
///
/// The empty one (`default()`) is all zero, as the columns are that keep it. Each event, in the order of positions, gives
/// `hash = SipHash-2-4(key = (hash before, "fittrack"), message = position, event id)`: the key's halves are 64-bit words
/// ("fittrack" read as one, little-endian), the message is the position as 8 bytes, little-endian, then the 16 bytes of
/// the id. `SipHash` is Aumasson and Bernstein's (2012), fixed for good, so stored hashes stay comparable across versions
/// and machines. Anybody can recompute a proof from `SELECT position, event_id FROM events WHERE partition = $1 ORDER BY
/// position`; nothing else enters it.
///
/// Two proofs of one position differ when an event was removed, repeated, moved, exchanged for another or put in another
/// order, in whichever of the two logs (but for one chance in 2^64). They do not differ when a payload was changed under
/// the same event id: an erased person's events keep position and id, and their proof.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Proof {
    /// How many events were added; equal to the position in a log without gaps.
    #[sqlx(rename = "proof_events")]
    pub events: i64,
    /// The rolling hash, its 64 bits as Postgres keeps them in a `bigint`.
    #[sqlx(rename = "proof_hash")]
    pub hash: i64,
}

/// The second half of every key: "fittrack", little-endian.
const KEY: u64 = u64::from_le_bytes(*b"fittrack");

impl Proof {
    /// Adds the next event. Call it once for each event, in the order of positions, and for none twice.
    pub fn add(&mut self, position: i64, event_id: Uuid) {
        let mut message = [0; 24];
        message[..8].copy_from_slice(&position.to_le_bytes());
        message[8..].copy_from_slice(event_id.as_bytes());
        self.hash = SipHasher24::new_with_keys(self.hash.cast_unsigned(), KEY).hash(&message).cast_signed();
        self.events += 1;
    }
}

impl Extend<(i64, Uuid)> for Proof {
    fn extend<I: IntoIterator<Item = (i64, Uuid)>>(&mut self, events: I) {
        for (position, event_id) in events {
            self.add(position, event_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    use super::*;

    fn proof(events: &[(i64, Uuid)]) -> Proof {
        let mut proof = Proof::default();
        proof.extend(events.iter().copied());
        proof
    }

    fn numbered(events: i64) -> Vec<(i64, Uuid)> {
        (1..=events).map(|position| (position, Uuid::from_u128(position.unsigned_abs().into()))).collect()
    }

    /// Computed by another implementation, written from the paper and checked with its own test vector.
    #[test]
    fn hashes_are_these_on_every_machine_and_for_good() {
        assert_eq!(proof(&[]), Proof { events: 0, hash: 0 });
        assert_eq!(proof(&numbered(1)).hash, 1_677_201_713_863_749_932);
        assert_eq!(proof(&numbered(2)).hash, -3_040_943_414_841_907_656);
        assert_eq!(proof(&numbered(3)).hash, 2_385_988_851_342_771_389);
        assert_eq!(proof(&numbered(1000)), Proof { events: 1000, hash: -7_971_126_802_232_674_721 });
    }

    fn logs() -> impl Strategy<Value = Vec<(i64, Uuid)>> {
        prop::collection::hash_set(any::<u128>(), 2..40)
            .prop_map(|ids| (1..).zip(ids.into_iter().map(Uuid::from_u128)).collect())
    }

    proptest! {
        #[test]
        fn a_proof_goes_on_from_where_it_was_kept(log in logs(), cut in any::<Index>()) {
            let (before, after) = log.split_at(cut.index(log.len()));
            let mut continued = proof(before);
            continued.extend(after.iter().copied());
            prop_assert_eq!(continued, proof(&log));
        }

        #[test]
        fn a_removed_event_changes_it_whether_or_not_the_gap_is_closed(log in logs(), at in any::<Index>()) {
            let mut gap = log.clone();
            gap.remove(at.index(log.len()));
            let closed: Vec<_> = (1..).zip(gap.iter().map(|(_, id)| *id)).collect();
            prop_assert_ne!(proof(&gap), proof(&log));
            prop_assert_ne!(proof(&closed), proof(&log));
        }

        #[test]
        fn a_repeated_event_changes_it(log in logs(), from in any::<Index>(), to in any::<Index>()) {
            let mut longer = log.clone();
            longer.insert(to.index(log.len()), log[from.index(log.len())]);
            prop_assert_ne!(proof(&longer), proof(&log));
            prop_assert_ne!(proof(&longer).hash, proof(&log).hash);
        }

        #[test]
        fn exchanged_events_change_it_though_they_are_as_many(log in logs(), one in any::<Index>(), other in any::<Index>()) {
            let (one, other) = (one.index(log.len()), other.index(log.len()));
            prop_assume!(one != other);
            let mut reordered = log.clone();
            reordered.swap(one, other);
            let mut relabelled = log.clone();
            (relabelled[one].1, relabelled[other].1) = (log[other].1, log[one].1);
            prop_assert_ne!(proof(&reordered).hash, proof(&log).hash);
            prop_assert_ne!(proof(&relabelled).hash, proof(&log).hash);
        }

        #[test]
        fn a_changed_id_or_position_changes_it_and_every_later_hash(log in logs(), at in any::<Index>(), bit in 0_u32..128) {
            let at = at.index(log.len());
            let (mut other_id, mut moved) = (log.clone(), log.clone());
            other_id[at].1 = Uuid::from_u128(log[at].1.as_u128() ^ (1 << bit));
            moved[at].0 += 1;
            for length in at + 1..=log.len() {
                prop_assert_ne!(proof(&other_id[..length]).hash, proof(&log[..length]).hash);
                prop_assert_ne!(proof(&moved[..length]).hash, proof(&log[..length]).hash);
            }
        }
    }
}
