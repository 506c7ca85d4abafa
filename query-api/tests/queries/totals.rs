//! Sums per period, computed in SQL from days.
use serde_json::json;
use uuid::Uuid;

use crate::stage::Stage;

async fn day(stage: &Stage, athlete: Uuid, date: &str, sport: &str, workouts: i64, metres: i64) {
    sqlx::query(
        "INSERT INTO totals_v1.totals (athlete_id, local_date, sport, workouts, distance_mm, duration_ms, moving_ms,
                                       elevation_gain_mm, energy_kcal)
         VALUES ($1, $2::date, $3, $4, $5, $4 * 60000, $4 * 50000, 0, $4 * 100)",
    )
    .bind(athlete)
    .bind(date.parse::<chrono::NaiveDate>().unwrap())
    .bind(sport)
    .bind(workouts)
    .bind(metres * 1_000)
    .execute(&stage.read_models)
    .await
    .unwrap();
}

#[tokio::test]
async fn weeks_are_iso_weeks_summed_over_sports_and_years() {
    let stage = Stage::new().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    day(&stage, anna.id, "2020-12-31", "run", 1, 5_000).await;
    day(&stage, anna.id, "2021-01-03", "ride", 2, 40_000).await;
    day(&stage, anna.id, "2021-01-03", "run", 1, 3_000).await;
    day(&stage, anna.id, "2021-01-04", "run", 1, 1_000).await;
    // Logged and deleted again.
    day(&stage, anna.id, "2021-01-20", "run", 0, 0).await;
    day(&stage, ben.id, "2021-01-03", "run", 9, 9_000).await;

    let weeks = stage.get("/v1/me/analytics/totals?by=week", &anna).await;
    assert_eq!(weeks.items("period"), ["2021-W01", "2020-W53"]);
    let first = &weeks.json()["items"][1];
    let expected = json!({
        "period": "2020-W53", "starts_on": "2020-12-28", "sport": "all",
        "workouts": 4, "distance_m": 48_000.0, "duration_s": 240.0, "moving_s": 200.0, "elevation_gain_m": 0.0, "energy_kcal": 400,
        "by_sport": [
            {"sport": "ride", "workouts": 2, "distance_m": 40_000.0, "duration_s": 120.0, "moving_s": 100.0, "elevation_gain_m": 0.0, "energy_kcal": 200},
            {"sport": "run", "workouts": 2, "distance_m": 8_000.0, "duration_s": 120.0, "moving_s": 100.0, "elevation_gain_m": 0.0, "energy_kcal": 200},
        ],
    });
    assert_eq!(*first, expected);

    let runs = stage.get("/v1/me/analytics/totals?by=week&sport=run&to=2021-01-02", &anna).await.json();
    assert_eq!((&runs["items"][0]["sport"], &runs["items"][0]["distance_m"]), (&json!("run"), &json!(5_000.0)));
    let periods = |by: &'static str| {
        let (stage, anna) = (&stage, &anna);
        async move { stage.get(&format!("/v1/me/analytics/totals?by={by}"), anna).await.items("period") }
    };
    assert_eq!(periods("day").await, ["2021-01-04", "2021-01-03", "2020-12-31"]);
    assert_eq!(periods("month").await, ["2021-01", "2020-12"]);
    assert_eq!(periods("year").await, ["2021", "2020"]);
}

#[tokio::test]
async fn pages_of_sums_go_back_period_by_period() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    for month in 1..=7 {
        for sport in ["run", "ride"] {
            day(&stage, anna.id, &format!("2026-{month:02}-15"), sport, 1, 1_000).await;
        }
    }
    let mut path = "/v1/me/analytics/totals?by=month&limit=3".to_owned();
    let mut pages = Vec::new();
    loop {
        let reply = stage.get(&path, &anna).await;
        assert!(reply.items("workouts").iter().all(|workouts| workouts == 2));
        pages.push(reply.items("period"));
        let Some(cursor) = reply.json()["next"].as_str().map(str::to_owned) else { break };
        path = format!("/v1/me/analytics/totals?by=month&limit=3&cursor={cursor}");
    }
    let expected = [vec!["2026-07", "2026-06", "2026-05"], vec!["2026-04", "2026-03", "2026-02"], vec!["2026-01"]];
    assert_eq!(pages, expected);
}
