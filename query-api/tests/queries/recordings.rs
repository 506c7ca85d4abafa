//! Recordings as columns, and originals byte for byte.
use fittrack_domain::recording::{Field, Recording, encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::stage::{Athlete, Stage, Workout};

pub async fn stored(stage: &Stage, kind: &str, content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let insert = "INSERT INTO blobs (sha256, kind, content) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    sqlx::query(insert).bind(digest.as_slice()).bind(kind).bind(content).execute(&stage.recordings).await.unwrap();
    format!("{digest:x}")
}

async fn recorded(stage: &Stage, athlete: &Athlete, visibility: &'static str) -> (Uuid, Vec<u8>) {
    let times: Vec<f64> = (0..3_000).map(f64::from).collect();
    let beats = (0..3_000).map(|at| (at != 1).then(|| 120.0 + f64::from(at % 40))).collect();
    let recording = Recording::from_columns(times, [(Field::HeartRateBpm, beats)]).unwrap();
    let original = format!("<gpx of {}/>", Uuid::now_v7()).into_bytes();
    let place = json!({
        "format": "gpx",
        "original_sha256": stored(stage, "original", &original).await,
        "recording_sha256": stored(stage, "recording", &encode(&recording)).await,
        "samples": 3_000,
        "leg": 0,
    });
    let workout = Workout { visibility, recording: Some(place), ..Workout::at("2026-11-24T06:00:00Z") };
    (stage.workout(athlete, workout).await, original)
}

fn lengths(reply: &Value) -> Vec<(&str, usize)> {
    let columns = reply["samples"].as_object().unwrap();
    columns.iter().map(|(name, values)| (name.as_str(), values.as_array().unwrap().len())).collect()
}

#[tokio::test]
async fn columns_come_at_the_resolution_asked_for() {
    let stage = Stage::with_recordings().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    let (id, _) = recorded(&stage, &anna, "public").await;
    let path = format!("/v1/workouts/{id}/recording");
    for (query, samples) in
        [("", 3_000), ("?resolution=medium&fields=heart_rate_bpm,power_w", 1_000), ("?resolution=low", 100)]
    {
        let reply = stage.get(&format!("{path}{query}"), &ben).await;
        assert_eq!(reply.status, 200, "{query}");
        let reply = reply.json();
        assert_eq!(lengths(&reply), [("elapsed_s", samples), ("heart_rate_bpm", samples)]);
        assert_eq!(reply["sample_count"], samples);
    }
    let whole = stage.get(&path, &anna).await.json();
    assert_eq!(whole["samples"]["heart_rate_bpm"][0], 120);
    assert_eq!(whole["samples"]["heart_rate_bpm"][1], json!(null));
    assert_eq!(stage.get(&format!("{path}?fields=watts"), &anna).await.status, 400);
    assert_eq!(stage.get(&format!("{path}?resolution=best"), &anna).await.status, 400);
}

#[tokio::test]
async fn an_original_is_its_owners_and_comes_byte_for_byte() {
    let stage = Stage::with_recordings().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    let (id, original) = recorded(&stage, &anna, "public").await;
    let path = format!("/v1/workouts/{id}/original");
    let reply = stage.get(&path, &anna).await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "application/gpx+xml"));
    assert_eq!(reply.header("content-disposition"), format!("attachment; filename=\"{id}.gpx\""));
    assert_eq!(reply.body, original);
    let tag = reply.header("etag").to_owned();
    let again = stage.get_with(&path, &anna, &[("if-none-match", &tag)]).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(stage.get(&path, &ben).await.status, 404);
    let (private, _) = recorded(&stage, &anna, "private").await;
    assert_eq!(stage.get(&format!("/v1/workouts/{private}/recording"), &ben).await.status, 404);
    let by_hand = stage.workout(&anna, Workout::at("2026-11-25T06:00:00Z")).await;
    for route in ["recording", "original"] {
        let reply = stage.get(&format!("/v1/workouts/{by_hand}/{route}"), &anna).await;
        assert_eq!(reply.status, 404);
        assert!(reply.json()["detail"].as_str().unwrap().contains("by hand"));
    }
}
