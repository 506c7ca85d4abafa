//! Read model `leaderboards`: an athlete's score on each board, a board being a UTC calendar period and a sport (or all).
//! Only public, plausible workouts count, in version 2 of a minute or more. A batch keeps differences, and when each score
//! last changed.
mod board;
mod sql;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fittrack_domain::{
    event::Event,
    values::{Distance, Duration, Visibility},
    workout::{WorkoutFacts, implausible},
};
use fittrack_schemas::read_models::Build;
use sqlx::PgConnection;
use uuid::Uuid;

pub use board::{Board, Period};

use crate::{
    projection::{FoldError, Moment, Projection, add},
    projections::CopyRow,
};

/// The newest version: sums moving time too, and leaves out what took less than a minute.
#[derive(Debug)]
pub struct Leaderboards;

/// The version before.
#[derive(Debug)]
pub struct LeaderboardsV1;

/// What is to be added to each athlete's score on each board.
pub type Changes = HashMap<Key, Change>;

/// One athlete on one board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The board.
    pub board: Board,
    /// Who.
    pub athlete_id: Uuid,
}

/// What happened to a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// By how much; nothing where a batch added and took away again, which still moves `scored_at`.
    pub difference: Score,
    /// When the last event that changed it was decided.
    pub scored_at: DateTime<Utc>,
}

/// A score, or the difference of two, in small units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each is a column of the read model, its unit in its name")]
pub struct Score {
    pub distance_mm: i64,
    pub duration_ms: i64,
    pub moving_ms: i64,
    pub elevation_gain_mm: i64,
    pub workouts: i64,
}

impl Projection for Leaderboards {
    const NAME: &'static str = "leaderboards";
    const VERSION: i32 = 2;
    const COLUMNS: &'static str = sql::V2.columns;
    const KEY_BYTES: usize = 150;
    type Changes = Changes;

    fn wants(event_type: &str) -> bool {
        wants(event_type)
    }

    fn fold(changes: &mut Changes, moment: Moment, event: Event) -> Result<(), FoldError> {
        fold(changes, moment, event, Score::of)
    }

    fn keys(changes: &Changes) -> usize {
        changes.len()
    }

    async fn write(connection: &mut PgConnection, build: Build, changes: &Changes) -> Result<(), sqlx::Error> {
        sql::V2.add(connection, build, changes).await
    }

    fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> + Send {
        sql::V2.rows(changes)
    }
}

impl Projection for LeaderboardsV1 {
    const NAME: &'static str = "leaderboards";
    const VERSION: i32 = 1;
    const COLUMNS: &'static str = sql::V1.columns;
    const KEY_BYTES: usize = 150;
    type Changes = Changes;

    fn wants(event_type: &str) -> bool {
        wants(event_type)
    }

    fn fold(changes: &mut Changes, moment: Moment, event: Event) -> Result<(), FoldError> {
        fold(changes, moment, event, Score::of_v1)
    }

    fn keys(changes: &Changes) -> usize {
        changes.len()
    }

    async fn write(connection: &mut PgConnection, build: Build, changes: &Changes) -> Result<(), sqlx::Error> {
        sql::V1.add(connection, build, changes).await
    }

    fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> + Send {
        sql::V1.rows(changes)
    }
}

fn wants(event_type: &str) -> bool {
    matches!(event_type, "workout_logged" | "workout_imported" | "workout_edited" | "workout_deleted")
}

/// What a workout scores in a version; nothing where it does not count.
type Rule = fn(&WorkoutFacts) -> Option<Score>;

fn fold(changes: &mut Changes, moment: Moment, event: Event, rule: Rule) -> Result<(), FoldError> {
    let (athlete_id, before, after) = match event {
        Event::WorkoutLogged(logged) => (logged.athlete_id, None, Some(logged.details.facts())),
        Event::WorkoutImported(imported) => (imported.athlete_id, None, Some(imported.details.facts())),
        Event::WorkoutEdited(edited) => (edited.athlete_id, Some(edited.before), Some(edited.after.facts())),
        Event::WorkoutDeleted(deleted) => (deleted.athlete_id, Some(deleted.before), None),
        Event::AthleteRegistered(_)
        | Event::ProfileUpdated(_)
        | Event::MeasurementRecorded(_)
        | Event::PrivacyZonesSet(_)
        | Event::AccountErased(_)
        | Event::Redacted => return Ok(()),
    };
    for (board, difference) in differences(before.as_ref(), after.as_ref(), rule)? {
        let change = changes
            .entry(Key { board, athlete_id: athlete_id.0 })
            .or_insert(Change { difference: Score::default(), scored_at: moment.occurred_at });
        change.difference.add(difference, 1)?;
        change.scored_at = moment.occurred_at;
    }
    Ok(())
}

/// What an event changes, board by board; a board whose score stays as it is is not named, so its `scored_at` stays too.
fn differences(
    before: Option<&WorkoutFacts>,
    after: Option<&WorkoutFacts>,
    rule: Rule,
) -> Result<Vec<(Board, Score)>, FoldError> {
    // At most eight boards before and eight after: looking through a vector is quicker than hashing.
    let mut found: Vec<(Board, Score)> = Vec::with_capacity(16);
    for (facts, times) in [(before, -1), (after, 1)] {
        let Some((facts, score)) = facts.and_then(|facts| Some((facts, rule(facts)?))) else { continue };
        for board in Board::of(facts) {
            if let Some((_, difference)) = found.iter_mut().find(|(other, _)| *other == board) {
                difference.add(score, times)?;
            } else {
                let mut difference = Score::default();
                difference.add(score, times)?;
                found.push((board, difference));
            }
        }
    }
    found.retain(|(_, difference)| *difference != Score::default());
    Ok(found)
}

/// A watch that was started by mistake is no workout.
const LEAST_MS: i64 = 60_000;

impl Score {
    /// What a workout scores; nothing where it does not count on public boards.
    pub fn of(facts: &WorkoutFacts) -> Option<Self> {
        let moving_ms = facts.moving_s.map_or(0, Duration::milliseconds);
        Self::of_v1(facts).filter(|score| score.duration_ms >= LEAST_MS).map(|score| Self { moving_ms, ..score })
    }

    /// The same in version 1, which has no moving time and no least duration.
    pub fn of_v1(facts: &WorkoutFacts) -> Option<Self> {
        let counts = facts.visibility == Visibility::Public && implausible(facts).is_none();
        counts.then(|| Self {
            distance_mm: facts.distance_m.map_or(0, Distance::millimetres),
            duration_ms: facts.duration_s.milliseconds(),
            moving_ms: 0,
            elevation_gain_mm: facts.elevation_gain_m.map_or(0, Distance::millimetres),
            workouts: 1,
        })
    }

    fn add(&mut self, other: Self, times: i64) -> Result<(), FoldError> {
        add(&mut self.distance_mm, times * other.distance_mm, "distance_mm")?;
        add(&mut self.duration_ms, times * other.duration_ms, "duration_ms")?;
        add(&mut self.moving_ms, times * other.moving_ms, "moving_ms")?;
        add(&mut self.elevation_gain_mm, times * other.elevation_gain_mm, "elevation_gain_mm")?;
        add(&mut self.workouts, times * other.workouts, "workouts")
    }
}
