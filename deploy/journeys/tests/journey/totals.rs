//! Totals follow every change, on the day it was where the athlete lives.

use std::collections::BTreeMap;

use fittrack_journeys::{Athlete, TestStack, bodies};
use serde_json::{Value, json};

/// Metres per period as the API serves them.
async fn metres(athlete: &Athlete, by: &str, token: &str) -> BTreeMap<String, f64> {
    let items = athlete.all(&format!("/v1/me/analytics/totals?by={by}"), Some(token)).await.unwrap();
    let pair = |item: &Value| (item["period"].as_str().unwrap().to_owned(), item["distance_m"].as_f64().unwrap());
    items.iter().map(pair).collect()
}

fn periods<const N: usize>(pairs: [(&str, f64); N]) -> BTreeMap<String, f64> {
    pairs.into_iter().map(|(period, metres)| (period.to_owned(), metres)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_upload_corrects_its_own_week_and_no_other() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Lea").await.unwrap();
    let run =
        |day: &str, metres: f64| bodies::with(bodies::run(&format!("{day}T07:00:00Z")), json!({"distance_m": metres}));
    athlete.log(&run("2025-09-01", 5_000.0)).await.unwrap();
    let token = athlete.log(&run("2025-09-15", 7_000.0)).await.unwrap().token();
    assert_eq!(metres(&athlete, "week", &token).await, periods([("2025-W36", 5_000.0), ("2025-W38", 7_000.0)]));

    let token = athlete.log(&run("2025-09-07", 1_500.5)).await.unwrap().token();
    assert_eq!(metres(&athlete, "week", &token).await, periods([("2025-W36", 6_500.5), ("2025-W38", 7_000.0)]));
    let board = "/v1/leaderboards/distance_m?period=week&date=2025-09-03&sport=run&limit=200";
    let rows = athlete.all(board, Some(&token)).await.unwrap();
    let mine = rows.iter().find(|row| row["athlete_id"] == json!(athlete.id)).unwrap();
    assert_eq!((&mine["value"], &mine["workouts"]), (&json!(6_500.5), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_and_deletions_correct_every_sum() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Lou").await.unwrap();
    let logged = athlete.log(&bodies::run("2025-10-31T23:30:00Z")).await.unwrap();
    let id = logged.id().unwrap();
    assert_eq!(metres(&athlete, "month", &logged.token()).await, periods([("2025-10", 5_000.0)]));

    // Moved by an hour it is another day, week stays, and another month.
    let moved = json!({"started_at": "2025-11-01T00:30:00Z", "distance_m": 4_200.0});
    let edited = athlete.edit(id, 1, &moved).await.unwrap();
    assert_eq!(metres(&athlete, "day", &edited.token()).await, periods([("2025-11-01", 4_200.0)]));
    assert_eq!(metres(&athlete, "week", &edited.token()).await, periods([("2025-W44", 4_200.0)]));
    assert_eq!(metres(&athlete, "month", &edited.token()).await, periods([("2025-11", 4_200.0)]));

    let sport = athlete.edit(id, 2, &json!({"sport": "walk", "distance_m": 2_000.0})).await.unwrap();
    let days = athlete.all("/v1/me/analytics/totals?by=day", Some(&sport.token())).await.unwrap();
    assert_eq!(days[0]["by_sport"].as_array().unwrap().len(), 1, "{days:?}");
    assert_eq!(days[0]["by_sport"][0]["sport"], "walk");

    let deleted = athlete.delete(id).await.unwrap();
    for by in ["day", "week", "month", "year"] {
        assert_eq!(metres(&athlete, by, &deleted.token()).await, periods([]), "{by}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_counts_where_the_athlete_lives_and_a_board_in_utc() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    // The same instant is the first of January on Kiritimati and the thirty-first of December in Pago Pago.
    for (zone, day, year) in [("Pacific/Kiritimati", "2023-01-01", "2023"), ("Pacific/Pago_Pago", "2022-12-31", "2022")]
    {
        let athlete = api.register_in("Tui", zone).await.unwrap();
        let token = athlete.log(&bodies::run("2022-12-31T12:00:00Z")).await.unwrap().token();
        assert_eq!(metres(&athlete, "day", &token).await, periods([(day, 5_000.0)]), "{zone}");
        assert_eq!(metres(&athlete, "year", &token).await, periods([(year, 5_000.0)]), "{zone}");
        let board = "/v1/leaderboards/workouts?period=year&date=2022-06-01&limit=200";
        let rows = athlete.all(board, Some(&token)).await.unwrap();
        assert!(rows.iter().any(|row| row["athlete_id"] == json!(athlete.id)), "{zone}: {rows:?}");
    }
}
