//! Leaderboards: a page of one board, and an athlete's own place on it with the neighbours.
//! Ranks are 1 2 2 4; among equals the earlier score goes first, then the smaller id. Who has nothing is not ranked.
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use uuid::Uuid;

use super::units::thousandths;
use crate::period::BoardPeriod;

/// What a board compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Metres.
    DistanceM,
    /// Seconds.
    DurationS,
    /// Metres climbed.
    ElevationGainM,
    /// How many workouts.
    Workouts,
}

/// The schema of a metric.
pub fn metric_schema() -> RefOr<Schema> {
    super::units::words("What is compared; its unit is in its name.", Metric::ALL.map(Metric::as_str))
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 4] = [Self::DistanceM, Self::DurationS, Self::ElevationGainM, Self::Workouts];

    /// Its name in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DistanceM => "distance_m",
            Self::DurationS => "duration_s",
            Self::ElevationGainM => "elevation_gain_m",
            Self::Workouts => "workouts",
        }
    }

    /// The metric of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == name)
    }

    /// A score in the unit of the metric's name.
    pub fn value(self, score: i64) -> Value {
        match self {
            Self::Workouts => Value::Count(score),
            Self::DistanceM | Self::DurationS | Self::ElevationGainM => Value::Measure(thousandths(score)),
        }
    }
}

/// A score as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A number of things.
    Count(i64),
    /// Metres or seconds.
    Measure(f64),
}

/// One board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// What it compares.
    pub metric: Metric,
    /// For which kind of period.
    pub period: BoardPeriod,
    /// The period's first day.
    pub starts_on: NaiveDate,
    /// A sport's name, or `all`.
    pub sport: &'static str,
}

/// One place on a board.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Place {
    /// 1 + the number of better scores.
    #[schema(example = 2)]
    pub rank: i64,
    /// Who.
    pub athlete_id: Uuid,
    /// What they are called; null while their profile is on its way.
    #[schema(example = "Anna")]
    pub display_name: Option<String>,
    /// The score, in the unit of the metric's name.
    #[schema(value_type = f64, example = 42_195.0)]
    pub value: Value,
    /// How many workouts made it.
    #[schema(example = 4)]
    pub workouts: i64,
}

/// A row of a board, best first.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[expect(missing_docs, reason = "each column is that of the read model; score is the metric's")]
pub struct ScoreRow {
    pub athlete_id: Uuid,
    pub display_name: Option<String>,
    pub score: i64,
    pub workouts: i64,
    pub scored_at: DateTime<Utc>,
    /// How many on the whole board have a better score than the first row.
    pub better: i64,
    /// How many on the whole board come before the first row.
    pub ahead: i64,
}

/// Rows that follow each other on a board, with their ranks.
pub fn places(metric: Metric, rows: Vec<ScoreRow>) -> Vec<Place> {
    let ahead = rows.first().map_or(0, |row| row.ahead);
    let mut rank = rows.first().map_or(0, |row| row.better + 1);
    let mut score = rows.first().map(|row| row.score);
    let ranked = rows.into_iter().zip(ahead + 1..).map(|(row, nth)| {
        // Equals share the rank of the first of them.
        if score != Some(row.score) {
            (rank, score) = (nth, Some(row.score));
        }
        let ScoreRow { athlete_id, display_name, workouts, .. } = row;
        Place { rank, athlete_id, display_name, value: metric.value(row.score), workouts }
    });
    ranked.collect()
}

/// The place after which a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// The last row's score.
    pub score: i64,
    /// Since when.
    pub scored_at: DateTime<Utc>,
    /// Whose.
    pub athlete_id: Uuid,
}

const PAGE: &str = "
WITH board AS (
    SELECT athlete_id, workouts, scored_at,
           CASE $4 WHEN 'distance_m' THEN distance_mm
                   WHEN 'duration_s' THEN duration_ms
                   WHEN 'elevation_gain_m' THEN elevation_gain_mm
                   WHEN 'workouts' THEN workouts END AS score
      FROM leaderboards
     WHERE period = $1 AND starts_on = $2 AND sport = $3
), page AS (
    SELECT *
      FROM board
     WHERE score > 0
       AND ($5::bigint IS NULL OR score < $5 OR (score = $5 AND (scored_at, athlete_id) > ($6, $7)))
     ORDER BY score DESC, scored_at, athlete_id
     LIMIT $8
), first AS (
    SELECT * FROM page ORDER BY score DESC, scored_at, athlete_id LIMIT 1
), counts AS (
    -- Nobody is before the first page's first row: the board need not be counted.
    SELECT count(*) FILTER (WHERE board.score > first.score) AS better, count(*) AS ahead
      FROM board, first
     WHERE $5::bigint IS NOT NULL
       AND (board.score > first.score
            OR (board.score = first.score
                AND (board.scored_at, board.athlete_id) < (first.scored_at, first.athlete_id)))
)
SELECT page.athlete_id, profiles.display_name, page.score, page.workouts, page.scored_at, counts.better, counts.ahead
  FROM page CROSS JOIN counts LEFT JOIN profiles ON profiles.athlete_id = page.athlete_id
 ORDER BY page.score DESC, page.scored_at, page.athlete_id";

/// At most `rows` rows of a board, best first.
pub async fn page(pool: &PgPool, board: &Board, after: Option<After>, rows: i64) -> Result<Vec<ScoreRow>, sqlx::Error> {
    sqlx::query_as(PAGE)
        .bind(board.period.as_str())
        .bind(board.starts_on)
        .bind(board.sport)
        .bind(board.metric.as_str())
        .bind(after.map(|after| after.score))
        .bind(after.map(|after| after.scored_at))
        .bind(after.map(|after| after.athlete_id))
        .bind(rows)
        .fetch_all(pool)
        .await
}

/// A row around the caller's, best first.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AroundRow {
    /// The row.
    #[sqlx(flatten)]
    pub row: ScoreRow,
    /// How many on the whole board have a better score than the caller.
    pub better_than_me: i64,
    /// How many are on the board.
    pub ranked: i64,
}

const AROUND: &str = "
WITH board AS (
    SELECT athlete_id, workouts, scored_at,
           CASE $4 WHEN 'distance_m' THEN distance_mm
                   WHEN 'duration_s' THEN duration_ms
                   WHEN 'elevation_gain_m' THEN elevation_gain_mm
                   WHEN 'workouts' THEN workouts END AS score
      FROM leaderboards
     WHERE period = $1 AND starts_on = $2 AND sport = $3
), ranked AS MATERIALIZED (
    SELECT * FROM board WHERE score > 0
), me AS (
    SELECT * FROM ranked WHERE athlete_id = $5
), before AS (
    SELECT ranked.*
      FROM ranked, me
     WHERE ranked.score > me.score
        OR (ranked.score = me.score AND (ranked.scored_at, ranked.athlete_id) < (me.scored_at, me.athlete_id))
     ORDER BY ranked.score, ranked.scored_at DESC, ranked.athlete_id DESC
     LIMIT $6
), after AS (
    SELECT ranked.*
      FROM ranked, me
     WHERE ranked.score < me.score
        OR (ranked.score = me.score AND (ranked.scored_at, ranked.athlete_id) > (me.scored_at, me.athlete_id))
     ORDER BY ranked.score DESC, ranked.scored_at, ranked.athlete_id
     LIMIT $6
), around AS (
    SELECT * FROM before UNION ALL SELECT * FROM me UNION ALL SELECT * FROM after
), first AS (
    SELECT * FROM around ORDER BY score DESC, scored_at, athlete_id LIMIT 1
), counts AS (
    SELECT count(*) FILTER (WHERE ranked.score > first.score) AS better,
           count(*) FILTER (WHERE ranked.score > first.score
                               OR (ranked.score = first.score
                                   AND (ranked.scored_at, ranked.athlete_id) < (first.scored_at, first.athlete_id))) AS ahead,
           count(*) FILTER (WHERE ranked.score > me.score) AS better_than_me,
           count(*) AS ranked
      FROM ranked, first, me
)
SELECT around.athlete_id, profiles.display_name, around.score, around.workouts, around.scored_at,
       counts.better, counts.ahead, counts.better_than_me, counts.ranked
  FROM around CROSS JOIN counts LEFT JOIN profiles ON profiles.athlete_id = around.athlete_id
 ORDER BY around.score DESC, around.scored_at, around.athlete_id";

/// The caller's row with up to `around` on each side; empty where the caller is not ranked.
pub async fn around(pool: &PgPool, board: &Board, caller: Uuid, around: i64) -> Result<Vec<AroundRow>, sqlx::Error> {
    sqlx::query_as(AROUND)
        .bind(board.period.as_str())
        .bind(board.starts_on)
        .bind(board.sport)
        .bind(board.metric.as_str())
        .bind(caller)
        .bind(around)
        .fetch_all(pool)
        .await
}

const RANKED: &str = "
SELECT count(*)
  FROM leaderboards
 WHERE period = $1 AND starts_on = $2 AND sport = $3
   AND CASE $4 WHEN 'distance_m' THEN distance_mm
               WHEN 'duration_s' THEN duration_ms
               WHEN 'elevation_gain_m' THEN elevation_gain_mm
               WHEN 'workouts' THEN workouts END > 0
HAVING NOT coalesce(bool_or(athlete_id = $5), false)";

/// How many are on a board that the caller is not on; nothing where the caller is on it (by now).
pub async fn ranked_without(pool: &PgPool, board: &Board, caller: Uuid) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(RANKED)
        .bind(board.period.as_str())
        .bind(board.starts_on)
        .bind(board.sport)
        .bind(board.metric.as_str())
        .bind(caller)
        .fetch_optional(pool)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks(better: i64, ahead: i64, scores: &[i64]) -> Vec<i64> {
        let row = |score: &i64| ScoreRow {
            athlete_id: Uuid::nil(),
            display_name: None,
            score: *score,
            workouts: 1,
            scored_at: DateTime::UNIX_EPOCH,
            better,
            ahead,
        };
        places(Metric::Workouts, scores.iter().map(row).collect()).iter().map(|place| place.rank).collect()
    }

    #[test]
    fn equals_share_a_rank_and_the_next_counts_them_all() {
        assert_eq!(ranks(0, 0, &[100, 90, 90, 80]), [1, 2, 2, 4]);
        assert_eq!(ranks(0, 0, &[5, 5, 5]), [1, 1, 1]);
        assert_eq!(ranks(0, 0, &[]), [0; 0]);
    }

    #[test]
    fn a_page_that_begins_among_equals_goes_on_with_their_rank() {
        // The second 90 of 100, 90, 90, 80 is first here: one is better, two come before.
        assert_eq!(ranks(1, 2, &[90, 80, 80, 70]), [2, 4, 4, 6]);
    }

    #[test]
    fn a_value_is_in_the_unit_of_its_metric() {
        assert_eq!(serde_json::to_string(&Metric::DistanceM.value(42_195_000)).unwrap(), "42195.0");
        assert_eq!(serde_json::to_string(&Metric::Workouts.value(3)).unwrap(), "3");
        assert!(Metric::ALL.iter().all(|metric| Metric::named(metric.as_str()) == Some(*metric)));
    }
}
