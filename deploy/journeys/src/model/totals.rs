//! Totals: what an athlete did in a sport on a local day, and the same added up over longer periods.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Workout, starts_on};

/// Whose, when, what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    pub athlete_id: Uuid,
    pub local_date: NaiveDate,
    pub sport: String,
}

/// What is added up; values nobody gave count as nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub workouts: i64,
    pub distance_mm: i64,
    pub duration_ms: i64,
    pub moving_ms: i64,
    pub elevation_gain_mm: i64,
    pub energy_kcal: i64,
}

impl Sums {
    /// Adds a workout.
    pub fn count(&mut self, workout: &Workout) {
        self.workouts += 1;
        self.distance_mm += workout.distance_mm.unwrap_or(0);
        self.duration_ms += workout.duration_ms;
        self.moving_ms += workout.moving_ms.unwrap_or(0);
        self.elevation_gain_mm += workout.elevation_gain_mm.unwrap_or(0);
        self.energy_kcal += workout.energy_kcal.unwrap_or(0);
    }
}

pub(super) fn by_day<'a>(workouts: impl Iterator<Item = &'a Workout>) -> BTreeMap<Day, Sums> {
    let mut totals: BTreeMap<Day, Sums> = BTreeMap::new();
    for workout in workouts {
        let day = Day { athlete_id: workout.athlete_id, local_date: workout.local_date, sport: workout.sport.clone() };
        totals.entry(day).or_default().count(workout);
    }
    totals
}

/// One athlete's sums per period (`day`, `week`, `month`, `year`), by its first day.
pub fn by_period<'a>(workouts: impl IntoIterator<Item = &'a Workout>, period: &str) -> BTreeMap<NaiveDate, Sums> {
    let mut sums: BTreeMap<NaiveDate, Sums> = BTreeMap::new();
    for workout in workouts {
        sums.entry(starts_on(period, workout.local_date)).or_default().count(workout);
    }
    sums
}
