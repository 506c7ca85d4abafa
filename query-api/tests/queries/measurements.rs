//! The list of measurements: newest day first, page by page, filtered, and its owner's alone.
use serde_json::json;

use crate::stage::{Athlete, Stage, notice};

async fn measured(stage: &Stage, athlete: &Athlete, kind: &str, day: &str, thousandths: i64) {
    let insert = "INSERT INTO measurements_v1.measurements (athlete_id, kind, measured_on, version, value_thousandths, recorded_at)
                  VALUES ($1, $2, $3::date, 1, $4, now())";
    let query = sqlx::query(insert).bind(athlete.id).bind(kind).bind(day.parse::<chrono::NaiveDate>().unwrap());
    query.bind(thousandths).execute(&stage.read_models).await.unwrap();
}

#[tokio::test]
async fn a_walk_meets_each_of_ones_own_once_newest_day_first() {
    let stage = Stage::new().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    for day in ["2026-10-01", "2026-10-02", "2026-10-03"] {
        for kind in ["mass_kg", "max_heart_rate_bpm", "threshold_power_w"] {
            measured(&stage, &anna, kind, day, 71_250).await;
        }
    }
    measured(&stage, &ben, "mass_kg", "2026-10-02", 80_000).await;
    let mut path = "/v1/me/measurements?limit=2".to_owned();
    let mut walked = Vec::new();
    loop {
        let reply = stage.get(&path, &anna).await;
        assert_eq!(reply.status, 200);
        let page = reply.json();
        walked.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next"].as_str() else { break };
        path = format!("/v1/me/measurements?limit=2&cursor={cursor}");
    }
    let keys: Vec<_> = walked.iter().map(|one| (one["measured_on"].clone(), one["kind"].clone())).collect();
    let kinds = ["threshold_power_w", "max_heart_rate_bpm", "mass_kg"];
    let expected: Vec<_> = ["2026-10-03", "2026-10-02", "2026-10-01"]
        .iter()
        .flat_map(|day| kinds.iter().map(move |kind| (json!(day), json!(kind))))
        .collect();
    assert_eq!(keys, expected);
    assert_eq!(walked[0]["value"], json!(71.25));
}

#[tokio::test]
async fn a_walk_while_measurements_come_repeats_none_and_leaves_none_out() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    let mut there_before = Vec::new();
    for day in (10..20).rev().map(|day| format!("2026-10-{day}")) {
        for kind in ["max_heart_rate_bpm", "mass_kg"] {
            measured(&stage, &anna, kind, &day, 71_250).await;
            there_before.push((json!(day), json!(kind)));
        }
    }
    let mut path = "/v1/me/measurements?limit=3".to_owned();
    let mut walked = Vec::new();
    for page in 1.. {
        let reply = stage.get(&path, &anna).await;
        let items = reply.json()["items"].as_array().unwrap().clone();
        walked.extend(items.iter().map(|one| (one["measured_on"].clone(), one["kind"].clone())));
        // One of today and one of long ago; each changes the pages already read.
        for month in ["2026-11", "2026-09"] {
            measured(&stage, &anna, "mass_kg", &format!("{month}-{page:02}"), 71_000).await;
        }
        stage.notify(&notice("measurements", 3, page, &[anna.id]));
        let Some(cursor) = reply.json()["next"].as_str().map(str::to_owned) else { break };
        path = format!("/v1/me/measurements?limit=3&cursor={cursor}");
        assert!(page < 28, "the walk does not end");
    }
    walked.retain(|key| there_before.contains(key));
    assert_eq!(walked, there_before);
}

#[tokio::test]
async fn filters_are_kind_and_days_and_a_cursor_belongs_to_them() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    for (kind, day) in [("mass_kg", "2026-10-01"), ("mass_kg", "2026-10-02"), ("max_heart_rate_bpm", "2026-10-02")] {
        measured(&stage, &anna, kind, day, 100_000).await;
    }
    for (query, found) in [
        ("kind=mass_kg", 2),
        ("from=2026-10-02", 2),
        ("to=2026-10-01", 1),
        ("kind=mass_kg&from=2026-10-02&to=2026-10-02", 1),
        ("kind=threshold_power_w", 0),
    ] {
        let reply = stage.get(&format!("/v1/me/measurements?{query}"), &anna).await;
        assert_eq!((reply.status.as_u16(), reply.items("kind").len()), (200, found), "{query}");
    }
    let first = stage.get("/v1/me/measurements?limit=1", &anna).await.json();
    let cursor = first["next"].as_str().unwrap();
    for (query, status) in [
        (format!("limit=1&cursor={cursor}"), 200),
        (format!("kind=mass_kg&cursor={cursor}"), 400),
        ("kind=mass".to_owned(), 400),
        ("from=2026-1-1".to_owned(), 400),
        ("owner=x".to_owned(), 400),
    ] {
        assert_eq!(stage.get(&format!("/v1/me/measurements?{query}"), &anna).await.status, status, "{query}");
    }
}
