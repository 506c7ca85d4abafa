//! Leaderboards: scores of public, believable workouts per UTC calendar period and sport, and the ranks they give.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Workout, board_periods, starts_on};

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
    pub elevation_gain_mm: i64,
    pub workouts: i64,
}

impl Score {
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

pub(super) fn all<'a>(workouts: impl Iterator<Item = &'a Workout>) -> BTreeMap<Board, BTreeMap<Uuid, Score>> {
    let mut boards: BTreeMap<Board, BTreeMap<Uuid, Score>> = BTreeMap::new();
    for workout in workouts.filter(|workout| workout.counts()) {
        for period in board_periods() {
            for sport in [workout.sport.as_str(), "all"] {
                // A board's day is the UTC day, whatever zone the athlete lives in.
                let starts_on = starts_on(period, workout.started_at.date_naive());
                let board = Board { period, starts_on, sport: sport.to_owned() };
                let score = boards.entry(board).or_default().entry(workout.athlete_id).or_default();
                score.distance_mm += workout.distance_mm.unwrap_or(0);
                score.duration_ms += workout.duration_ms;
                score.elevation_gain_mm += workout.elevation_gain_mm.unwrap_or(0);
                score.workouts += 1;
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
    use super::*;

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
