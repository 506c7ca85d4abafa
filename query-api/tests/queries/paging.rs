//! The list of workouts, page by page and filtered.
use std::collections::HashSet;

use serde_json::json;

use crate::stage::{Stage, Workout, notice};

#[tokio::test]
async fn a_walk_while_workouts_come_repeats_none_and_leaves_none_out() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    let mut expected = Vec::new();
    for hour in 0..23 {
        // Three at each instant, so that pages end among equals.
        let started_at = format!("2026-11-20T{:02}:00:00.123456Z", hour / 3);
        let id = stage.workout(&anna, Workout::at(&started_at)).await;
        expected.push((started_at, id));
    }
    expected.sort_by(|a, b| b.cmp(a));
    let mut path = "/v1/workouts?limit=4".to_owned();
    let mut seen = Vec::new();
    for page in 1.. {
        let reply = stage.get(&path, &anna).await;
        assert_eq!(reply.status, 200);
        seen.extend(reply.items("id"));
        // One is logged now and one, late, of long ago; each changes the pages already read.
        stage.workout(&anna, Workout::at(&format!("2026-11-21T{page:02}:00:00Z"))).await;
        stage.workout(&anna, Workout::at(&format!("2026-11-19T{page:02}:00:00Z"))).await;
        stage.notify(&notice("workouts", 0, page, &[anna.id]));
        let first = "</v1/workouts?limit=4>; rel=\"first\"";
        let Some(cursor) = reply.json()["next"].as_str().map(str::to_owned) else {
            assert_eq!(reply.header("link"), first);
            break;
        };
        let next = format!("</v1/workouts?limit=4&cursor={cursor}>; rel=\"next\"");
        let links = if page == 1 { next } else { format!("{next}, {first}") };
        assert_eq!(reply.header("link"), links);
        path = format!("/v1/workouts?limit=4&cursor={cursor}");
    }
    let once: HashSet<_> = seen.iter().map(ToString::to_string).collect();
    assert_eq!(once.len(), seen.len(), "none twice");
    let there_before: Vec<_> = expected.iter().map(|(_, id)| json!(id)).collect();
    let walked: Vec<_> = seen.into_iter().filter(|id| there_before.contains(id)).collect();
    assert_eq!(walked, there_before, "none left out, newest first");
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list_and_its_athlete() {
    let stage = Stage::new().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    for day in 1..4 {
        stage.workout(&anna, Workout::at(&format!("2026-11-0{day}T06:00:00Z"))).await;
    }
    let first = stage.get("/v1/workouts?limit=1", &anna).await.json();
    let cursor = first["next"].as_str().unwrap();
    assert_eq!(stage.get(&format!("/v1/workouts?limit=2&cursor={cursor}"), &anna).await.status, 200);
    assert_eq!(stage.get(&format!("/v1/workouts?limit=1&sport=run&cursor={cursor}"), &anna).await.status, 400);
    assert_eq!(stage.get(&format!("/v1/workouts?limit=1&cursor={cursor}"), &ben).await.status, 400);
}

#[tokio::test]
async fn filters_are_days_instants_sport_and_text() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    // Late on the 23rd in Berlin, which is the 24th there already.
    let late = Workout { local_date: "2026-11-24".parse().unwrap(), ..Workout::at("2026-11-23T23:30:00Z") };
    let late = stage.workout(&anna, late).await;
    let ride = Workout {
        sport: "ride",
        title: None,
        notes: Some("100%_Fun\nwith Ben"),
        ..Workout::at("2026-11-25T06:00:00Z")
    };
    let ride = stage.workout(&anna, ride).await;
    let old = stage.workout(&anna, Workout { title: None, ..Workout::at("2025-01-01T06:00:00Z") }).await;
    for (query, expected) in [
        ("", vec![ride, late, old]),
        ("from=2026-11-24", vec![ride, late]),
        ("to=2026-11-24", vec![late, old]),
        ("from=2026-11-24&to=2026-11-24", vec![late]),
        ("from=2026-11-23T23:30:00Z", vec![ride, late]),
        ("from=2026-11-24T00:30:00%2B01:00&to=2026-11-25T06:00:00Z", vec![late]),
        ("to=2026-11-23T23:30:00Z", vec![old]),
        ("sport=ride", vec![ride]),
        ("text=MORNING", vec![late]),
        ("text=100%25_fun", vec![ride]),
        ("text=1000", vec![]),
        ("sport=run&text=fun", vec![]),
    ] {
        let reply = stage.get(&format!("/v1/workouts?{query}"), &anna).await;
        let expected: Vec<_> = expected.iter().map(|id| json!(id)).collect();
        assert_eq!(reply.items("id"), expected, "{query}");
    }
}
