//! Recordings: taken in whole, recognised again whatever their form, and safe to repeat after any crash.
use axum::{
    body::Body,
    http::{Request, header},
    response::Response,
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use command_api::imports::claims::{self, Candidate, Claim};
use fittrack_domain::{
    ids::AthleteId,
    recording::{self, Activity, Format, synthesize},
    sport::Sport,
};
use futures::{StreamExt, future::join_all, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tower::ServiceExt;
use uuid::Uuid;

use crate::support::{Answer, Client, World, count, eventually};

const FIT: &str = "application/vnd.ant.fit";
const GPX: &str = "application/gpx+xml";
const TCX: &str = "application/vnd.garmin.tcx+xml";

fn at(hour: i64) -> DateTime<Utc> {
    "2026-10-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hour)
}

fn ride() -> Activity {
    synthesize(7, Sport::Ride, at(6), 1_200.0)
}

fn file(activity: &Activity, format: Format) -> Bytes {
    recording::write(activity, format).unwrap().into()
}

/// The only workout of an import: id and status.
fn only(answer: &Answer) -> (Uuid, &str) {
    assert_eq!(answer.status, 202, "{}", answer.body);
    let workouts = answer.body["workouts"].as_array().unwrap();
    assert_eq!(workouts.len(), 1, "{}", answer.body);
    (workouts[0]["id"].as_str().unwrap().parse().unwrap(), workouts[0]["status"].as_str().unwrap())
}

#[tokio::test]
async fn a_recording_becomes_a_workout_with_its_samples_and_its_file() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let fit = file(&ride(), Format::Fit);
    let gear = Uuid::now_v7();
    let path = format!("/v1/workouts/imports?visibility=public&gear_id={gear}");
    let answer = ann.post(&path).header("content-type", FIT).body(fit.clone()).await;
    let (id, status) = only(&answer);
    assert_eq!((status, answer.body["workouts"][0]["version"].as_i64()), ("stored", Some(1)));
    assert_eq!(answer.header("location"), Some(format!("/v1/workouts/{id}").as_str()));
    assert_eq!(answer.header("consistency-token"), answer.body["consistency_token"].as_str());

    let payload = world.last_payload(id).await;
    let (details, reference) = (&payload["details"], &payload["recording"]);
    assert_eq!((&details["sport"], &details["visibility"]), (&json!("ride"), &json!("public")));
    assert_eq!((&details["gear_id"], &details["duration_s"]), (&json!(gear), &json!(1200.0)));
    assert_eq!((&reference["format"], &reference["leg"]), (&json!("fit"), &json!(0)));
    assert_eq!(reference["original_sha256"], hex::encode(Sha256::digest(&fit)));
    assert_eq!(reference.get("session_id"), None);

    assert_eq!(blob(&world, &reference["original_sha256"]).await, fit);
    let samples = recording::decode(&blob(&world, &reference["recording_sha256"]).await).unwrap();
    assert_eq!(json!(samples.len()), reference["samples"]);
    let parsed = recording::parse(&fit, Format::Fit).unwrap();
    assert_eq!(samples, parsed[0].recording);
}

#[tokio::test]
async fn an_import_that_says_no_visibility_has_the_default_of_its_athlete() {
    let world = World::new().await;
    let (ann, ben) = (world.athlete("ann").await, world.athlete("ben").await);
    let patch = json!({"default_visibility": "followers"});
    assert_eq!(ben.patch("/v1/me/profile").merge_patch(&patch).await.status, 202);
    for (athlete, default) in [(&ann, "private"), (&ben, "followers")] {
        let (id, _) = only(&athlete.imports(FIT, file(&ride(), Format::Fit)).await);
        assert_eq!(world.last_payload(id).await["details"]["visibility"], default);
    }
}

#[tokio::test]
async fn the_same_activity_again_is_a_duplicate_whatever_its_form() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let first = ann.imports(FIT, file(&ride(), Format::Fit)).await;
    let (id, _) = only(&first);
    for (media_type, format) in [(FIT, Format::Fit), (GPX, Format::Gpx), (TCX, Format::Tcx)] {
        let again = ann.imports(media_type, file(&ride(), format)).await;
        assert_eq!(only(&again), (id, "duplicate"), "{format}");
        assert_eq!(again.body["consistency_token"], first.body["consistency_token"]);
        assert!(!again.is_replayed());
    }
    // A second device: started 20 s later, its distance 2 % longer.
    let mut other = synthesize(8, Sport::Ride, at(6) + TimeDelta::seconds(20), 1_180.0);
    other.distance_m = ride().distance_m.map(|metres| metres * 1.02);
    assert_eq!(only(&ann.imports(FIT, file(&other, Format::Fit)).await), (id, "duplicate"));
    assert_eq!(world.workouts().await, 1);
    assert_eq!(count(&world.recordings, "SELECT count(*) FROM blobs").await, 2);

    let (later, status) = {
        let answer = ann.imports(FIT, file(&synthesize(7, Sport::Ride, at(9), 1_200.0), Format::Fit)).await;
        let (later, status) = only(&answer);
        (later, status.to_owned())
    };
    assert_eq!(status, "stored");
    assert_ne!(later, id);
    // Somebody else's same ride is theirs.
    let bob = world.athlete("bob").await;
    let (bobs, status) = {
        let answer = bob.imports(FIT, file(&ride(), Format::Fit)).await;
        let (bobs, status) = only(&answer);
        (bobs, status.to_owned())
    };
    assert_eq!(status, "stored");
    assert_ne!(bobs, id);
}

#[tokio::test]
async fn a_key_makes_the_answer_repeatable() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let import = |file: Bytes| {
        let sending = ann.post("/v1/workouts/imports").header("content-type", TCX).header("idempotency-key", "k");
        sending.body(file)
    };
    let first = import(file(&ride(), Format::Tcx)).await;
    ann.edits(only(&first).0, "*", &json!({"title": "meanwhile"})).await;
    let again = import(file(&ride(), Format::Tcx)).await;
    assert_eq!(first.body, again.body);
    assert!(!first.is_replayed() && again.is_replayed());
    let other = synthesize(9, Sport::Run, at(12), 900.0);
    import(file(&other, Format::Tcx)).await.assert_problem(422, "idempotency-key-reused");
    assert_eq!(world.workouts().await, 1);
}

#[tokio::test]
async fn a_key_whose_first_activity_was_there_already_is_answered_the_same() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let legs = [synthesize(1, Sport::Run, at(6), 600.0), synthesize(2, Sport::Ride, at(8), 900.0)];
    let (known, _) = only(&ann.imports(FIT, file(&legs[0], Format::Fit)).await);
    let import = async |file: Bytes| {
        let sending = ann.post("/v1/workouts/imports").header("content-type", TCX).header("idempotency-key", "k");
        sending.body(file).await
    };
    let joined = joined_tcx(&[&legs[0], &legs[1]]);
    let first = import(joined.clone()).await;
    let statuses: Vec<&Value> =
        first.body["workouts"].as_array().unwrap().iter().map(|workout| &workout["status"]).collect();
    assert_eq!(statuses, ["duplicate", "stored"], "{}", first.body);
    let again = import(joined.clone()).await;
    assert_eq!((&again.body, again.is_replayed()), (&first.body, true));
    import(file(&legs[0], Format::Tcx)).await.assert_problem(422, "idempotency-key-reused");
    // Also when what was there is no longer.
    assert_eq!(ann.delete(&format!("/v1/workouts/{known}")).answer().await.status, 202);
    assert_eq!(import(joined).await.body, first.body);
    assert_eq!(world.workouts().await, 2);
    assert_eq!(count(&world.store, "SELECT count(*) FROM import_claims").await, 1);
}

#[tokio::test]
async fn a_form_with_one_file_is_as_good_as_the_file() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let gpx = file(&ride(), Format::Gpx);
    let (id, _) = only(&ann.imports(GPX, gpx.clone()).await);
    let part = |media_type: &str, content: &[u8]| {
        let head = format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"ride.gpx\"\r\nContent-Type: {media_type}\r\n\r\n"
        );
        [head.as_bytes(), content, b"\r\n"].concat()
    };
    let form = |parts: &[Vec<u8>]| Bytes::from([&parts.concat()[..], b"--xyz--\r\n"].concat());
    let multipart = "multipart/form-data; boundary=xyz";
    for media_type in [GPX, "application/octet-stream", "text/xml"] {
        let answer = ann.imports(multipart, form(&[part(media_type, &gpx)])).await;
        assert_eq!(only(&answer), (id, "duplicate"), "{media_type}");
    }
    let two = form(&[part(GPX, &gpx), part(GPX, &gpx)]);
    ann.imports(multipart, two).await.assert_problem(400, "bad-request");
    ann.imports(multipart, form(&[])).await.assert_problem(400, "bad-request");
    ann.imports("multipart/form-data", gpx.clone()).await.assert_problem(400, "bad-request");
    ann.imports(multipart, part(GPX, &gpx)).await.assert_problem(400, "bad-request");
    let zip = form(&[part("application/zip", b"PK\x03\x04")]);
    ann.imports(multipart, zip).await.assert_problem(422, "file-refused");
}

/// An upload of which only this much ever comes.
fn unfinished(world: &World, athlete: &Client, media_type: &str, so_far: Vec<u8>) -> JoinHandle<Response> {
    let so_far = stream::iter([Ok::<_, std::io::Error>(so_far)]);
    let request = Request::post("/v1/workouts/imports")
        .header(header::AUTHORIZATION, format!("Bearer {}", athlete.token()))
        .header(header::CONTENT_TYPE, media_type)
        .body(Body::from_stream(so_far.chain(stream::pending())))
        .unwrap();
    let router = world.router();
    tokio::spawn(async move { router.oneshot(request).await.unwrap() })
}

#[tokio::test]
async fn an_athlete_whose_files_never_end_keeps_nobody_else_waiting() {
    let world = World::new().await;
    let (ann, bob) = (world.athlete("ann").await, world.athlete("bob").await);
    // More than there are turns in all.
    let unfinished: Vec<_> = (0..20).map(|_| unfinished(&world, &ann, GPX, b"<gpx>".to_vec())).collect();
    let refused = || unfinished.iter().filter(|one| one.is_finished()).count();
    eventually("all but two are refused", async || refused() == unfinished.len() - 2).await;
    only(&bob.imports(FIT, file(&ride(), Format::Fit)).await);
    for one in unfinished {
        one.abort();
        if let Ok(response) = one.await {
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        }
    }
    only(&ann.imports(FIT, file(&ride(), Format::Fit)).await);
}

#[tokio::test]
async fn a_form_that_falls_silent_around_its_file_is_not_waited_for() {
    let world = World::new().await;
    let (ann, multipart) = (world.athlete("ann").await, "multipart/form-data; boundary=xyz");
    let head = b"--xyz\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n".as_slice();
    let whole = [head, &file(&ride(), Format::Gpx), b"\r\n--xyz"].concat();
    let silent = [b"--xyz\r\nContent-Disposition: ".to_vec(), whole];
    let silent = silent.map(|so_far| unfinished(&world, &ann, multipart, so_far));
    eventually("both are given up", async || silent.iter().all(JoinHandle::is_finished)).await;
    for one in silent {
        assert_eq!(one.await.unwrap().status(), 400);
    }
    assert_eq!(world.workouts().await, 0);
}

#[tokio::test]
async fn bad_files_are_refused_with_the_reason() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let fit = file(&ride(), Format::Fit);
    let mut damaged = fit.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    for (media_type, file, status, slug) in [
        (FIT, Bytes::new(), 422, "file-refused"),
        (FIT, Bytes::from(damaged), 422, "file-refused"),
        (FIT, fit.slice(..fit.len() - 10), 422, "file-refused"),
        (GPX, fit.clone(), 422, "file-refused"),
        (GPX, Bytes::from_static(b"<gpx></gpx>"), 422, "file-refused"),
        (GPX, Bytes::from_static(b"<!DOCTYPE x [<!ENTITY a \"b\">]><gpx>&a;</gpx>"), 422, "file-refused"),
        ("application/octet-stream", Bytes::from_static(b"hello"), 422, "file-refused"),
        ("application/json", Bytes::from_static(b"{}"), 415, "unsupported-media-type"),
        ("application/zip", Bytes::from_static(b"PK\x03\x04"), 422, "file-refused"),
        (FIT, Bytes::from(vec![0; 25 * 1024 * 1024 + 1]), 413, "payload-too-large"),
    ] {
        let answer = ann.imports(media_type, file).await;
        answer.assert_problem(status, slug);
        assert!(slug != "file-refused" || answer.body["errors"][0]["code"].is_string(), "{}", answer.body);
    }
    for query in ["visibility=all", "gear_id=shoes", "colour=red"] {
        let path = format!("/v1/workouts/imports?{query}");
        ann.post(&path).header("content-type", FIT).body(fit.clone()).await.assert_problem(400, "bad-request");
    }
    let tomorrow = synthesize(1, Sport::Run, fittrack_runtime::clock::now() + TimeDelta::hours(24), 600.0);
    ann.imports(FIT, file(&tomorrow, Format::Fit)).await.assert_problem(422, "file-refused");
    assert_eq!(world.workouts().await, 0);
    assert_eq!(count(&world.recordings, "SELECT count(*) FROM blobs").await, 0);
    assert_eq!(count(&world.store, "SELECT count(*) FROM import_claims").await, 0);
}

#[tokio::test]
async fn a_deleted_workout_s_recording_can_be_imported_again() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let fit = file(&ride(), Format::Fit);
    let (first, _) = only(&ann.imports(FIT, fit.clone()).await);
    assert_eq!(ann.delete(&format!("/v1/workouts/{first}")).answer().await.status, 202);
    assert_eq!(count(&world.store, "SELECT count(*) FROM import_claims").await, 0);
    let answer = ann.imports(FIT, fit.clone()).await;
    let (second, status) = only(&answer);
    assert_ne!(first, second);
    assert_eq!(status, "stored");
    // A claim that a crash left behind its deleted workout is replaced.
    sqlx::query("UPDATE import_claims SET workout_id = $1").bind(first).execute(&world.store).await.unwrap();
    let answer = ann.imports(FIT, fit).await;
    let (third, status) = only(&answer);
    assert!(third != first && third != second);
    assert_eq!(status, "stored");
}

#[tokio::test]
async fn an_import_left_after_its_claim_goes_on_under_the_same_id() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let (fit, gpx) = (file(&ride(), Format::Fit), file(&ride(), Format::Gpx));
    let claimed = left_after_the_claim(&world, &ann, &fit).await;
    // Another file of the activity waits while the first may be under way, and goes on when it cannot be any more.
    ann.imports(GPX, gpx.clone()).await.assert_problem(409, "conflict");
    let aged = "UPDATE import_claims SET claimed_at = claimed_at - interval '10 minutes'";
    sqlx::query(aged).execute(&world.store).await.unwrap();
    assert_eq!(only(&ann.imports(GPX, gpx).await), (claimed, "stored"));
    assert_eq!(only(&ann.imports(FIT, fit.clone()).await), (claimed, "duplicate"));
    let names_the_stored_file = "SELECT count(*) FROM import_claims WHERE original_sha256 = $1";
    let named: i64 = sqlx::query_scalar(names_the_stored_file)
        .bind(hex::decode(world.last_payload(claimed).await["recording"]["original_sha256"].as_str().unwrap()).unwrap())
        .fetch_one(&world.store)
        .await
        .unwrap();
    assert_eq!(named, 1);

    let bob = world.athlete("bob").await;
    let claimed = left_after_the_claim(&world, &bob, &fit).await;
    assert_eq!(only(&bob.imports(FIT, fit).await), (claimed, "stored"));
}

#[tokio::test]
async fn many_copies_of_a_file_make_one_workout() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let fit = file(&ride(), Format::Fit);
    // On a machine with much else to do the last may have to ask for their turn again.
    let imports = async || loop {
        let answer = ann.imports(FIT, fit.clone()).await;
        if answer.status != 429 {
            return answer;
        }
    };
    let answers = join_all((0..12).map(|_| imports())).await;
    let outcomes: Vec<(Uuid, &str)> = answers.iter().map(only).collect();
    assert!(outcomes.iter().all(|(id, _)| *id == outcomes[0].0), "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|(_, status)| *status == "stored").count(), 1, "{outcomes:?}");
    assert_eq!(world.workouts().await, 1);
    world.assert_log_is_whole().await;
}

#[tokio::test]
async fn a_file_of_several_activities_is_one_session() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let legs = [synthesize(1, Sport::Run, at(6), 600.0), synthesize(2, Sport::Ride, at(8), 900.0)];
    let joined = joined_tcx(&[&legs[0], &legs[1]]);
    let answer = ann.imports(TCX, joined.clone()).await;
    let ids = stored_ids(&answer, &["stored", "stored"]);
    let (one, two) = (world.last_payload(ids[0]).await, world.last_payload(ids[1]).await);
    assert_eq!((&one["recording"]["leg"], &two["recording"]["leg"]), (&json!(0), &json!(1)));
    assert!(one["recording"]["session_id"].is_string());
    assert_eq!(one["recording"]["session_id"], two["recording"]["session_id"]);
    assert_eq!(stored_ids(&ann.imports(TCX, joined).await, &["duplicate", "duplicate"]), ids);
    assert_eq!(count(&world.recordings, "SELECT count(*) FROM blobs").await, 3);
    // One of them alone is known, too.
    assert_eq!(only(&ann.imports(FIT, file(&legs[1], Format::Fit)).await), (ids[1], "duplicate"));
}

#[tokio::test]
async fn an_activity_that_a_file_holds_twice_is_stored_once() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let ride = ride();
    let twice = joined_tcx(&[&ride, &ride]);
    let ids = stored_ids(&ann.imports(TCX, twice.clone()).await, &["stored", "duplicate"]);
    assert_eq!(ids[0], ids[1]);
    stored_ids(&ann.imports(TCX, twice).await, &["duplicate", "duplicate"]);
    assert_eq!(world.workouts().await, 1);
}

fn stored_ids(answer: &Answer, statuses: &[&str]) -> Vec<Uuid> {
    assert_eq!(answer.status, 202, "{}", answer.body);
    let workouts = answer.body["workouts"].as_array().unwrap();
    let got: Vec<&str> = workouts.iter().map(|workout| workout["status"].as_str().unwrap()).collect();
    assert_eq!(got, statuses, "{}", answer.body);
    workouts.iter().map(|workout| workout["id"].as_str().unwrap().parse().unwrap()).collect()
}

/// One TCX file with the activities of several.
fn joined_tcx(activities: &[&Activity]) -> Bytes {
    let files: Vec<String> =
        activities.iter().map(|activity| String::from_utf8(file(activity, Format::Tcx).to_vec()).unwrap()).collect();
    let inner: String = files
        .iter()
        .map(|text| {
            let from = text.find("<Activities>").unwrap() + "<Activities>".len();
            &text[from..text.find("</Activities>").unwrap()]
        })
        .collect();
    let (head, tail) = (files[0].find("<Activities>").unwrap(), files[0].find("</Activities>").unwrap());
    format!("{}<Activities>{inner}{}", &files[0][..head], &files[0][tail..]).into()
}

/// What a process that died between its claim and its event leaves.
async fn left_after_the_claim(world: &World, client: &Client, fit: &[u8]) -> Uuid {
    let activity = &recording::parse(fit, Format::Fit).unwrap()[0];
    #[expect(clippy::cast_possible_truncation, reason = "a short ride")]
    let thousandths = |value: f64| (value * 1000.0).round() as i64;
    let candidate = Candidate {
        leg: 0,
        started_at: activity.started_at,
        duration_ms: thousandths(activity.duration_s),
        distance_mm: activity.distance_m.map(thousandths),
        original_sha256: Sha256::digest(fit).into(),
        recording_sha256: Sha256::digest(recording::encode(&activity.recording)).into(),
    };
    let claims = claims::claim(&world.store, AthleteId(client.athlete_id), &[candidate]).await.unwrap();
    let Claim::Proceed(workout_id) = claims[0] else { panic!("{claims:?}") };
    workout_id.0
}

async fn blob(world: &World, sha256: &Value) -> Bytes {
    let hash = hex::decode(sha256.as_str().unwrap()).unwrap();
    let content: Vec<u8> = sqlx::query_scalar("SELECT content FROM blobs WHERE sha256 = $1")
        .bind(hash)
        .fetch_one(&world.recordings)
        .await
        .unwrap();
    content.into()
}
