//! Whether an effort can be true. An implausible workout stays in its owner's log and totals, but counts on no leaderboard.
use super::WorkoutFacts;

/// Why an effort is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implausible {
    /// Its average speed is above what the sport allows.
    TooFast,
    /// It is longer than two days.
    TooLong,
}

/// The first reason not to believe these facts, or `None`.
pub fn implausible(facts: &WorkoutFacts) -> Option<Implausible> {
    const TWO_DAYS_S: f64 = 172_800.0;
    let moving_s = facts.moving_s.unwrap_or(facts.duration_s).seconds();
    let metres = facts.distance_m.map_or(0.0, crate::values::Distance::metres);
    if metres > facts.sport.max_plausible_speed_mps() * moving_s {
        return Some(Implausible::TooFast);
    }
    (facts.duration_s.seconds() > TWO_DAYS_S).then_some(Implausible::TooLong)
}
