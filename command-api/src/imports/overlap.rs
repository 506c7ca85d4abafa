//! When two recordings are of the same activity: they cover nearly the same time, and nearly the same way or from the same second.
//!
//! The stated tolerance, where common time is the time both cover over the time either covers, start to end:
//!
//! - two devices on one activity: common time at least 0.9, and distances that differ by at most 100 m or 5 % of the
//!   longer one, whichever is more; a recording without a distance (no sensor, no satellites) may match any;
//! - one device's recording in two forms: starts within 2 s of each other, common time at least 0.8. Distances are not
//!   compared then: one form keeps the wheel's, another leaves it to be summed from positions, pauses included or not.
//!
//! So a watch and a bike computer on one ride are one workout, and two rounds of the same lap are two.
use chrono::{DateTime, TimeDelta, Utc};

/// The least common time of two devices' recordings.
const MIN_COMMON: f64 = 0.9;
/// The least common time of recordings that begin together.
const MIN_COMMON_FROM_ONE_START: f64 = 0.8;
/// How far apart two forms of one recording may begin, in milliseconds.
const ONE_START_MS: i64 = 2_000;
const DISTANCE_TOLERANCE_MM: f64 = 100_000.0;
const DISTANCE_TOLERANCE: f64 = 0.05;

/// When an activity was, and how far it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its start.
    pub started_at: DateTime<Utc>,
    /// From start to end, in milliseconds.
    pub duration_ms: i64,
    /// How far, in millimetres.
    pub distance_mm: Option<i64>,
}

impl Span {
    /// Whether both are recordings of one activity.
    pub fn is_same_activity(&self, other: &Self) -> bool {
        let common = self.common_time(other);
        (common >= MIN_COMMON && self.agrees_on_distance(other))
            || (common >= MIN_COMMON_FROM_ONE_START && self.begins_with(other))
    }

    /// Intersection over union of the times, 0 to 1.
    pub fn common_time(&self, other: &Self) -> f64 {
        let (from, other_from) = (self.started_at.timestamp_millis(), other.started_at.timestamp_millis());
        let (to, other_to) = (from.saturating_add(self.duration_ms), other_from.saturating_add(other.duration_ms));
        let union = to.max(other_to).saturating_sub(from.min(other_from));
        let common = to.min(other_to).saturating_sub(from.max(other_from)).max(0);
        if union <= 0 { 1.0 } else { common as f64 / union as f64 }
    }

    /// The earliest and the latest start another recording of this activity can have.
    pub fn possible_starts(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        // A start that differs by more than a ninth of the duration leaves less than 0.9 in common.
        let slack = TimeDelta::milliseconds((self.duration_ms / 9 + 1).max(ONE_START_MS));
        (self.started_at - slack, self.started_at + slack)
    }

    fn begins_with(&self, other: &Self) -> bool {
        (self.started_at - other.started_at).num_milliseconds().abs() <= ONE_START_MS
    }

    fn agrees_on_distance(&self, other: &Self) -> bool {
        let (Some(one), Some(two)) = (self.distance_mm, other.distance_mm) else { return true };
        let tolerance = DISTANCE_TOLERANCE_MM.max(DISTANCE_TOLERANCE * one.max(two) as f64);
        (one - two).abs() as f64 <= tolerance
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(start_s: i64, duration_s: i64, distance_m: Option<i64>) -> Span {
        Span {
            started_at: DateTime::from_timestamp(1_790_000_000 + start_s, 0).unwrap(),
            duration_ms: duration_s * 1000,
            distance_mm: distance_m.map(|metres| metres * 1000),
        }
    }

    #[test]
    fn the_tolerance_is_as_stated() {
        let ride = span(0, 3600, Some(30_000));
        for (other, expected) in [
            (span(60, 3500, Some(29_000)), true),
            (span(60, 3180, Some(30_000)), false),
            (span(200, 3600, Some(30_000)), false),
            (span(60, 3600, Some(28_500)), true),
            (span(60, 3600, Some(28_499)), false),
            (span(60, 3600, None), true),
            (span(3600, 3600, Some(30_000)), false),
            // From the same second, the distance does not matter.
            (span(0, 3600, Some(30_000)), true),
            (span(2, 3600, Some(40_000)), true),
            (span(3, 3600, Some(40_000)), false),
            (span(0, 2880, Some(20_000)), true),
            (span(0, 2879, Some(20_000)), false),
        ] {
            assert_eq!(ride.is_same_activity(&other), expected, "{other:?}");
        }
        let walk = span(0, 600, Some(500));
        assert!(walk.is_same_activity(&span(5, 600, Some(400))));
        assert!(!walk.is_same_activity(&span(5, 600, Some(399))));
    }

    #[test]
    fn a_short_ride_with_pauses_is_the_same_in_all_its_forms() {
        // One device's FIT, TCX and GPX: the last two count the pauses, the last has the sum of its positions.
        let forms = [(113, 668), (126, 668), (126, 899)].map(|(duration_s, metres)| span(0, duration_s, Some(metres)));
        assert!(forms.iter().all(|one| forms.iter().all(|two| one.is_same_activity(two))));
    }

    proptest! {
        #[test]
        fn whatever_is_the_same_activity_starts_where_it_is_looked_for(
            start in -5_000_i64..5_000, duration in 1_i64..20_000, other_start in -5_000_i64..5_000, other_duration in 1_i64..20_000,
        ) {
            let (one, two) = (span(start, duration, None), span(other_start, other_duration, None));
            prop_assert_eq!(one.is_same_activity(&two), two.is_same_activity(&one));
            if one.is_same_activity(&two) {
                let (earliest, latest) = one.possible_starts();
                prop_assert!((earliest..=latest).contains(&two.started_at));
            }
        }
    }
}
