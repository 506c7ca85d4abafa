//! Zips: an export taken in by a new account, any zip of activity files, and what is refused before a byte of it is believed.
use std::io::{Cursor, Write};

use axum::{
    body::Body,
    http::{Request, header},
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use command_api::jobs::worker::work_once;
use fittrack_domain::{
    recording::{Format, synthesize, write},
    sport::Sport,
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    exports::{document, exported},
    support::{Answer, Client, World, count, eventually, run},
};

const ZIP: &str = "application/zip";

fn at(hour: i64) -> DateTime<Utc> {
    "2026-10-02T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hour)
}

fn ride(hour: i64, format: Format) -> Vec<u8> {
    write(&synthesize(7, Sport::Ride, at(hour), 600.0), format).unwrap()
}

fn zip_of(files: &[(&str, &[u8])]) -> Bytes {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner().into()
}

async fn work(world: &World) {
    while work_once(&world.app.zip_imports, &CancellationToken::new()).await.unwrap() {}
}

/// Sends a zip and has it worked through: the import's id.
async fn imports(world: &World, athlete: &Client, zip: &Bytes) -> Uuid {
    let answer = athlete.imports(ZIP, zip.clone()).await;
    assert_eq!((answer.status.as_u16(), &answer.body["state"]), (202, &json!("pending")), "{}", answer.body);
    assert_eq!(answer.header("location"), Some(format!("/v1/imports/{}", answer.id()).as_str()));
    work(world).await;
    answer.id()
}

/// State and reason of an import.
async fn state(world: &World, import: Uuid) -> (String, Option<String>) {
    sqlx::query_as("SELECT state, reason FROM import_jobs WHERE import_id = $1")
        .bind(import)
        .fetch_one(&world.recordings)
        .await
        .unwrap()
}

/// Name, status and reason of each file.
async fn files(world: &World, import: Uuid) -> Vec<(String, String, Option<String>)> {
    sqlx::query_as("SELECT name, status, reason FROM import_files WHERE import_id = $1 ORDER BY number")
        .bind(import)
        .fetch_all(&world.recordings)
        .await
        .unwrap()
}

async fn statuses(world: &World, import: Uuid) -> Vec<String> {
    files(world, import).await.into_iter().map(|(_, status, _)| status).collect()
}

/// An athlete with a bit of everything.
async fn with_a_past(world: &World, name: &str) -> Client {
    let ann = world.athlete(name).await;
    let strength = json!({
        "sport": "strength", "started_at": "2026-10-01T22:30:00Z", "duration_s": 1800.5, "notes": "a\nb", "visibility": "public",
        "sets": [{"exercise": "squat", "repetitions": 5, "mass_kg": 80.5, "kind": "warm_up", "duration_s": 12.25}]
    });
    // One of the workouts is counted in the zone of before the move.
    ann.post("/v1/workouts").json(&strength).await;
    let moved = json!({"time_zone": "Pacific/Kiritimati", "birth_year": 1990, "bio": "Runs.", "units": "imperial", "sex": "female"});
    ann.patch("/v1/me/profile").merge_patch(&moved).await;
    let (edited, deleted) = (ann.logs_a_run().await, ann.logs_a_run().await);
    ann.edits(edited, "*", &json!({"title": "Canal", "distance_m": 4999.5, "energy_kcal": 300})).await;
    ann.delete(&format!("/v1/workouts/{deleted}")).header("if-match", "*").answer().await;
    for (hour, format) in [(4, Format::Fit), (8, Format::Gpx), (12, Format::Tcx)] {
        let answer = ann.imports(format.content_type(), ride(hour, format)).await;
        let id = answer.body["workouts"][0]["id"].as_str().unwrap().parse().unwrap();
        if format == Format::Gpx {
            let change = json!({"started_at": "2026-09-30T08:00:00Z", "distance_m": 1234.5, "visibility": "public", "title": "Moved"});
            ann.edits(id, "*", &change).await;
        }
    }
    for (kind, value) in [("mass_kg", 72.0), ("mass_kg", 71.25), ("max_heart_rate_bpm", 190.0)] {
        ann.post("/v1/me/measurements").json(&json!({"kind": kind, "value": value, "measured_on": "2026-10-01"})).await;
    }
    ann
}

/// A document without what differs from account to account.
fn comparable(mut document: Value) -> Value {
    let removed = document.as_object_mut().unwrap().remove("exported_at");
    assert!(removed.is_some());
    for member in ["id", "display_name", "email"] {
        document["athlete"].as_object_mut().unwrap().remove(member);
    }
    for workout in document["workouts"].as_array_mut().unwrap() {
        workout.as_object_mut().unwrap().remove("id");
        if let Some(recording) = workout.get_mut("recording").and_then(Value::as_object_mut) {
            recording.remove("original");
            recording.remove("samples");
        }
    }
    document
}

#[tokio::test]
async fn an_export_is_taken_in_by_a_new_account_with_everything_as_it_was() {
    let world = World::new().await;
    let ann = with_a_past(&world, "ann").await;
    let zip = exported(&world, &ann).await;
    let bob = world.athlete("bob").await;
    let import = imports(&world, &bob, &zip).await;
    assert_eq!(state(&world, import).await, ("succeeded".to_owned(), None), "{:?}", files(&world, import).await);
    assert_eq!(statuses(&world, import).await, vec!["stored"; 8], "{:?}", files(&world, import).await);
    assert_eq!(count(&world.recordings, "SELECT count(*) FROM import_chunks").await, 0);

    let again = exported(&world, &bob).await;
    assert_eq!(comparable(document(&again)), comparable(document(&zip)));
    let athlete = &document(&again)["athlete"];
    assert_eq!(
        (&athlete["display_name"], &athlete["email"]),
        (&serde_json::json!("bob"), &serde_json::json!("bob@example.org"))
    );
    world.assert_log_is_whole().await;
}

#[tokio::test]
async fn the_same_export_again_stores_nothing_wherever_it_came_from() {
    let world = World::new().await;
    let ann = with_a_past(&world, "ann").await;
    let zip = exported(&world, &ann).await;
    let bob = world.athlete("bob").await;
    imports(&world, &bob, &zip).await;
    let events = || count(&world.store, "SELECT count(*) FROM events");
    let before = events().await;
    for athlete in [&ann, &bob] {
        let import = imports(&world, athlete, &zip).await;
        assert_eq!(statuses(&world, import).await, vec!["duplicate"; 8], "{:?}", files(&world, import).await);
    }
    assert_eq!(events().await, before);

    // What was corrected or deleted since: the first stays as it is, the second comes back.
    bob.post("/v1/me/measurements").json(&json!({"kind": "mass_kg", "value": 70, "measured_on": "2026-10-01"})).await;
    let ids: Vec<Uuid> = document(&exported(&world, &bob).await)["workouts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|workout| workout["id"].as_str().unwrap().parse().unwrap())
        .collect();
    for id in &ids {
        bob.delete(&format!("/v1/workouts/{id}")).header("if-match", "*").answer().await;
    }
    let import = imports(&world, &bob, &zip).await;
    let stored = statuses(&world, import).await.iter().filter(|status| *status == "stored").count();
    assert_eq!(stored, ids.len(), "{:?}", files(&world, import).await);
    let back = document(&exported(&world, &bob).await);
    assert_eq!(back["measurements"][0]["value"], 70.0);
    assert_eq!(comparable(back)["workouts"], comparable(document(&zip))["workouts"]);
}

#[tokio::test]
async fn an_import_whose_worker_died_goes_on_and_stores_nothing_twice() {
    let world = World::new().await;
    let ann = with_a_past(&world, "ann").await;
    let zip = exported(&world, &ann).await;
    let bob = world.athlete("bob").await;
    bob.imports(ZIP, zip.clone()).await;
    let owner = &world.recordings;
    sqlx::query("CREATE TABLE kept AS SELECT * FROM import_chunks").execute(owner).await.unwrap();
    work(&world).await;
    let events = || count(&world.store, "SELECT count(*) FROM events");
    let before = events().await;
    // As if the worker had died at any point: its commands are stored, the rest is not written down.
    for done in [0, 1, 4, 7] {
        for sql in [
            "INSERT INTO import_chunks SELECT * FROM kept".to_owned(),
            format!("DELETE FROM import_files WHERE number >= {done}"),
            "UPDATE import_jobs SET state = 'running', attempts = 0, lease_expires_at = clock_timestamp()".to_owned(),
        ] {
            sqlx::query(&sql).execute(owner).await.unwrap();
        }
        work(&world).await;
        let import: Uuid = sqlx::query_scalar("SELECT import_id FROM import_jobs").fetch_one(owner).await.unwrap();
        assert_eq!(statuses(&world, import).await, vec!["stored"; 8], "{done}: {:?}", files(&world, import).await);
        assert_eq!(events().await, before, "{done}");
    }
}

#[tokio::test]
async fn a_zip_of_files_is_taken_in_file_by_file() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&ride(12, Format::Gpx)).unwrap();
    let gzip = gzip.finish().unwrap();
    let (fit, tcx) = (ride(4, Format::Fit), ride(4, Format::Tcx));
    let (nested, damaged) = (zip_of(&[("a.fit", &fit)]), &fit[..fit.len() / 2]);
    let zip = zip_of(&[
        ("../../etc/passwd.fit", &fit),
        ("activities/same ride.tcx", &tcx),
        ("activities/1.gpx.gz", &gzip),
        ("more.zip", &nested),
        ("notes.txt", b"hello"),
        ("half.fit", damaged),
        ("a\u{1b}[31m.gpx", &ride(20, Format::Gpx)),
    ]);
    let import = imports(&world, &ann, &zip).await;
    assert_eq!(state(&world, import).await.0, "succeeded");
    let files = files(&world, import).await;
    let found: Vec<(&str, &str)> = files.iter().map(|(name, status, _)| (name.as_str(), status.as_str())).collect();
    let expected = [
        ("../../etc/passwd.fit", "stored"),
        ("activities/same ride.tcx", "duplicate"),
        ("activities/1.gpx.gz", "stored"),
        ("more.zip", "refused"),
        ("notes.txt", "refused"),
        ("half.fit", "refused"),
        ("a\u{fffd}[31m.gpx", "stored"),
    ];
    assert_eq!(found, expected, "{files:?}");
    let reasons: Vec<&str> = files.iter().filter_map(|(_, _, reason)| reason.as_deref()).collect();
    assert!(reasons[0].contains("archive") && reasons[1].contains("neither like a FIT"), "{reasons:?}");
    assert_eq!(world.workouts().await, 3);
}

#[tokio::test]
async fn what_is_said_of_a_zip_is_said_of_each_of_its_files() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let gear = Uuid::now_v7();
    let zip = zip_of(&[("a.fit", &ride(4, Format::Fit)), ("b.fit", &ride(8, Format::Fit))]);
    let path = format!("/v1/workouts/imports?visibility=public&gear_id={gear}");
    let answer = ann.post(&path).header("content-type", "application/octet-stream").body(zip).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    work(&world).await;
    let as_said = "SELECT count(*) FROM events WHERE payload->'details'->>'visibility' = 'public' AND payload->'details' ? 'gear_id'";
    assert_eq!(count(&world.store, &as_said.replace("->'details' ?", "::jsonb->'details' ?")).await, 2);
}

fn slug_and_code(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.body["errors"][0]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn what_is_no_zip_or_would_do_harm_is_refused_at_once_and_leaves_nothing() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let good = zip_of(&[("a.fit", &ride(4, Format::Fit))]);
    // 150 MiB of nothing, packed to 150 kB.
    let bomb = zip_of(&[("a.gpx", &vec![b' '; 150 << 20])]);
    assert!(bomb.len() < 1 << 20);
    let mut lying = good.to_vec();
    // The directory says the file is 3 GiB long.
    let directory = lying.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    lying[directory + 24..directory + 28].copy_from_slice(&(3_u32 << 30).to_le_bytes());
    for (zip, code) in [
        (Bytes::from_static(b"no zip at all"), "damaged_archive"),
        (good.slice(..good.len() - 30), "damaged_archive"),
        (zip_of(&[]), "empty_archive"),
        (bomb, "unpacks_too_long"),
        (lying.into(), "unpacks_too_long"),
    ] {
        let refused = ann.imports(ZIP, zip).await;
        refused.assert_problem(422, "file-refused");
        assert_eq!(slug_and_code(&refused), (422, code.to_owned()), "{}", refused.body);
    }
    ann.imports(ZIP, Bytes::new()).await.assert_problem(422, "file-refused");
    assert_eq!(count(&world.recordings, "SELECT count(*) FROM import_jobs").await, 0);
    assert_eq!(count(&world.recordings, "SELECT count(*) FROM import_chunks").await, 0);
    assert_eq!(statuses(&world, imports(&world, &ann, &good).await).await, ["stored"]);
}

#[tokio::test]
async fn an_export_that_was_tampered_with_is_refused_part_by_part_or_as_a_whole() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    ann.imports("application/vnd.ant.fit", ride(4, Format::Fit)).await;
    ann.post("/v1/workouts").json(&run()).await;
    let mut document = document(&exported(&world, &ann).await);
    document["workouts"][0]["recording"]["original"] = json!("originals/../../x");
    document["workouts"][1]["distance_m"] = json!(-5);
    document["workouts"].as_array_mut().unwrap().push(json!("a workout"));
    document["measurements"] = json!([{"kind": "mass_kg", "measured_on": "2999-01-01", "value": 71}]);
    document["athlete"]["height_cm"] = json!(9000);
    let bob = world.athlete("bob").await;
    let import = imports(&world, &bob, &zip_of(&[("export.json", document.to_string().as_bytes())])).await;
    assert_eq!(statuses(&world, import).await, vec!["refused"; 5]);
    let reasons: Vec<String> = files(&world, import).await.into_iter().filter_map(|(_, _, reason)| reason).collect();
    for word in ["height_cm", "measured_on", "no such file", "distance_m", "invalid type"] {
        assert!(reasons.iter().any(|reason| reason.contains(word)), "{word}: {reasons:?}");
    }

    document["format_version"] = json!(2);
    for (json, why) in [(document.to_string(), "format_version is 2"), ("{".to_owned(), "EOF")] {
        let import = imports(&world, &bob, &zip_of(&[("export.json", json.as_bytes())])).await;
        let (state, reason) = state(&world, import).await;
        assert!(state == "failed" && reason.as_ref().is_some_and(|reason| reason.contains(why)), "{state} {reason:?}");
        assert_eq!(files(&world, import).await, []);
    }
}

#[tokio::test]
async fn an_athlete_has_one_zip_under_way_and_a_key_makes_its_answer_repeatable() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let zip = zip_of(&[("a.fit", &ride(4, Format::Fit))]);
    let send = |zip: Bytes| {
        let sending = ann.post("/v1/workouts/imports").header("content-type", ZIP).header("idempotency-key", "k");
        sending.body(zip)
    };
    let first = send(zip.clone()).await;
    assert!(!first.is_replayed());
    ann.imports(ZIP, zip.clone()).await.assert_problem(409, "conflict");
    let again = send(zip.clone()).await;
    assert_eq!((again.id(), again.is_replayed()), (first.id(), true));
    send(zip_of(&[("b.fit", &ride(8, Format::Fit))])).await.assert_problem(422, "idempotency-key-reused");
    // Somebody else's are not in the way.
    assert_eq!(world.athlete("bob").await.imports(ZIP, zip.clone()).await.status, 202);
    work(&world).await;
    assert_eq!(send(zip.clone()).await.id(), first.id());
    assert_eq!(statuses(&world, imports(&world, &ann, &zip).await).await, ["duplicate"]);
}

#[tokio::test]
async fn a_zip_in_a_form_is_as_good_as_the_zip() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let zip = zip_of(&[("a.fit", &ride(4, Format::Fit))]);
    let part = |media_type: &str| {
        let head = format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\nContent-Type: {media_type}\r\n\r\n"
        );
        [head.as_bytes(), &zip, b"\r\n"].concat()
    };
    let multipart = "multipart/form-data; boundary=xyz";
    let two = [part(ZIP), part(ZIP), b"--xyz--\r\n".to_vec()].concat();
    ann.imports(multipart, two).await.assert_problem(400, "bad-request");
    for (media_type, status) in [("application/x-zip-compressed", "stored"), ("application/json", "duplicate")] {
        let answer = ann.imports(multipart, [part(media_type), b"--xyz--\r\n".to_vec()].concat()).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        work(&world).await;
        assert_eq!(statuses(&world, answer.id()).await, [status], "{media_type}");
    }
}

#[tokio::test]
async fn an_athlete_who_never_finishes_sending_keeps_nobody_else_waiting() {
    let world = World::new().await;
    let (ann, bob) = (world.athlete("ann").await, world.athlete("bob").await);
    let authorization = format!("Bearer {}", ann.token());
    // More than there are turns in all, of one athlete, each with the first bytes of a zip and no more.
    let mut unfinished = Vec::new();
    for _ in 0..12 {
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"PK\x03\x04"))]);
        let request = Request::post("/v1/workouts/imports")
            .header(header::AUTHORIZATION, &authorization)
            .header(header::CONTENT_TYPE, ZIP)
            .body(Body::from_stream(first.chain(stream::pending())))
            .unwrap();
        unfinished.push(tokio::spawn(world.router().oneshot(request)));
    }
    eventually("all but one of them have ended", async || {
        unfinished.iter().filter(|one| one.is_finished()).count() == unfinished.len() - 1
    })
    .await;
    imports(&world, &bob, &zip_of(&[("ride.fit", &ride(6, Format::Fit))])).await;
    for one in unfinished {
        one.abort();
        if let Ok(response) = one.await {
            assert_eq!(response.unwrap().status(), 409);
        }
    }
}
