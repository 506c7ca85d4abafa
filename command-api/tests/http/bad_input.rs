//! Bad input of every kind: each answer a whole problem document, none a 500.
use command_api::{app::App, identity::tokens::Grant};
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::{auth::AccessClaims, clock};
use fittrack_schemas::consistency::TokenKey;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{World, count, run, stranger, unreachable};

const JSON: &str = "application/json";

/// A token as signing in gives one, of a session that is in no database.
fn token_of(app: &App, athlete_id: Uuid) -> String {
    let grant = Grant::of_session(AthleteId(athlete_id), Uuid::now_v7());
    app.tokens.issue(&grant, clock::now()).unwrap()
}

#[tokio::test]
async fn whatever_is_sent_as_a_workout_is_refused_with_the_reason() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let with = |field: &str, value: Value| {
        let mut body = run();
        body[field] = value;
        body.to_string().into_bytes()
    };
    let raw = |text: &str| text.as_bytes().to_vec();
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("text/plain", run().to_string().into(), 415, "unsupported-media-type"),
        ("", run().to_string().into(), 415, "unsupported-media-type"),
        ("application/json; charset=utf-16", run().to_string().into(), 415, "unsupported-media-type"),
        (JSON, vec![], 400, "bad-request"),
        (JSON, raw("{"), 400, "bad-request"),
        (JSON, raw(&format!("{} {{}}", run())), 400, "bad-request"),
        (JSON, raw(&deep), 422, "invalid-body"),
        (JSON, raw(&format!("{{\"sport\": {deep}}}")), 422, "invalid-body"),
        (JSON, raw("{\"sport\": \"\u{0}\"}"), 400, "bad-request"),
        (JSON, b"{\"sport\": \"\xff\"}".to_vec(), 400, "bad-request"),
        (JSON, raw("{\"duration_s\": 1e400}"), 400, "bad-request"),
        (JSON, raw("{\"duration_s\": NaN}"), 400, "bad-request"),
        (JSON, raw("null"), 422, "invalid-body"),
        (JSON, raw("[]"), 422, "invalid-body"),
        (JSON, raw("{}"), 422, "invalid-body"),
        (JSON, raw("{\"sport\": \"run\", \"sport\": \"ride\"}"), 422, "invalid-body"),
        (JSON, with("colour", json!("red")), 422, "invalid-body"),
        (JSON, with("duration_s", json!("1800")), 422, "invalid-body"),
        (JSON, with("duration_s", Value::Null), 422, "invalid-body"),
        (JSON, with("distance_m", json!(-1)), 422, "invalid-body"),
        (JSON, with("title", json!("a\u{0}b")), 422, "invalid-body"),
        (JSON, with("sets", json!([1])), 422, "invalid-body"),
        (JSON, with("notes", json!("x".repeat(70_000))), 413, "payload-too-large"),
    ];
    for (media_type, body, status, slug) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let mut sending = ann.post("/v1/workouts");
        if !media_type.is_empty() {
            sending = sending.header("content-type", media_type);
        }
        let answer = sending.body(body).await;
        assert_eq!(answer.status, status, "{media_type} {shown}: {}", answer.body);
        answer.assert_problem(status, slug);
    }
    assert_eq!(world.workouts().await, 0);
}

#[tokio::test]
async fn headers_are_refused_with_the_reason() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    for key in ["\"open", "a b", ""] {
        let answer = ann.post("/v1/workouts").header("idempotency-key", key).json(&run()).await;
        answer.assert_problem(400, "bad-request");
    }
    let twice =
        ann.post("/v1/workouts").header("idempotency-key", "a").header("idempotency-key", "b").json(&run()).await;
    twice.assert_problem(400, "bad-request");
    let long = "k".repeat(256);
    ann.post("/v1/workouts").header("idempotency-key", &long).json(&run()).await.assert_problem(400, "bad-request");
}

#[tokio::test]
async fn who_is_not_signed_in_gets_nowhere() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let claims = |issuer: &str, audience: &str, seconds: i64| {
        let now = fittrack_runtime::clock::now().timestamp();
        let claims = AccessClaims {
            iss: issuer.into(),
            sub: ann.athlete_id.to_string(),
            aud: audience.into(),
            exp: now + seconds,
            nbf: now - 10,
            iat: now - 10,
            jti: "1".into(),
            sid: Uuid::new_v4().to_string(),
            scope: None,
        };
        world.app.tokens.key().sign(&claims).unwrap()
    };
    let foreign = {
        let other = World::not_ready().await;
        token_of(&other.app, ann.athlete_id)
    };
    let gone = token_of(&world.app, Uuid::now_v7());
    let bad_tokens = [
        String::new(),
        "x".into(),
        "x".repeat(9_000),
        "eyJhbGciOiJub25lIn0.e30.".into(),
        claims("https://else.where", "fittrack", 60),
        claims("https://fittrack.local", "others", 60),
        claims("https://fittrack.local", "fittrack", -60),
        foreign,
        gone,
    ];
    for (method, path) in [
        ("POST", "/v1/workouts".to_owned()),
        ("POST", "/v1/workouts/imports".to_owned()),
        ("PATCH", "/v1/me/profile".to_owned()),
        ("PATCH", format!("/v1/workouts/{}", uuid::Uuid::now_v7())),
        ("DELETE", format!("/v1/workouts/{}", uuid::Uuid::now_v7())),
    ] {
        let nobody = world.anonymous().send(method, &path).answer().await;
        nobody.assert_problem(401, "unauthenticated");
        assert!(nobody.header("www-authenticate").is_some());
    }
    for token in &bad_tokens {
        let answer = ann.with_token(token).post("/v1/workouts").json(&run()).await;
        answer.assert_problem(401, "unauthenticated");
    }
    let good = claims("https://fittrack.local", "fittrack", 60);
    assert_eq!(ann.with_token(&good).post("/v1/workouts").json(&run()).await.status, 202);
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_say_so() {
    let world = World::new().await;
    let nobody = world.anonymous();
    nobody.get("/").answer().await.assert_problem(404, "not-found");
    nobody.post("/v1/nothing").answer().await.assert_problem(404, "not-found");
    let answer = nobody.send("PUT", "/v1/workouts").answer().await;
    answer.assert_problem(405, "method-not-allowed");
    assert!(answer.header("allow").unwrap().contains("POST"));
    nobody.get("/v1/account").answer().await.assert_problem(405, "method-not-allowed");
    let long = format!("/v1/workouts?{}", "x".repeat(9_000));
    nobody.post(&long).answer().await.assert_problem(414, "uri-too-long");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let world = World::new().await;
    for path in ["/openapi.json", "/nothing", "/.well-known/jwks.json"] {
        let answer = world.anonymous().get(path).answer().await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(answer.header("traceparent").is_some(), "{path}");
    }
    let document = world.anonymous().get("/openapi.json").answer().await;
    assert_eq!(document.status, 200);
    assert!(document.body["paths"]["/v1/workouts"]["post"].is_object());
}

#[tokio::test]
async fn before_the_event_store_was_checked_commands_wait_outside() {
    let world = World::not_ready().await;
    let answer = world.anonymous().post("/v1/account").json(&crate::support::registration("ann")).await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let somebody = world.anonymous().with_token(&token_of(&world.app, Uuid::now_v7()));
    somebody.post("/v1/workouts").json(&run()).await.assert_problem(503, "unavailable");
    somebody.imports("application/gpx+xml", "<gpx/>").await.assert_problem(503, "unavailable");
    assert_eq!(world.anonymous().get("/.well-known/jwks.json").answer().await.status, 200);
}

#[tokio::test]
async fn until_the_key_of_tokens_was_read_commands_wait_outside_too() {
    let world = World::not_ready().await;
    world.app.gate.found_store();
    let registers = async || world.anonymous().post("/v1/account").json(&crate::support::registration("ann")).await;
    let answer = registers().await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("key of consistency tokens"), "{detail}");
    assert_eq!(count(&world.store, "SELECT count(*) FROM events").await, 0);
    world.app.gate.found_token_key(TokenKey::read(&world.recordings).await.unwrap());
    let answer = registers().await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(world.token_of(&answer).await.positions().count(), 1);
}

#[tokio::test]
async fn without_databases_the_answer_is_to_come_back_later() {
    let world = unreachable();
    let nobody = stranger(&world);
    let credentials = json!({"email": "ann@example.org", "password": "correct horse battery"});
    let answer = nobody.post("/v1/account/sessions").json(&credentials).await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(!answer.body.to_string().contains("127.0.0.1"), "internals are shown: {}", answer.body);
    let ann = nobody.with_token(&token_of(&world, Uuid::now_v7()));
    ann.post("/v1/workouts").json(&run()).await.assert_problem(503, "unavailable");
    ann.imports("application/gpx+xml", "<gpx/>").await.assert_problem(503, "unavailable");
    nobody.post("/v1/account").json(&crate::support::registration("ann")).await.assert_problem(503, "unavailable");
}

#[tokio::test]
async fn when_too_many_files_are_under_way_the_next_comes_back_later() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let mut all = Vec::new();
    while let Ok(turn) = world.app.file_turns.take(Uuid::now_v7()).await {
        all.push(turn);
    }
    let answer = ann.imports("application/gpx+xml", "<gpx/>").await;
    answer.assert_problem(503, "unavailable");
    drop(all);
    ann.imports("application/gpx+xml", "<gpx/>").await.assert_problem(422, "file-refused");
}
