//! Leaderboards: scores of public, believable workouts per UTC calendar period and sport, and the ranks they give.
//! Each version of the read model is a rule of its own; a test compares with the one that readers are shown.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Workout, board_periods, starts_on};

/// A version of the read model `leaderboards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BoardRule {
    /// Version 1: every public, believable workout counts.
    EveryWorkout,
    /// Version 2: only those of a minute or more, and their moving time is a column.
    AMinuteOrMore,
}

impl BoardRule {
    /// The rule of a version.
    pub fn of_version(version: i32) -> Option<Self> {
        [Self::EveryWorkout, Self::AMinuteOrMore].into_iter().find(|rule| rule.version() == version)
    }

    /// The version of a rule.
    pub const fn version(self) -> i32 {
        match self {
            Self::EveryWorkout => 1,
            Self::AMinuteOrMore => 2,
        }
    }

    /// What a workout scores; nothing where it does not count.
    fn score(self, workout: &Workout) -> Option<Score> {
        const A_MINUTE_MS: i64 = 60_000;
        let long_enough = self == Self::EveryWorkout || workout.duration_ms >= A_MINUTE_MS;
        (workout.counts() && long_enough).then(|| Score {
            distance_mm: workout.distance_mm.unwrap_or(0),
            duration_ms: workout.duration_ms,
            moving_ms: (self == Self::AMinuteOrMore).then(|| workout.moving_ms.unwrap_or(0)),
            elevation_gain_mm: workout.elevation_gain_mm.unwrap_or(0),
            workouts: 1,
        })
    }
}

/// One board: every metric of it is a column of its scores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Board {
    /// `week`, `month`, `year` or `all`.
    pub period: &'static str,
    pub starts_on: NaiveDate,
    /// A sport, or `all`.
    pub sport: String,
}

/// One athlete's scores on a board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    pub distance_mm: i64,
    pub duration_ms: i64,
    /// Nothing in version 1, which has no such column.
    pub moving_ms: Option<i64>,
    pub elevation_gain_mm: i64,
    pub workouts: i64,
}

impl Score {
    fn add(&mut self, other: Self) {
        self.distance_mm += other.distance_mm;
        self.duration_ms += other.duration_ms;
        self.moving_ms = other.moving_ms.map(|moving_ms| self.moving_ms.unwrap_or(0) + moving_ms);
        self.elevation_gain_mm += other.elevation_gain_mm;
        self.workouts += other.workouts;
    }

    /// The score under a metric's name in URLs, in small units.
    pub fn of(&self, metric: &str) -> i64 {
        match metric {
            "distance_m" => self.distance_mm,
            "duration_s" => self.duration_ms,
            "elevation_gain_m" => self.elevation_gain_mm,
            _ => self.workouts,
        }
    }
}

pub(super) fn all<'a>(
    workouts: impl Iterator<Item = &'a Workout>,
    rule: BoardRule,
) -> BTreeMap<Board, BTreeMap<Uuid, Score>> {
    let mut boards: BTreeMap<Board, BTreeMap<Uuid, Score>> = BTreeMap::new();
    for (workout, scored) in workouts.filter_map(|workout| Some((workout, rule.score(workout)?))) {
        for period in board_periods() {
            for sport in [workout.sport.as_str(), "all"] {
                // A board's day is the UTC day, whatever zone the athlete lives in.
                let starts_on = starts_on(period, workout.started_at.date_naive());
                let board = Board { period, starts_on, sport: sport.to_owned() };
                boards.entry(board).or_default().entry(workout.athlete_id).or_default().add(scored);
            }
        }
    }
    boards
}

/// Rank and score of each athlete who has a score above nothing: 1 + the number with a better one.
pub fn ranked(scores: &BTreeMap<Uuid, Score>, metric: &str) -> BTreeMap<Uuid, (i64, i64)> {
    let above_nothing: Vec<(Uuid, i64)> =
        scores.iter().map(|(id, score)| (*id, score.of(metric))).filter(|(_, score)| *score > 0).collect();
    let rank = |score: i64| above_nothing.iter().filter(|(_, other)| *other > score).map(|_| 1_i64).sum::<i64>() + 1;
    above_nothing.iter().map(|(id, score)| (*id, (rank(*score), *score))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::events::EventRow;

    #[test]
    fn what_takes_less_than_a_minute_counts_in_version_1_only() {
        let workout = |duration_ms: i64| {
            let details = json!({
                "sport": "run", "started_at": "2025-01-05T06:00:00Z", "time_zone": "UTC", "visibility": "public",
                "duration_s": duration_ms as f64 / 1000.0, "moving_s": 1.0,
            });
            Workout::of(&EventRow {
                partition: 0,
                position: 1,
                aggregate_type: "workout".to_owned(),
                aggregate_id: Uuid::nil().to_string(),
                sequence: 1,
                owner_id: Uuid::nil(),
                event_id: Uuid::nil(),
                event_type: "workout_logged".to_owned(),
                command_id: Uuid::nil(),
                command_index: 0,
                payload: json!({"details": details}),
            })
        };
        let workouts = [workout(59_999), workout(60_000)];
        let scores = |rule: BoardRule| {
            let boards = all(workouts.iter(), rule);
            let scores: Vec<Score> = boards.into_values().flat_map(BTreeMap::into_values).collect();
            // Four periods, of the sport and of all.
            assert!(scores.len() == 8 && scores.iter().all(|score| score == &scores[0]), "{scores:?}");
            (scores[0].workouts, scores[0].duration_ms, scores[0].moving_ms)
        };
        assert_eq!(scores(BoardRule::EveryWorkout), (2, 119_999, None));
        assert_eq!(scores(BoardRule::AMinuteOrMore), (1, 60_000, Some(1_000)));
    }

    #[test]
    fn equals_share_a_rank_and_the_next_one_is_left_out() {
        let scores: BTreeMap<Uuid, Score> = [100, 90, 90, 80, 0]
            .into_iter()
            .zip(1_u128..)
            .map(|(workouts, id)| (Uuid::from_u128(id), Score { workouts, ..Score::default() }))
            .collect();
        let ranks: Vec<i64> = ranked(&scores, "workouts").values().map(|(rank, _)| *rank).collect();
        assert_eq!(ranks, [1, 2, 2, 4]);
    }
}
