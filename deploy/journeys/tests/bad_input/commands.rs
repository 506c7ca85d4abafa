//! Bad commands, status by status.

use bytes::Bytes;
use fittrack_journeys::events::Log;
use fittrack_journeys::{Answer, Api, Athlete, Call, TestStack, bodies, problem};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const RUN: &str = "2025-01-05T06:00:00Z";

fn log(changes: Value) -> Call {
    Call::post("/v1/workouts").json(&bodies::with(bodies::run(RUN), changes))
}

/// Each call is refused with this status, and none leaves anything in the log.
async fn all_refused(stack: &TestStack, athlete: &Athlete, status: u16, calls: Vec<Call>) {
    let before = Log::read(stack).await.unwrap().rows.iter().filter(|row| row.owner_id == athlete.id).count();
    for call in calls {
        let answer = athlete.send(&call).await.unwrap();
        problem::check(&answer, status).unwrap_or_else(|wrong| panic!("{call:?}: {wrong:?}"));
        assert_eq!(answer.json()["instance"], call.path.split('?').next().unwrap(), "{answer}");
    }
    let after = Log::read(stack).await.unwrap().rows.iter().filter(|row| row.owner_id == athlete.id).count();
    assert_eq!(before, after, "a refused command left something");
}

async fn stage(name: &str) -> (TestStack, Api, Athlete) {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let athlete = api.register(name).await.unwrap();
    (stack, api, athlete)
}

async fn refused(athlete: &Athlete, call: &Call, status: u16) -> Answer {
    let answer = athlete.send(call).await.unwrap();
    problem::check(&answer, status).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_400() {
    let (stack, _, athlete) = stage("Four Hundred").await;
    let patch = || Call::patch(format!("/v1/workouts/{}", Uuid::now_v7())).merge_patch(&json!({"title": "x"}));
    let calls = vec![
        Call::post("/v1/workouts").text("application/json", "{\"sport\": "),
        Call::post("/v1/workouts").text("application/json", ""),
        Call::post("/v1/workouts").file("application/json", Bytes::from_static(b"\xff\xfe{}")),
        log(json!({})).key("x".repeat(256)),
        log(json!({})).key("two words"),
        log(json!({})).key("\"unfinished"),
        patch().header("if-match", "v1"),
        patch().header("if-match", "\"v1"),
        Call::post("/v1/workouts/imports?visibility=everybody").text("application/gpx+xml", "<gpx/>"),
        Call::post("/v1/workouts/imports?colour=red").text("application/gpx+xml", "<gpx/>"),
        Call::post("/v1/workouts/imports?gear_id=shoes").text("application/gpx+xml", "<gpx/>"),
        Call::post("/v1/workouts/imports").text("multipart/form-data; boundary=b", "no form"),
    ];
    all_refused(&stack, &athlete, 400, calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_422_and_every_field_is_pointed_at() {
    let (stack, _, athlete) = stage("Four Two Two").await;
    let pointed = [
        (json!({"duration_s": 0}), "#/duration_s"),
        (json!({"duration_s": -1}), "#/duration_s"),
        (json!({"duration_s": "long"}), "#/duration_s"),
        (json!({"duration_s": 1_209_601}), "#/duration_s"),
        (json!({"moving_s": 1801}), "#/moving_s"),
        (json!({"distance_m": -0.5}), "#/distance_m"),
        (json!({"distance_m": 1e9}), "#/distance_m"),
        (json!({"sport": "quidditch"}), "#/sport"),
        (json!({"started_at": "yesterday"}), "#/started_at"),
        (json!({"started_at": "2525-01-01T00:00:00Z"}), "#/started_at"),
        (json!({"average_heart_rate_bpm": 19}), "#/average_heart_rate_bpm"),
        (json!({"max_heart_rate_bpm": 251}), "#/max_heart_rate_bpm"),
        (json!({"perceived_exertion": 11}), "#/perceived_exertion"),
        (json!({"title": ""}), "#/title"),
        (json!({"title": "x".repeat(201)}), "#/title"),
        (json!({"title": "nul \u{0} byte"}), "#/title"),
        (json!({"visibility": "everybody"}), "#/visibility"),
        (json!({"id": Uuid::nil()}), "#/id"),
        (json!({"gear_id": "shoes"}), "#/gear_id"),
        (json!({"sets": [{"exercise": "squat", "repetitions": 0}]}), "#/sets/0/repetitions"),
        (json!({"reps": 3}), "#/reps"),
    ];
    let calls = pointed.iter().map(|(changes, _)| log(changes.clone())).collect();
    all_refused(&stack, &athlete, 422, calls).await;
    for (changes, pointer) in pointed {
        let answer = refused(&athlete, &log(changes.clone()), 422).await;
        assert!(
            answer.pointers().iter().any(|found| found == pointer),
            "{changes} should point at {pointer}: {answer}"
        );
    }

    let several = refused(&athlete, &log(json!({"duration_s": -1, "sport": "x", "title": ""})), 422).await;
    let mut pointers = several.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["#/duration_s", "#/sport", "#/title"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_registrations_are_refused_and_an_address_keeps_its_account() {
    let (_, api, athlete) = stage("Register").await;
    let good = || json!({"email": "new@example.org", "password": "long enough", "display_name": "N"});
    let pointed = [
        (json!({"email": "no address"}), "#/email"),
        (json!({"password": "short"}), "#/password"),
        (json!({"password": "password1"}), "#/password"),
        (json!({"display_name": " "}), "#/display_name"),
        (json!({"time_zone": "Mars/Olympus"}), "#/time_zone"),
        (json!({"locale": "de_DE.UTF-8!"}), "#/locale"),
        (json!({"admin": true}), "#/admin"),
    ];
    for (changes, pointer) in pointed {
        let answer = api.send(&Call::post("/v1/account").json(&bodies::with(good(), changes))).await.unwrap();
        problem::check(&answer, 422).unwrap();
        assert_eq!(answer.pointers(), [pointer], "{answer}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("new@example.org"), "{answer}");
    }
    let taken = Api::registration(&athlete.email.to_uppercase(), "another password", "Other", "UTC");
    let answer = api.send(&taken).await.unwrap().expecting(202).unwrap();
    assert_ne!(answer.id(), Some(athlete.id));
    athlete.sign_in().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_files_are_refused_with_the_reason() {
    let (stack, _, athlete) = stage("Files").await;
    let file = |content_type: &str, body: &'static [u8]| {
        Call::post("/v1/workouts/imports").file(content_type, Bytes::from_static(body))
    };
    let calls = vec![
        file("application/vnd.ant.fit", b""),
        file("application/vnd.ant.fit", b"\x0e\x10\x00\x00\xff\xff\xff\xff.FIT\x00\x00 and then nothing"),
        file("application/gpx+xml", b"<gpx><trk><trkseg>"),
        file("application/gpx+xml", b"<gpx></gpx>"),
        file("application/gpx+xml", b"<!DOCTYPE gpx [<!ENTITY a \"b\">]><gpx>&a;</gpx>"),
        file("application/vnd.garmin.tcx+xml", b"<TrainingCenterDatabase/>"),
        file("application/octet-stream", b"hello"),
    ];
    for call in &calls {
        let answer = refused(&athlete, call, 422).await;
        let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
        assert!(!errors.is_empty(), "no reason is given: {answer}");
    }
    all_refused(&stack, &athlete, 422, calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_404_and_the_wrong_method_405() {
    let (stack, _, athlete) = stage("Four O Four").await;
    let nobodys = format!("/v1/workouts/{}", Uuid::now_v7());
    let calls = vec![
        Call::post("/v1/nowhere"),
        Call::post("/"),
        Call::delete(&nobodys),
        Call::delete("/v1/workouts/not-an-id"),
        Call::patch(&nobodys).if_match(1).merge_patch(&json!({"title": "x"})),
    ];
    all_refused(&stack, &athlete, 404, calls).await;
    let calls = vec![
        Call::new(Method::PUT, "/v1/workouts"),
        Call::new(Method::PUT, &nobodys),
        Call::delete("/v1/me/profile"),
        Call::post("/.well-known/jwks.json"),
    ];
    all_refused(&stack, &athlete, 405, calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_names_the_version_it_is_meant_for() {
    let (stack, _, athlete) = stage("Versions").await;
    let id = athlete.log(&bodies::run(RUN)).await.unwrap().id().unwrap();
    let (path, change) = (format!("/v1/workouts/{id}"), json!({"title": "x"}));
    let call = || Call::patch(&path).merge_patch(&change);
    all_refused(&stack, &athlete, 428, vec![call()]).await;
    let mismatches = vec![
        call().if_match(2),
        call().header("if-match", "W/\"v1\""),
        call().header("if-match", "\"something\""),
        call().header("if-match", "\"v2\", \"v3\""),
        Call::delete(&path).if_match(7),
    ];
    all_refused(&stack, &athlete, 412, mismatches).await;
    let answer = refused(&athlete, &call().if_match(9), 412).await;
    assert_eq!(answer.header("etag"), Some("\"v1\""), "it says which version there is");
    for (version, header) in [(2, "\"v5\", \"v1\""), (3, "*")] {
        let change = Call::patch(&path).header("if-match", header).merge_patch(&json!({"title": header}));
        assert_eq!(athlete.send(&change).await.unwrap().expecting(202).unwrap().version(), Some(version));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_content_type_is_415() {
    let (stack, api, athlete) = stage("Types").await;
    let id = athlete.log(&bodies::run(RUN)).await.unwrap().id().unwrap();
    let body = bodies::run(RUN).to_string();
    let calls = vec![
        Call::post("/v1/workouts").text("text/plain", &body),
        Call::post("/v1/workouts").text("application/xml", &body),
        Call::new(Method::POST, "/v1/workouts"),
        Call::patch(format!("/v1/workouts/{id}")).if_match(1).json(&json!({"title": "x"})),
        Call::patch("/v1/me/profile").json(&json!({"bio": "x"})),
        Call::post("/v1/workouts/imports").text("application/json", "{}"),
        Call::post("/v1/workouts/imports").text("application/gzip", "x"),
    ];
    all_refused(&stack, &athlete, 415, calls).await;
    let form = Call::post("/v1/account").text("application/x-www-form-urlencoded", "email=a");
    problem::check(&api.send(&form).await.unwrap(), 415).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_413() {
    let (stack, _, athlete) = stage("Long").await;
    let calls = vec![
        log(json!({"notes": "n".repeat(200 * 1024)})),
        Call::post("/v1/workouts/imports").file("application/gpx+xml", Bytes::from(vec![b'x'; 26 * 1024 * 1024])),
    ];
    all_refused(&stack, &athlete, 413, calls).await;
}
