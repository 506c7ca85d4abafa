//! The answers of the query API as tables for people.
//! Holds only the fields it shows; an app would have the rest too.

use std::fmt::Write;

use serde::Deserialize;

/// One item of `GET /v1/workouts`.
#[derive(Deserialize)]
pub struct Workout {
    started_at: String,
    sport: String,
    distance_m: Option<f64>,
    duration_s: f64,
    elevation_gain_m: Option<f64>,
    average_heart_rate_bpm: Option<f64>,
}

/// One item of `GET /v1/me/analytics/totals`.
#[derive(Deserialize)]
pub struct Totals {
    period: String,
    workouts: u64,
    distance_m: f64,
    duration_s: f64,
    elevation_gain_m: f64,
}

/// One row of `GET /v1/leaderboards/distance_m`.
#[derive(Deserialize)]
pub struct Place {
    rank: u64,
    athlete_id: String,
    display_name: Option<String>,
    value: f64,
    workouts: u64,
}

pub fn workouts(items: &[Workout]) -> String {
    let mut table = format!(
        "  {:20}  {:12}  {:>9}  {:>8}  {:>6}  {:>10}\n",
        "STARTED", "SPORT", "DISTANCE", "DURATION", "CLIMB", "HEART RATE"
    );
    for item in items {
        let heart_rate = item.average_heart_rate_bpm.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0} bpm"));
        let _ = writeln!(
            table,
            "  {:20}  {:12}  {:>9}  {:>8}  {:>6}  {heart_rate:>10}",
            item.started_at,
            item.sport,
            item.distance_m.map_or_else(|| "-".to_owned(), kilometres),
            clock(item.duration_s),
            item.elevation_gain_m.map_or_else(|| "-".to_owned(), metres),
        );
    }
    table
}

pub fn totals(items: &[Totals]) -> String {
    let mut table =
        format!("  {:10}  {:>8}  {:>9}  {:>8}  {:>6}\n", "WEEK", "WORKOUTS", "DISTANCE", "DURATION", "CLIMB");
    for item in items {
        let _ = writeln!(
            table,
            "  {:10}  {:>8}  {:>9}  {:>8}  {:>6}",
            item.period,
            item.workouts,
            kilometres(item.distance_m),
            clock(item.duration_s),
            metres(item.elevation_gain_m),
        );
    }
    table
}

pub fn leaderboard(items: &[Place], own_id: &str) -> String {
    let mut table = format!("  {:>4}  {:24}  {:>9}  {:>8}\n", "RANK", "ATHLETE", "DISTANCE", "WORKOUTS");
    for item in items {
        let name = item.display_name.as_deref().unwrap_or("(no name yet)");
        let you = if item.athlete_id == own_id { "  <- you" } else { "" };
        let distance = kilometres(item.value);
        let _ = writeln!(table, "  {:>4}  {name:24}  {distance:>9}  {:>8}{you}", item.rank, item.workouts);
    }
    if !items.iter().any(|item| item.athlete_id == own_id) {
        table.push_str("  (you are behind the first ten)\n");
    }
    table
}

fn kilometres(distance_m: f64) -> String {
    format!("{:.2} km", distance_m / 1000.0)
}

fn metres(height_m: f64) -> String {
    format!("{height_m:.0} m")
}

/// 1:05:09 for 3909 seconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "durations are days at most, never negative"
)]
fn clock(seconds: f64) -> String {
    let seconds = seconds.round().max(0.0) as u64;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_marks_the_reader_also_when_they_are_not_on_the_page() {
        let places: Vec<Place> = serde_json::from_value(serde_json::json!([
            {"rank": 1, "athlete_id": "a", "display_name": "Ann", "value": 42_195.0, "workouts": 4},
            {"rank": 2, "athlete_id": "b", "display_name": null, "value": 10_000, "workouts": 1}
        ]))
        .unwrap();
        assert!(leaderboard(&places, "a").contains("42.20 km         4  <- you"));
        assert!(leaderboard(&places, "c").contains("behind the first ten"));
    }

    #[test]
    fn a_duration_reads_as_on_a_watch() {
        assert_eq!(clock(3_909.4), "1:05:09");
    }
}
