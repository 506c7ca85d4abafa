//! Totals: an athlete's sums per calendar period, added up from the read model's days.
//! Days are local days of each workout's own zone; weeks are ISO weeks.
use chrono::NaiveDate;
use fittrack_domain::sport::Sport;
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

use super::units::thousandths;
use crate::period::Grouping;

/// Sums of one period.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PeriodTotals {
    /// `2026-11-24`, `2026-W48`, `2026-11` or `2026`.
    #[schema(example = "2026-W48")]
    pub period: String,
    /// Its first day.
    pub starts_on: NaiveDate,
    /// `all`, or the sport asked for.
    #[schema(schema_with = crate::queries::units::board_sport_schema)]
    pub sport: String,
    /// The sums.
    #[serde(flatten)]
    pub sums: Sums,
    /// The same, sport by sport.
    pub by_sport: Vec<SportTotals>,
}

/// Sums of one sport in one period.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SportTotals {
    /// The sport.
    #[schema(schema_with = crate::queries::units::sport_schema)]
    pub sport: String,
    /// The sums.
    #[serde(flatten)]
    pub sums: Sums,
}

/// What is added up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Sums {
    /// How many workouts.
    #[schema(example = 3)]
    pub workouts: i64,
    /// Metres.
    #[schema(example = 31_250.5)]
    pub distance_m: f64,
    /// Seconds from start to end.
    #[schema(example = 9_800.0)]
    pub duration_s: f64,
    /// Seconds without pauses, of the workouts that know them.
    #[schema(example = 9_512.0)]
    pub moving_s: f64,
    /// Metres climbed.
    #[schema(example = 240.0)]
    pub elevation_gain_m: f64,
    /// Kilocalories.
    #[schema(example = 2_100)]
    pub energy_kcal: i64,
}

/// One sport in one period, in small units.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[expect(missing_docs, reason = "each column is a sum of the read model's")]
pub struct TotalsRow {
    pub starts_on: NaiveDate,
    pub sport: String,
    pub workouts: i64,
    pub distance_mm: i64,
    pub duration_ms: i64,
    pub moving_ms: i64,
    pub elevation_gain_mm: i64,
    pub energy_kcal: i64,
}

/// Which days are added up, and before which period the page begins.
#[derive(Debug, Clone, Default)]
pub struct Span {
    /// First local day.
    pub from: Option<NaiveDate>,
    /// Last local day.
    pub to: Option<NaiveDate>,
    /// Of this sport only.
    pub sport: Option<Sport>,
    /// Only days before this one: the first of the last period already shown.
    pub before: Option<NaiveDate>,
}

const TOTALS: &str = "
WITH sums AS (
    SELECT date_trunc($2, local_date::timestamp)::date AS starts_on,
           sport,
           sum(workouts)::bigint          AS workouts,
           sum(distance_mm)::bigint       AS distance_mm,
           sum(duration_ms)::bigint       AS duration_ms,
           sum(moving_ms)::bigint         AS moving_ms,
           sum(elevation_gain_mm)::bigint AS elevation_gain_mm,
           sum(energy_kcal)::bigint       AS energy_kcal
      FROM totals
     WHERE athlete_id = $1
       AND local_date >= coalesce($3, '-infinity'::date)
       AND local_date <= coalesce($4, 'infinity'::date)
       AND local_date < coalesce($6, 'infinity'::date)
       AND ($5::text IS NULL OR sport = $5)
     GROUP BY 1, 2
    HAVING sum(workouts) > 0
), numbered AS (
    SELECT sums.*, dense_rank() OVER (ORDER BY starts_on DESC) AS nth FROM sums
)
SELECT starts_on, sport, workouts, distance_mm, duration_ms, moving_ms, elevation_gain_mm, energy_kcal
  FROM numbered
 WHERE nth <= $7
 ORDER BY starts_on DESC, sport";

/// The sums of the latest `periods` periods of a span, per period and sport, latest first.
pub async fn totals(
    pool: &PgPool,
    caller: Uuid,
    by: Grouping,
    span: &Span,
    periods: i64,
) -> Result<Vec<TotalsRow>, sqlx::Error> {
    sqlx::query_as(TOTALS)
        .bind(caller)
        .bind(by.as_str())
        .bind(span.from)
        .bind(span.to)
        .bind(span.sport.map(Sport::as_str))
        .bind(span.before)
        .bind(periods)
        .fetch_all(pool)
        .await
}

/// Rows of the same period put together.
pub fn periods(by: Grouping, sport: Option<Sport>, rows: &[TotalsRow]) -> Vec<PeriodTotals> {
    let of_period = |rows: &[TotalsRow]| {
        let starts_on = rows.first()?.starts_on;
        let by_sport = rows
            .iter()
            .map(|row| SportTotals { sport: row.sport.clone(), sums: sums(std::slice::from_ref(row)) })
            .collect();
        let sport = sport.map_or("all", Sport::as_str).to_owned();
        Some(PeriodTotals { period: by.label(starts_on), starts_on, sport, sums: sums(rows), by_sport })
    };
    rows.chunk_by(|a, b| a.starts_on == b.starts_on).filter_map(of_period).collect()
}

fn sums(rows: &[TotalsRow]) -> Sums {
    // Added as whole numbers, so that the sum is exact.
    let sum = |of: fn(&TotalsRow) -> i64| rows.iter().map(of).sum::<i64>();
    Sums {
        workouts: sum(|row| row.workouts),
        distance_m: thousandths(sum(|row| row.distance_mm)),
        duration_s: thousandths(sum(|row| row.duration_ms)),
        moving_s: thousandths(sum(|row| row.moving_ms)),
        elevation_gain_m: thousandths(sum(|row| row.elevation_gain_mm)),
        energy_kcal: sum(|row| row.energy_kcal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(starts_on: &str, sport: &str, workouts: i64) -> TotalsRow {
        let sport = sport.to_owned();
        let (distance_mm, duration_ms) = (workouts * 1_001, workouts * 60_000);
        let starts_on = starts_on.parse().unwrap();
        TotalsRow {
            starts_on,
            sport,
            workouts,
            distance_mm,
            duration_ms,
            moving_ms: 1,
            elevation_gain_mm: 0,
            energy_kcal: 7,
        }
    }

    #[test]
    fn a_period_is_the_sum_of_its_sports() {
        let rows = [row("2026-11-23", "ride", 1), row("2026-11-23", "run", 2), row("2026-11-16", "run", 1)];
        let periods = periods(Grouping::Week, None, &rows);
        assert_eq!(periods.len(), 2);
        assert_eq!((periods[0].period.as_str(), periods[0].sport.as_str()), ("2026-W48", "all"));
        assert_eq!((periods[0].sums.workouts, periods[0].sums.distance_m, periods[0].sums.energy_kcal), (3, 3.003, 14));
        assert_eq!(periods[0].by_sport[1].sums.duration_s.to_bits(), 120.0_f64.to_bits());
        assert_eq!(periods[1].by_sport.len(), 1);
    }
}
