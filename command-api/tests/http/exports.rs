//! Exports: asked for, made by a worker that may die, downloaded by their athlete alone; and what is in the zip.
use std::{
    collections::BTreeSet,
    io::{Cursor, Read},
    sync::Arc,
};

use axum::{
    body::Body,
    http::{Request, header},
};
use bytes::Bytes;
use command_api::{
    exports::jobs,
    jobs::{
        MAX_ATTEMPTS,
        pieces::Written,
        worker::{self, work_once},
    },
};
use fittrack_domain::recording::{Format, synthesize, write};
use fittrack_domain::sport::Sport;
use fittrack_schemas::export::export_schemas;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;
use zip::ZipArchive;

use crate::support::{Answer, Client, World, count, eventually, run};

/// Makes every export that was asked for.
pub async fn make_exports(world: &World) {
    while work_once(&world.app.exports, &CancellationToken::new()).await.unwrap() {}
}

/// Asks for an export, has it made, and downloads it.
pub async fn exported(world: &World, athlete: &Client) -> Bytes {
    let asked = athlete.post("/v1/account/export").answer().await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    make_exports(world).await;
    download(world, athlete, &asked).await
}

async fn download(world: &World, athlete: &Client, asked: &Answer) -> Bytes {
    let path = format!("{}/file", asked.header("location").unwrap());
    let authorization = format!("Bearer {}", athlete.token());
    let request = Request::get(path).header(header::AUTHORIZATION, authorization).body(Body::empty()).unwrap();
    let response = world.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/zip");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(
        response.headers()["content-disposition"].to_str().unwrap().starts_with("attachment; filename=\"fittrack-")
    );
    axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()
}

/// The document of a zip.
pub fn document(zip: &Bytes) -> Value {
    serde_json::from_slice(&entry(zip, "export.json")).unwrap()
}

fn entry(zip: &Bytes, name: &str) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut content = Vec::new();
    archive.by_name(name).unwrap().read_to_end(&mut content).unwrap();
    content
}

async fn shown(athlete: &Client, asked: &Answer) -> Answer {
    athlete.get(asked.header("location").unwrap()).answer().await
}

#[tokio::test]
async fn that_everything_was_asked_for_and_given_out_is_in_the_audit_log() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    exported(&world, &ann).await;
    let noted = async || world.audited("sensitive_read").await == 2;
    eventually("both are noted", noted).await;
}

#[tokio::test]
async fn an_export_has_everything_of_its_athlete_and_nothing_of_others() {
    let world = World::new().await;
    let (ann, bob) = (world.athlete("ann").await, world.athlete("bob").await);
    bob.logs_a_run().await;
    let profile = json!({"time_zone": "Europe/Berlin", "birth_year": 1990, "bio": "Runs."});
    ann.patch("/v1/me/profile").merge_patch(&profile).await;
    let strength = json!({
        "sport": "strength", "started_at": "2026-10-01T22:30:00Z", "duration_s": 1800.5, "notes": "a\nb", "visibility": "public",
        "sets": [{"exercise": "squat", "repetitions": 5, "mass_kg": 80.5, "kind": "warm_up"}]
    });
    let logged = ann.post("/v1/workouts").json(&strength).await.id();
    let (edited, deleted) = (ann.logs_a_run().await, ann.logs_a_run().await);
    ann.edits(edited, "*", &json!({"title": "Canal", "distance_m": 4999.5})).await;
    ann.delete(&format!("/v1/workouts/{deleted}")).header("if-match", "*").answer().await;
    let file =
        write(&synthesize(7, Sport::Ride, "2026-10-02T06:00:00Z".parse().unwrap(), 1_200.0), Format::Fit).unwrap();
    let imported = ann.imports("application/vnd.ant.fit", file.clone()).await.body["workouts"][0]["id"].clone();
    for value in [72.0, 71.25] {
        let measured = json!({"kind": "mass_kg", "value": value, "measured_on": "2026-10-01"});
        ann.post("/v1/me/measurements").json(&measured).await;
    }

    let zip = exported(&world, &ann).await;
    let document = document(&zip);
    let [schema, recording_schema] = export_schemas();
    let errors: Vec<String> = jsonschema::draft202012::new(&schema.schema)
        .unwrap()
        .iter_errors(&document)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(
        (&document["athlete"]["birth_year"], &document["athlete"]["email"]),
        (&json!(1990), &json!("ann@example.org"))
    );
    assert_eq!(document["measurements"], json!([{"kind": "mass_kg", "measured_on": "2026-10-01", "value": 71.25}]));
    let ids: Vec<&Value> = document["workouts"].as_array().unwrap().iter().map(|workout| &workout["id"]).collect();
    assert_eq!(ids, [&json!(logged), &json!(edited), &imported]);
    let [first, second, third] = [0, 1, 2].map(|at| &document["workouts"][at]);
    assert_eq!((&first["local_date"], &first["time_zone"]), (&json!("2026-10-02"), &json!("Europe/Berlin")));
    assert_eq!((&first["sets"][0]["mass_kg"], &first["visibility"]), (&json!(80.5), &json!("public")));
    assert_eq!((&second["title"], &second["distance_m"]), (&json!("Canal"), &json!(4999.5)));

    let id = imported.as_str().unwrap();
    assert_eq!(third["recording"]["original"], format!("originals/{id}.fit"));
    assert_eq!(entry(&zip, &format!("originals/{id}.fit")), file);
    let samples: Value = serde_json::from_slice(&entry(&zip, &format!("recordings/{id}.json"))).unwrap();
    assert!(jsonschema::draft202012::is_valid(&recording_schema.schema, &samples));
    let lengths: BTreeSet<usize> =
        samples["columns"].as_object().unwrap().values().map(|column| column.as_array().unwrap().len()).collect();
    assert_eq!(lengths.into_iter().map(|length| json!(length)).collect::<Vec<_>>(), [samples["sample_count"].clone()]);
    assert!(String::from_utf8(entry(&zip, "README.txt")).unwrap().contains("export.json"));
}

#[tokio::test]
async fn while_one_is_under_way_the_same_one_is_answered() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let first = ann.post("/v1/account/export").answer().await;
    assert_eq!((first.status.as_u16(), &first.body["state"]), (202, &json!("pending")));
    assert_eq!(first.header("location"), Some(format!("/v1/account/exports/{}", first.id()).as_str()));
    assert!(first.header("retry-after").is_some());
    assert_eq!(ann.post("/v1/account/export").answer().await.id(), first.id());
    let path = format!("/v1/account/exports/{}/file", first.id());
    ann.get(&path).answer().await.assert_problem(409, "conflict");
    make_exports(&world).await;

    let done = shown(&ann, &first).await;
    assert_eq!((&done.body["state"], done.header("retry-after")), (&json!("succeeded"), None));
    assert_eq!(done.body["file"], path);
    let zip = download(&world, &ann, &first).await;
    assert_eq!(done.body["size_bytes"], zip.len());
    assert_eq!(done.body["sha256"], hex::encode(Sha256::digest(&zip)));
    assert!(done.body["expires_at"].as_str() > done.body["finished_at"].as_str());

    // The next one replaces it.
    let next = ann.post("/v1/account/export").answer().await;
    assert_ne!(next.id(), first.id());
    make_exports(&world).await;
    shown(&ann, &first).await.assert_problem(404, "not-found");
    assert_eq!(shown(&ann, &next).await.body["state"], "succeeded");
}

#[tokio::test]
async fn an_export_is_its_athlete_s_alone() {
    let world = World::new().await;
    let (ann, bob) = (world.athlete("ann").await, world.athlete("bob").await);
    let asked = ann.post("/v1/account/export").answer().await;
    make_exports(&world).await;
    let location = asked.header("location").unwrap();
    for path in [location.to_owned(), format!("{location}/file")] {
        bob.get(&path).answer().await.assert_problem(404, "not-found");
        world.anonymous().get(&path).answer().await.assert_problem(401, "unauthenticated");
    }
    let unknown = format!("/v1/account/exports/{}", Uuid::now_v7());
    ann.get(&unknown).answer().await.assert_problem(404, "not-found");
    assert_ne!(bob.post("/v1/account/export").answer().await.id(), asked.id());
}

#[tokio::test]
async fn an_export_whose_worker_died_between_pieces_is_made_from_the_beginning() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    ann.logs_a_run().await;
    let asked = ann.post("/v1/account/export").answer().await;
    // A worker takes it, writes two pieces and is seen no more.
    let dead = jobs::take(&world.recordings).await.unwrap().unwrap();
    for number in [0, 1] {
        assert!(jobs::put(&world.recordings, &dead, number, b"half a zip").await.unwrap());
    }
    assert!(jobs::take(&world.recordings).await.unwrap().is_none(), "its lease holds");
    assert_eq!(shown(&ann, &asked).await.body["state"], "running");
    sqlx::query("UPDATE export_jobs SET lease_expires_at = clock_timestamp()")
        .execute(&world.recordings)
        .await
        .unwrap();

    make_exports(&world).await;
    let zip = download(&world, &ann, &asked).await;
    assert_eq!(document(&zip)["workouts"].as_array().unwrap().len(), 1);
    // Should it wake up after all, it changes nothing.
    assert!(!jobs::put(&world.recordings, &dead, 2, b"late").await.unwrap());
    assert!(!jobs::renew(&world.recordings, &dead).await.unwrap());
    assert_eq!(download(&world, &ann, &asked).await, zip);
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_leaves_the_job_to_the_next() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let asked = ann.post("/v1/account/export").answer().await;
    let stopped = CancellationToken::new();
    stopped.cancel();
    for _ in 0..=MAX_ATTEMPTS {
        assert!(work_once(&world.app.exports, &stopped).await.unwrap());
        assert_eq!(shown(&ann, &asked).await.body["state"], "pending");
    }
    let exports = world.app.exports.clone();
    let life = CancellationToken::new();
    let worker = tokio::spawn(worker::run(exports.clone(), Arc::clone(&exports.woken), life.clone()));
    eventually("the export is made", async || shown(&ann, &asked).await.body["state"] == "succeeded").await;
    life.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn a_job_that_ends_its_workers_again_and_again_is_given_up() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let asked = ann.post("/v1/account/export").answer().await;
    for _ in 0..MAX_ATTEMPTS {
        assert!(jobs::take(&world.recordings).await.unwrap().is_some());
        let expire = "UPDATE export_jobs SET lease_expires_at = clock_timestamp()";
        sqlx::query(expire).execute(&world.recordings).await.unwrap();
    }
    make_exports(&world).await;
    let failed = shown(&ann, &asked).await;
    assert_eq!((&failed.body["state"], &failed.body["file"]), (&json!("failed"), &Value::Null));
    assert!(failed.body["reason"].is_string() && failed.body["expires_at"].is_string(), "{}", failed.body);
    assert_ne!(ann.post("/v1/account/export").answer().await.id(), asked.id());
}

#[tokio::test]
async fn an_export_that_is_over_is_swept_with_its_zip() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    ann.post("/v1/workouts").json(&run()).await;
    let asked = ann.post("/v1/account/export").answer().await;
    make_exports(&world).await;
    assert_eq!(jobs::sweep(&world.recordings).await.unwrap(), 0);
    assert!(count(&world.recordings, "SELECT count(*) FROM export_chunks").await > 0);
    sqlx::query("UPDATE export_jobs SET expires_at = clock_timestamp()").execute(&world.recordings).await.unwrap();
    assert_eq!(jobs::sweep(&world.recordings).await.unwrap(), 1);
    assert_eq!(count(&world.recordings, "SELECT count(*) FROM export_chunks").await, 0);
    shown(&ann, &asked).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn who_does_not_read_a_download_keeps_nobody_else_waiting_and_begins_it_anew() {
    const PIECES: i32 = 6;
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let asked = ann.post("/v1/account/export").answer().await;
    // A zip longer than what is under way between two.
    let made =
        "UPDATE export_jobs SET state = 'succeeded', finished_at = clock_timestamp(), size_bytes = $1, epoch = 1";
    sqlx::query(made).bind(i64::from(PIECES) << 20).execute(&world.recordings).await.unwrap();
    let pieces = "INSERT INTO export_chunks (export_id, epoch, number, athlete_id, content)
                  SELECT export_id, 1, n, athlete_id, convert_to(repeat('x', 1 << 20), 'UTF8')
                  FROM export_jobs, generate_series(0, $1 - 1) AS n";
    sqlx::query(pieces).bind(PIECES).execute(&world.recordings).await.unwrap();
    let path = format!("{}/file", asked.header("location").unwrap());
    let authorization = format!("Bearer {}", ann.token());
    // More than there are turns in all, none of them read.
    let mut unread = Vec::new();
    for _ in 0..20 {
        let request = Request::get(&path).header(header::AUTHORIZATION, &authorization).body(Body::empty()).unwrap();
        let response = world.router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        unread.push(response.into_body());
    }
    let whole = download(&world, &ann, &asked).await;
    assert_eq!(whole.len(), 6 << 20);
    for body in unread {
        let rest = axum::body::to_bytes(body, usize::MAX).await;
        assert!(rest.map_or(0, |rest| rest.len()) < whole.len(), "an earlier one has broken off");
    }
}

#[tokio::test]
async fn who_only_asks_about_a_file_is_told_as_much_and_ends_no_download_of_theirs() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let asked = ann.post("/v1/account/export").answer().await;
    make_exports(&world).await;
    let whole = download(&world, &ann, &asked).await;
    let path = format!("{}/file", asked.header("location").unwrap());
    let under_way = world.app.exports.downloads.take(ann.athlete_id).await.unwrap();
    let head = ann.send("HEAD", &path).answer().await;
    assert_eq!((head.status.as_u16(), &head.body), (200, &Value::Null));
    assert_eq!(head.header("content-length"), Some(whole.len().to_string().as_str()));
    for (name, value) in [("content-type", "application/zip"), ("cache-control", "no-store")] {
        assert_eq!(head.header(name), Some(value));
    }
    assert!(head.header("content-disposition").is_some());
    assert_eq!(under_way.unless_ended(async { "still under way" }).await, Some("still under way"));
}

#[tokio::test]
async fn a_worker_that_has_lost_its_job_removes_nothing() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    exported(&world, &ann).await;
    ann.post("/v1/account/export").answer().await;
    let late = jobs::take(&world.recordings).await.unwrap().unwrap();
    sqlx::query("UPDATE export_jobs SET lease_expires_at = clock_timestamp()")
        .execute(&world.recordings)
        .await
        .unwrap();
    let next = jobs::take(&world.recordings).await.unwrap().unwrap();
    assert!(jobs::put(&world.recordings, &next, 0, b"a piece").await.unwrap());
    jobs::end(&world.recordings, &late, &worker::Then::Fail("too late".to_owned())).await.unwrap();
    let pieces = "SELECT count(*) FROM export_chunks WHERE epoch = 2 AND content = 'a piece'";
    assert_eq!(count(&world.recordings, pieces).await, 1, "what its successor has written");
    let zip = Written { bytes: 1, sha256: [0; 32] };
    assert!(!jobs::finish(&world.recordings, &late, zip).await.unwrap());
    let kept = "SELECT count(*) FROM export_jobs WHERE state = 'succeeded'";
    assert_eq!(count(&world.recordings, kept).await, 1, "what was finished before");
}
