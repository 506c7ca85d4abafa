//! Recordings as columns, and originals byte for byte.
use axum::http::Method;
use fittrack_domain::recording::{Field, Recording, encode};
use fittrack_runtime::server::{self, ServerLimits};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::stage::{Athlete, Stage, Workout, read};

pub async fn stored(stage: &Stage, kind: &str, content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let insert = "INSERT INTO blobs (sha256, kind, content) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    sqlx::query(insert).bind(digest.as_slice()).bind(kind).bind(content).execute(&stage.recordings).await.unwrap();
    format!("{digest:x}")
}

async fn recorded(stage: &Stage, athlete: &Athlete, visibility: &'static str) -> (Uuid, Vec<u8>) {
    let original = format!("<gpx of {}/>", Uuid::now_v7()).into_bytes();
    (recorded_as(stage, athlete, visibility, &original, 3_000).await, original)
}

async fn recorded_as(
    stage: &Stage,
    athlete: &Athlete,
    visibility: &'static str,
    original: &[u8],
    samples: u32,
) -> Uuid {
    let times: Vec<f64> = (0..samples).map(f64::from).collect();
    let beats = (0..samples).map(|at| (at != 1).then(|| 120.0 + f64::from(at % 40))).collect();
    let recording = Recording::from_columns(times, [(Field::HeartRateBpm, beats)]).unwrap();
    let place = json!({
        "format": "gpx",
        "original_sha256": stored(stage, "original", original).await,
        "recording_sha256": stored(stage, "recording", &encode(&recording)).await,
        "samples": samples,
        "leg": 0,
    });
    let workout = Workout { visibility, recording: Some(place), ..Workout::at("2026-11-24T06:00:00Z") };
    stage.workout(athlete, workout).await
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

/// Longer than any short answer, as a file and as samples.
async fn long_one(stage: &Stage, athlete: &Athlete) -> (Uuid, Vec<u8>) {
    let original = vec![b'x'; 3 << 20];
    (recorded_as(stage, athlete, "public", &original, 60_000).await, original)
}

#[tokio::test]
async fn files_nobody_reads_take_their_athletes_turns_and_nobody_elses() {
    let stage = Stage::with_recordings().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    let (id, original) = long_one(&stage, &anna).await;
    let (of_ben, _) = long_one(&stage, &ben).await;
    let file = format!("/v1/workouts/{id}/original");
    let mut under_way = Vec::new();
    for _ in 0..4 {
        let response = stage.open(Method::GET, &file, Some(&anna), &[]).await;
        assert_eq!(response.status(), 200);
        under_way.push(response);
    }
    for path in [&file, &format!("/v1/workouts/{id}/recording")] {
        let refused = stage.get(path, &anna).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "1"), "{path}");
        assert_eq!(refused.json()["type"], "https://fittrack.dev/problems/too-many-requests");
        let head = stage.send(Method::HEAD, path, Some(&anna), &[]).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "a HEAD takes no turn");
    }
    assert_eq!(stage.get("/v1/workouts", &anna).await.status, 200, "what is short takes none");
    assert_eq!(stage.get(&format!("/v1/workouts/{of_ben}/original"), &ben).await.body, original);
    // Those under way were not touched by what came after them, and give their turns to the next.
    for response in under_way {
        assert_eq!(read(response).await.body, original);
    }
    assert_eq!(stage.get(&file, &anna).await.body, original);
}

#[tokio::test]
async fn a_head_says_what_the_answer_would_have() {
    let stage = Stage::with_recordings().await;
    let anna = stage.athlete("Anna").await;
    let (short, _) = recorded(&stage, &anna, "private").await;
    let (long, _) = long_one(&stage, &anna).await;
    for path in
        [short, long].iter().flat_map(|id| ["original", "recording"].map(|of| format!("/v1/workouts/{id}/{of}")))
    {
        let get = stage.get(&path, &anna).await;
        let head = stage.send(Method::HEAD, &path, Some(&anna), &[]).await;
        assert_eq!((get.status.as_u16(), head.status.as_u16(), head.body.len()), (200, 200, 0), "{path}");
        assert_eq!(get.header("content-length"), get.body.len().to_string(), "{path}");
        for name in ["content-length", "content-type", "content-disposition", "etag", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
        let known = [("if-none-match", get.header("etag"))];
        assert_eq!(stage.send(Method::HEAD, &path, Some(&anna), &known).await.status, 304, "{path}");
    }
}

#[tokio::test]
async fn a_long_recording_comes_whole_in_every_coding() {
    let stage = Stage::with_recordings().await;
    let anna = stage.athlete("Anna").await;
    let (id, _) = long_one(&stage, &anna).await;
    let path = format!("/v1/workouts/{id}/recording");
    let plain = stage.get(&path, &anna).await;
    assert!(plain.body.len() > query_api::transfers::LONG, "{} bytes", plain.body.len());
    assert_eq!(plain.json()["sample_count"], 60_000);
    let coded = stage.get_with(&path, &anna, &[("accept-encoding", "zstd")]).await;
    assert_eq!((coded.status.as_u16(), coded.header("content-encoding")), (200, "zstd"));
    assert_eq!(zstd::stream::decode_all(&*coded.body).unwrap(), plain.body);
}

#[tokio::test]
async fn a_long_file_is_told_its_length_on_the_wire() {
    let stage = Stage::with_recordings().await;
    let anna = stage.athlete("Anna").await;
    let (id, original) = long_one(&stage, &anna).await;
    let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = server::serve(listener, stage.router.clone(), ServerLimits::default(), stop.clone());
    let serving = tokio::spawn(serving);
    for (method, sent) in [("GET", &original[..]), ("HEAD", &[])] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (path, token) = (format!("/v1/workouts/{id}/original"), &anna.token);
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        assert!(head.contains("content-length: 3145728") && !head.contains("transfer-encoding"), "{method}: {head}");
        assert!(answer[end + 4..] == *sent, "{method}: {} bytes", answer.len());
    }
    stop.cancel();
    serving.await.unwrap().unwrap();
}
