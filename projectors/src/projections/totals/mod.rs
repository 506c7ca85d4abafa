//! Read model `totals`: an athlete's sums per sport and local day. Longer periods are sums of days, made when read.
//! A batch keeps differences: an edit takes away what was counted before and adds what counts after.
mod sql;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chrono::NaiveDate;
use fittrack_domain::{
    event::Event,
    sport::Sport,
    values::{Distance, Duration, Energy},
    workout::WorkoutFacts,
};
use fittrack_schemas::read_models::Build;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    projection::{FoldError, Moment, Projection, add},
    projections::CopyRow,
};

/// The projection.
#[derive(Debug)]
pub struct Totals;

/// What is to be added to each athlete's day.
pub type Changes = HashMap<Key, Sums>;

/// One sport on one local day of one athlete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Whose.
    pub athlete_id: Uuid,
    /// The day, in each workout's own zone.
    pub local_date: NaiveDate,
    /// The sport.
    pub sport: Sport,
}

/// Sums, or differences of sums, in small units. What a workout does not know counts as nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each is a column of the read model, its unit in its name")]
pub struct Sums {
    pub workouts: i64,
    pub distance_mm: i64,
    pub duration_ms: i64,
    pub moving_ms: i64,
    pub elevation_gain_mm: i64,
    pub energy_kcal: i64,
}

impl Projection for Totals {
    const NAME: &'static str = "totals";
    const VERSION: i32 = 1;
    const COLUMNS: &'static str = sql::COLUMNS;
    const KEY_BYTES: usize = 120;
    type Changes = Changes;

    fn wants(event_type: &str) -> bool {
        matches!(event_type, "workout_logged" | "workout_imported" | "workout_edited" | "workout_deleted")
    }

    fn fold(changes: &mut Changes, _moment: Moment, event: Event) -> Result<(), FoldError> {
        match event {
            Event::WorkoutLogged(logged) => count(changes, logged.athlete_id.0, &logged.details.facts(), 1),
            Event::WorkoutImported(imported) => count(changes, imported.athlete_id.0, &imported.details.facts(), 1),
            Event::WorkoutEdited(edited) => {
                count(changes, edited.athlete_id.0, &edited.before, -1)?;
                count(changes, edited.athlete_id.0, &edited.after.facts(), 1)
            }
            Event::WorkoutDeleted(deleted) => count(changes, deleted.athlete_id.0, &deleted.before, -1),
            Event::AthleteRegistered(_)
            | Event::ProfileUpdated(_)
            | Event::MeasurementRecorded(_)
            | Event::PrivacyZonesSet(_)
            | Event::AccountErased(_)
            | Event::Redacted => Ok(()),
        }
    }

    fn keys(changes: &Changes) -> usize {
        changes.len()
    }

    async fn write(connection: &mut PgConnection, build: Build, changes: &Changes) -> Result<(), sqlx::Error> {
        sql::add(connection, build, changes).await
    }

    fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> + Send {
        sql::rows(changes)
    }
}

/// Counts a workout `times` (1 or -1).
fn count(changes: &mut Changes, athlete_id: Uuid, facts: &WorkoutFacts, times: i64) -> Result<(), FoldError> {
    let key = Key { athlete_id, local_date: facts.local_date, sport: facts.sport };
    changes.entry(key).or_default().add(Sums::of(facts), times)
}

impl Sums {
    /// What one workout counts.
    pub fn of(facts: &WorkoutFacts) -> Self {
        Self {
            workouts: 1,
            distance_mm: facts.distance_m.map_or(0, Distance::millimetres),
            duration_ms: facts.duration_s.milliseconds(),
            moving_ms: facts.moving_s.map_or(0, Duration::milliseconds),
            elevation_gain_mm: facts.elevation_gain_m.map_or(0, Distance::millimetres),
            energy_kcal: facts.energy_kcal.map_or(0, |energy| i64::from(Energy::kcal(energy))),
        }
    }

    fn add(&mut self, other: Self, times: i64) -> Result<(), FoldError> {
        add(&mut self.workouts, times * other.workouts, "workouts")?;
        add(&mut self.distance_mm, times * other.distance_mm, "distance_mm")?;
        add(&mut self.duration_ms, times * other.duration_ms, "duration_ms")?;
        add(&mut self.moving_ms, times * other.moving_ms, "moving_ms")?;
        add(&mut self.elevation_gain_mm, times * other.elevation_gain_mm, "elevation_gain_mm")?;
        add(&mut self.energy_kcal, times * other.energy_kcal, "energy_kcal")
    }
}
