//! How many partitions a process should hold, from the live members alone, so that every member computes the same division.
//! Shares differ by at most one and add up to all partitions.

use uuid::Uuid;

/// The share of `holder` among `members` (which should contain it): the first of them in order of id carry the remainder.
pub(super) fn fair_share(partitions: usize, members: &[Uuid], holder: Uuid) -> usize {
    let others_before = members.iter().filter(|member| **member < holder).count();
    let count = members.iter().filter(|member| **member != holder).count() + 1;
    partitions / count + usize::from(others_before < partitions % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_differ_by_at_most_one() {
        for partitions in [1, 2, 31, 32, 33] {
            for count in 1..40_u128 {
                let members: Vec<Uuid> = (0..count).map(Uuid::from_u128).collect();
                let shares: Vec<usize> =
                    members.iter().map(|holder| fair_share(partitions, &members, *holder)).collect();
                assert_eq!(shares.iter().sum::<usize>(), partitions);
                let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
                assert!(most - least <= 1, "{partitions} partitions among {count}: {shares:?}");
            }
        }
    }

    #[test]
    fn a_lone_process_has_everything_even_if_it_is_not_listed() {
        assert_eq!(fair_share(32, &[], Uuid::from_u128(7)), 32);
    }
}
