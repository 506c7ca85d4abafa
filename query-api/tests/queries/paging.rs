//! The list of workouts, page by page and filtered.
use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, NaiveDate, Utc};
use query_api::cursor::{CursorKey, Place};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

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

/// Each list's path, what its cursors belong to, and a place on it with this day or the beginning of it.
fn lists(anna: Uuid, day: NaiveDate, instant: DateTime<Utc>) -> [(&'static str, String, Place); 4] {
    let place = Place::default;
    [
        ("/v1/workouts?", format!("workouts {anna} None None None None"), place().instant(instant).id(anna)),
        ("/v1/me/measurements?", format!("measurements {anna} None None None"), place().day(day).number(0)),
        ("/v1/me/analytics/totals?by=day&", format!("totals {anna} Day None None None"), place().day(day)),
        (
            "/v1/leaderboards/distance_m?period=all&",
            "leaderboards Board { metric: DistanceM, period: All, starts_on: 1970-01-01, sport: \"all\" }".to_owned(),
            place().number(1).instant(instant).id(anna),
        ),
    ]
}

#[tokio::test]
async fn a_cursor_nobody_was_given_is_refused_by_every_list() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    let (day, instant) = ("2026-11-24".parse().unwrap(), "2026-11-24T06:00:00Z".parse().unwrap());
    let key = stage.app.cursor_key().await.unwrap();
    for (path, list, place) in lists(anna.id, day, instant) {
        let given = place.to_cursor(key, &list);
        assert_eq!(stage.get(&format!("{path}cursor={given}"), &anna).await.status, 200, "{path}");
        let bytes = URL_SAFE_NO_PAD.decode(&given).unwrap();
        let place_bytes = &bytes[17..];
        // The checksum of the first form, and of the same kind in this one.
        let sum = |form: u8| {
            let digest =
                Sha256::new().chain_update([form]).chain_update(&list).chain_update([0]).chain_update(place_bytes);
            digest.finalize()
        };
        let first_form = [&[1][..], &sum(1)[..8], place_bytes].concat();
        let unsigned = [&[2][..], &sum(2)[..16], place_bytes].concat();
        let mut moved = bytes.clone();
        *moved.last_mut().unwrap() ^= 1;
        let mut forged: Vec<String> = [first_form, unsigned, moved].map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).into();
        forged.push(place.to_cursor(&CursorKey::new([0; 32]), &list));
        forged.push(place.to_cursor(key, "another list"));
        for cursor in forged {
            let reply = stage.get(&format!("{path}cursor={cursor}"), &anna).await;
            assert_eq!(reply.status, 400, "{path}cursor={cursor}");
            assert!(reply.json()["detail"].as_str().unwrap().contains("no cursor of this list"));
        }
    }
}

#[tokio::test]
async fn a_place_outside_every_calendar_is_refused_even_where_it_is_signed() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    let key = stage.app.cursor_key().await.unwrap();
    for (day, instant) in [(NaiveDate::MIN, DateTime::<Utc>::MIN_UTC), (NaiveDate::MAX, DateTime::<Utc>::MAX_UTC)] {
        for (path, list, place) in lists(anna.id, day, instant) {
            let reply = stage.get(&format!("{path}cursor={}", place.to_cursor(key, &list)), &anna).await;
            assert_eq!(reply.status, 400, "{path} {day}: {:?}", reply.body);
        }
    }
}

#[tokio::test]
async fn every_replica_takes_the_cursors_of_the_others() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    for day in 1..4 {
        stage.workout(&anna, Workout::at(&format!("2026-11-0{day}T06:00:00Z"))).await;
    }
    let first = stage.get("/v1/workouts?limit=1", &anna).await.json();
    let path = format!("/v1/workouts?limit=1&cursor={}", first["next"].as_str().unwrap());
    let here = stage.get(&path, &anna).await;
    let there = stage.replica().get(&path, &anna).await;
    assert_eq!((there.status.as_u16(), there.items("id")), (200, here.items("id")));
}
