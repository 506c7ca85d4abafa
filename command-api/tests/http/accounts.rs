//! Registering and signing in: the saga and its crash points, who is told what, and what is never written down.
use std::time::Duration;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, phc::PasswordHash},
};
use command_api::{
    dispatch::Request,
    identity::{
        accounts::{self, NewAccount},
        email::Email,
        passwords::NewPassword,
        sweeper,
    },
};
use fittrack_domain::{
    aggregate::Context,
    athlete::{Athlete, AthleteCommand, RegisterAthlete},
    ids::AthleteId,
    values::DisplayName,
};
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, PASSWORD, World, count, registration};

async fn signs_in(world: &World, email: &str, password: &str) -> Answer {
    world.anonymous().post("/v1/account/sessions").json(&json!({"email": email, "password": password})).await
}

async fn registers(world: &World, key: &str, body: &Value) -> Answer {
    world.anonymous().post("/v1/account").header("idempotency-key", key).json(body).await
}

#[tokio::test]
async fn a_registered_athlete_signs_in_and_is_known_by_the_token() {
    let world = World::new().await;
    let body = json!({
        "email": "Ann@Example.org", "password": PASSWORD, "display_name": "Ann", "time_zone": "Europe/Berlin", "locale": "de-DE"
    });
    let answer = world.anonymous().post("/v1/account").json(&body).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.body["id"], answer.body["athlete_id"]);
    assert_eq!(answer.header("etag"), Some("\"v1\""));
    assert_eq!(answer.header("location"), Some(format!("/v1/athletes/{}", answer.id()).as_str()));
    assert_eq!(answer.header("consistency-token"), answer.body["consistency_token"].as_str());
    assert_eq!(world.events_of(answer.id()).await, ["athlete_registered"]);
    assert_eq!(world.last_payload(answer.id()).await["profile"]["time_zone"], "Europe/Berlin");

    let session = signs_in(&world, "ann@example.ORG", PASSWORD).await;
    assert_eq!(session.status, 201);
    assert_eq!((&session.body["token_type"], &session.body["expires_in"]), (&json!("Bearer"), &json!(600)));
    assert_eq!(session.header("cache-control"), Some("no-store"));
    let token = session.body["access_token"].as_str().unwrap();
    let caller = world.app.verifier.verify(token).await.unwrap();
    assert_eq!(caller.athlete_id, answer.id());
}

#[tokio::test]
async fn an_address_has_one_account_and_a_second_registration_looks_like_the_first() {
    let world = World::new().await;
    let first = registers(&world, "first", &registration("ann")).await;
    let body = json!({"email": "ANN@example.org", "password": "another password", "display_name": "Ann two"});
    let second = registers(&world, "second", &body).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 202), "{}", second.body);
    let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&first), names(&second));
    for answer in [&first, &second] {
        assert_eq!((answer.body["version"].as_i64(), answer.header("etag")), (Some(1), Some("\"v1\"")));
        assert_eq!((answer.id().get_version_num(), &answer.body["id"]), (7, &answer.body["athlete_id"]));
        assert_eq!(answer.header("location"), Some(format!("/v1/athletes/{}", answer.id()).as_str()));
        assert_eq!(answer.header("consistency-token"), answer.body["consistency_token"].as_str());
        assert_eq!(world.token_of(answer).await.positions().count(), 1);
    }
    assert_ne!(first.id(), second.id());
    // It has changed nothing.
    assert_eq!(count(&world.identity, "SELECT count(*) FROM accounts").await, 1);
    assert_eq!(count(&world.store, "SELECT count(*) FROM events").await, 1);
    assert_eq!(signs_in(&world, "ann@example.org", PASSWORD).await.status, 201);
    signs_in(&world, "ann@example.org", "another password").await.assert_problem(401, "unauthenticated");
    assert_eq!((world.audited("user_created").await, world.audited("user_create_fail").await), (1, 1));
    // The same request again gets the same answer, another one under its key is refused, as with a real one.
    let again = registers(&world, "second", &body).await;
    assert_eq!((again.status, &again.body, again.is_replayed()), (second.status, &second.body, true));
    for (field, value) in [("password", "yet another password"), ("display_name", "Ann three")] {
        let mut other = body.clone();
        other[field] = json!(value);
        registers(&world, "second", &other).await.assert_problem(422, "idempotency-key-reused");
    }
}

#[tokio::test]
async fn an_address_is_not_registered_again_and_again() {
    let world = World::new().await;
    world.athlete("ann").await;
    for _ in 0..5 {
        let answer = world.anonymous().post("/v1/account").json(&registration("ann")).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    // The sixth has begun a wait, which need not be over yet on any machine.
    let waits = "UPDATE throttles SET blocked_until = clock_timestamp() + interval '1 minute' WHERE tries = 6";
    assert_eq!(sqlx::query(waits).execute(&world.identity).await.unwrap().rows_affected(), 1);
    let answer = world.anonymous().post("/v1/account").json(&registration("ann")).await;
    answer.assert_problem(429, "too-many-requests");
    assert!(answer.header("retry-after").is_some());
    world.athlete("bob").await;
}

#[tokio::test]
async fn what_guessers_try_first_is_no_password() {
    let world = World::new().await;
    for password in ["password1", "Password1", "fittrack2026", "ann@example.org", "annexample"] {
        let mut body = registration("ann");
        body["password"] = json!(password);
        let answer = world.anonymous().post("/v1/account").json(&body).await;
        assert_eq!(answer.assert_problem(422, "invalid-body").pointers(), ["#/password"], "{password}");
    }
    let ann = world.athlete("ann").await;
    for password in ["iloveyou1", "ann@example.org", "FitTrack!"] {
        let body = json!({"current_password": PASSWORD, "new_password": password});
        let answer = ann.put("/v1/account/password").json(&body).await;
        assert_eq!(answer.assert_problem(422, "invalid-body").pointers(), ["#/new_password"], "{password}");
    }
    // 64 characters, other alphabets, blanks at the ends: all as typed.
    for (name, password) in
        [("bob", "x".repeat(64)), ("cat", "🏃‍♀️ läuft früh".to_owned()), ("dan", " pw of dan ".to_owned())]
    {
        let mut body = registration(name);
        body["password"] = json!(password);
        assert_eq!(world.anonymous().post("/v1/account").json(&body).await.status, 202);
        assert_eq!(signs_in(&world, &format!("{name}@example.org"), &password).await.status, 201);
        let trimmed = password.trim().to_owned() + "x";
        signs_in(&world, &format!("{name}@example.org"), &trimmed).await.assert_problem(401, "unauthenticated");
    }
    signs_in(&world, "dan@example.org", "pw of dan").await.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_same_registration_again_gets_the_same_answer() {
    let world = World::new().await;
    let first = registers(&world, "key-1", &registration("ann")).await;
    let again = registers(&world, "\"key-1\"", &registration("ann")).await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert!(!first.is_replayed() && again.is_replayed());
    let other_password = json!({"email": "ann@example.org", "password": "not the same", "display_name": "ann"});
    registers(&world, "key-1", &other_password).await.assert_problem(422, "idempotency-key-reused");
    let other_name = json!({"email": "ann@example.org", "password": PASSWORD, "display_name": "Anna"});
    registers(&world, "key-1", &other_name).await.assert_problem(422, "idempotency-key-reused");
    // Another newcomer may happen to use the same key.
    let bob = registers(&world, "key-1", &registration("bob")).await;
    assert_eq!((bob.status.as_u16(), bob.is_replayed()), (202, false));
}

#[tokio::test]
async fn many_copies_of_a_registration_make_one_account() {
    let world = World::new().await;
    let body = registration("ann");
    let answers = join_all((0..20).map(|_| registers(&world, "one", &body))).await;
    let ids: Vec<Uuid> = answers.iter().filter(|answer| answer.status == 202).map(Answer::id).collect();
    assert!(!ids.is_empty() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 202 | 409 | 429 | 503)));
    assert_eq!(count(&world.identity, "SELECT count(*) FROM accounts WHERE status = 'active'").await, 1);
    assert_eq!(count(&world.store, "SELECT count(*) FROM events").await, 1);
}

#[tokio::test]
async fn unknown_address_wrong_password_and_an_account_that_may_not_sign_in_are_answered_alike() {
    let world = World::new().await;
    world.athlete("ann").await;
    world.athlete("dan").await;
    let disable = "UPDATE accounts SET status = 'disabled' WHERE email LIKE 'dan@%'";
    sqlx::query(disable).execute(&world.identity).await.unwrap();
    left_after_the_row(&world, "bob", Uuid::now_v7()).await;
    let mut bodies = Vec::new();
    for (email, password) in [
        ("nobody@example.org", PASSWORD),
        ("ann@example.org", "wrong password"),
        ("bob@example.org", PASSWORD),
        ("dan@example.org", PASSWORD),
        ("no address", PASSWORD),
        ("ann\0@example.org", PASSWORD),
    ] {
        let answer = signs_in(&world, email, password).await;
        answer.assert_problem(401, "unauthenticated");
        let mut body = answer.body.clone();
        body["trace_id"] = Value::Null;
        let mut headers = answer.headers;
        headers.remove("traceparent");
        bodies.push((body, headers));
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[tokio::test]
async fn a_hash_of_weaker_days_is_renewed_when_its_owner_signs_in() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let params = argon2::Params::new(7168, 1, 1, None).unwrap();
    let weak = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hashed: PasswordHash = weak.hash_password(PASSWORD.as_bytes()).unwrap();
    let set = "UPDATE accounts SET password_hash = $1";
    sqlx::query(set).bind(hashed.to_string()).execute(&world.identity).await.unwrap();
    let renewed = "SELECT count(*) FROM accounts WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'";
    signs_in(&world, "ann@example.org", "wrong password").await.assert_problem(401, "unauthenticated");
    assert_eq!(count(&world.identity, renewed).await, 0);
    assert_eq!(signs_in(&world, "ann@example.org", PASSWORD).await.status, 201);
    assert_eq!(count(&world.identity, renewed).await, 1);
    assert_eq!(signs_in(&world, "ann@example.org", PASSWORD).await.status, 201);
    // It is the same password: nobody is signed out by it.
    assert_eq!(ann.refreshes().await.status, 200);
}

#[tokio::test]
async fn every_refused_field_of_a_registration_is_named() {
    let world = World::new().await;
    let body = json!({"email": "ann", "password": "short", "display_name": " ", "time_zone": "Mars/Olympus", "locale": "de_DE"});
    let answer = world.anonymous().post("/v1/account").json(&body).await;
    answer.assert_problem(422, "invalid-body");
    assert_eq!(answer.pointers(), ["#/email", "#/password", "#/display_name", "#/time_zone", "#/locale"]);
    assert!(!answer.body.to_string().contains("short"), "a password was repeated");
}

#[tokio::test]
async fn a_registration_left_after_its_row_is_finished_by_the_sweeper() {
    let world = World::new().await;
    let athlete_id = left_after_the_row(&world, "ann", Uuid::now_v7()).await;
    signs_in(&world, "ann@example.org", PASSWORD).await.assert_problem(401, "unauthenticated");
    assert_eq!(sweeper::sweep(&world.app.registration, Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(sweeper::sweep(&world.app.registration, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(sweeper::sweep(&world.app.registration, Duration::ZERO).await.unwrap(), 0);
    assert_eq!(world.events_of(athlete_id).await, ["athlete_registered"]);
    assert_eq!(signs_in(&world, "ann@example.org", PASSWORD).await.status, 201);
    let kept = "SELECT count(*) FROM accounts WHERE display_name IS NOT NULL OR time_zone IS NOT NULL";
    assert_eq!(count(&world.identity, kept).await, 0);
}

#[tokio::test]
async fn a_registration_left_after_its_event_is_finished_without_a_second_event() {
    let world = World::new().await;
    let command_id = Uuid::now_v7();
    let athlete_id = left_after_the_row(&world, "ann", command_id).await;
    store_event(&world, athlete_id, command_id).await;
    assert_eq!(sweeper::sweep(&world.app.registration, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(world.events_of(athlete_id).await, ["athlete_registered"]);
    assert_eq!(signs_in(&world, "ann@example.org", PASSWORD).await.status, 201);
}

#[tokio::test]
async fn a_half_done_registration_whose_key_made_another_athlete_is_taken_back() {
    let world = World::new().await;
    let command_id = Uuid::now_v7();
    let ann = left_after_the_row(&world, "ann", command_id).await;
    store_event(&world, ann, command_id).await;
    left_after_the_row(&world, "bob", command_id).await;
    assert_eq!(sweeper::sweep(&world.app.registration, Duration::ZERO).await.unwrap(), 1);
    let left: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT athlete_id, status FROM accounts").fetch_all(&world.identity).await.unwrap();
    assert_eq!(left, [(ann, "active".to_owned())]);
}

#[tokio::test]
async fn a_client_s_retry_finishes_what_its_first_try_left() {
    let world = World::new().await;
    let key = |email: &str| command_id_of("retry", email);
    let after_row = left_after_the_row(&world, "ann", key("ann@example.org")).await;
    let after_event = left_after_the_row(&world, "bob", key("bob@example.org")).await;
    store_event(&world, after_event, key("bob@example.org")).await;
    for (name, athlete_id) in [("ann", after_row), ("bob", after_event)] {
        let body = json!({"email": format!("{name}@example.org"), "password": PASSWORD, "display_name": "Newcomer"});
        let answer = registers(&world, "retry", &body).await;
        assert_eq!((answer.status.as_u16(), answer.id()), (202, athlete_id), "{}", answer.body);
        assert_eq!(world.events_of(athlete_id).await, ["athlete_registered"]);
        assert_eq!(signs_in(&world, &format!("{name}@example.org"), PASSWORD).await.status, 201);
    }
    // Without the key it is somebody else's, and stays as it is.
    let cat = left_after_the_row(&world, "cat", Uuid::now_v7()).await;
    let answer = world.anonymous().post("/v1/account").json(&registration("cat")).await;
    assert_eq!(answer.status, 202);
    assert_ne!(answer.id(), cat);
    assert!(world.events_of(cat).await.is_empty());
}

#[tokio::test]
async fn when_passwords_are_being_checked_by_too_many_one_is_asked_to_come_back() {
    let world = World::new().await;
    let turns = world.app.passwords.exhausted().await;
    let answer = signs_in(&world, "ann@example.org", PASSWORD).await;
    answer.assert_problem(503, "temporary-reduced-capacity");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let answer = world.anonymous().post("/v1/account").json(&registration("ann")).await;
    answer.assert_problem(503, "temporary-reduced-capacity");
    drop(turns);
    world.athlete("ann").await;
}

#[tokio::test]
async fn neither_address_nor_password_is_in_any_event() {
    let world = World::new().await;
    world
        .anonymous()
        .post("/v1/account")
        .header("idempotency-key", "k")
        .json(&json!({
            "email": "secret.address@example.org", "password": "secret password", "display_name": "Ann"
        }))
        .await;
    let leaked = "SELECT count(*) FROM events WHERE payload::text || metadata::text LIKE '%secret%'";
    assert_eq!(count(&world.store, leaked).await, 0);
    let hashed = "SELECT count(*) FROM accounts WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'";
    assert_eq!(count(&world.identity, hashed).await, 1);
}

#[tokio::test]
async fn the_published_keys_are_public_parts_only() {
    let world = World::new().await;
    let answer = world.anonymous().get("/.well-known/jwks.json").answer().await;
    assert_eq!(answer.status, 200);
    let key = &answer.body["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["use"], &key["alg"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("sig"), &json!("EdDSA"))
    );
    assert_eq!(key.get("d"), None);
    assert!(answer.header("cache-control").unwrap().contains("max-age"));
}

/// What a process that died after its first step leaves.
async fn left_after_the_row(world: &World, name: &str, command_id: Uuid) -> Uuid {
    let password_hash = world.app.passwords.hash(NewPassword::parse(PASSWORD).unwrap()).await.unwrap();
    let account = NewAccount {
        athlete_id: AthleteId(Uuid::now_v7()),
        email: Email::parse(format!("{name}@example.org")).unwrap(),
        password_hash,
        command_id,
        display_name: "Newcomer".into(),
        time_zone: "UTC".into(),
    };
    assert!(accounts::insert_pending(&world.identity, &account).await.unwrap());
    account.athlete_id.0
}

/// What a process that died after its second step has done besides.
async fn store_event(world: &World, athlete_id: Uuid, command_id: Uuid) {
    let athlete_id = AthleteId(athlete_id);
    let display_name = DisplayName::parse("Newcomer").unwrap();
    let register =
        RegisterAthlete { athlete_id, display_name, time_zone: fittrack_domain::values::TimeZone::default() };
    let request = Request::<Athlete> {
        stream_id: athlete_id.0,
        owner_id: athlete_id,
        command: AthleteCommand::RegisterAthlete(register),
        context: Context { actor: athlete_id, ..Context::example() },
        command_id,
        fingerprint: None,
        keyed: false,
        precondition: None,
        traceparent: None,
        correlation_id: None,
    };
    world.app.dispatcher.dispatch(request).await.unwrap();
}

/// The command id a key names for a registration.
fn command_id_of(key: &str, email: &str) -> Uuid {
    let mut headers = axum::http::HeaderMap::new();
    headers.insert("idempotency-key", key.parse().unwrap());
    let key = command_api::routes::idempotency::IdempotencyKey::from_headers(&headers).unwrap().unwrap();
    key.command_id(email, "POST", "/v1/account")
}
