//! Workouts by hand: logged, edited, deleted; versions, owners, and every field's limits.
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{World, count, eventually, run};

#[tokio::test]
async fn a_workout_is_logged_edited_and_deleted() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let body = json!({
        "sport": "strength", "started_at": "2026-10-01T06:30:00Z", "duration_s": 3600, "perceived_exertion": 7, "title": "Legs",
        "visibility": "followers", "sets": [{"exercise": "squat", "repetitions": 5, "mass_kg": 100.5, "kind": "working"}]
    });
    let logged = ann.post("/v1/workouts").json(&body).await;
    let id = logged.id();
    assert_eq!(logged.status, 202, "{}", logged.body);
    assert_eq!(id.get_version_num(), 7);
    assert_eq!((logged.header("etag"), &logged.body["version"]), (Some("\"v1\""), &json!(1)));
    assert_eq!(logged.header("location"), Some(format!("/v1/workouts/{id}").as_str()));
    assert_eq!(logged.header("consistency-token"), logged.body["consistency_token"].as_str());

    let edited = ann.edits(id, "\"v1\"", &json!({"title": null, "notes": "Heavy", "duration_s": 3700.25})).await;
    assert_eq!((edited.status.as_u16(), edited.header("etag")), (202, Some("\"v2\"")), "{}", edited.body);
    let payload = world.last_payload(id).await;
    assert_eq!((&payload["after"]["duration_s"], &payload["before"]["duration_s"]), (&json!(3700.25), &json!(3600.0)));
    assert_eq!(payload["after"].get("title"), None);
    assert_eq!(payload["after"]["sets"][0]["mass_kg"], 100.5);

    let deleted = ann.delete(&format!("/v1/workouts/{id}")).answer().await;
    assert_eq!((deleted.status.as_u16(), deleted.header("etag")), (202, Some("\"v3\"")));
    assert_eq!(world.events_of(id).await, ["workout_logged", "workout_edited", "workout_deleted"]);
    world.assert_log_is_whole().await;
}

#[tokio::test]
async fn an_edit_names_the_version_it_is_meant_for() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let id = ann.logs_a_run().await;
    let path = format!("/v1/workouts/{id}");
    let title = |text: &str| json!({"title": text});
    ann.patch(&path).merge_patch(&title("no version")).await.assert_problem(428, "precondition-required");
    assert_eq!(ann.edits(id, "\"v7\", \"v1\"", &title("a list")).await.header("etag"), Some("\"v2\""));
    for stale in ["\"v1\"", "W/\"v2\"", "\"something else\""] {
        let answer = ann.edits(id, stale, &title("stale")).await;
        answer.assert_problem(412, "precondition-failed");
        assert_eq!(answer.header("etag"), Some("\"v2\""), "{stale}");
    }
    ann.edits(id, "v2", &title("no quotes")).await.assert_problem(400, "bad-request");
    assert_eq!(ann.edits(id, "*", &title("any")).await.header("etag"), Some("\"v3\""));
    let stale = ann.delete(&path).header("if-match", "\"v1\"").answer().await;
    stale.assert_problem(412, "precondition-failed");
    assert_eq!(ann.delete(&path).header("if-match", "\"v3\"").answer().await.status, 202);
}

#[tokio::test]
async fn of_two_writers_on_one_version_one_wins() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let id = ann.logs_a_run().await;
    let patches: Vec<Value> = (0..10).map(|n| json!({"title": format!("writer {n}")})).collect();
    let answers = join_all(patches.iter().map(|patch| ann.edits(id, "\"v1\"", patch))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 9, "{statuses:?}");
    assert_eq!(world.events_of(id).await.len(), 2);
}

#[tokio::test]
async fn somebody_else_s_workout_is_not_there() {
    let world = World::new().await;
    let (ann, bob) = (world.athlete("ann").await, world.athlete("bob").await);
    let id = ann.logs_a_run().await;
    let patch = json!({"title": "mine now"});
    for tag in ["\"v1\"", "\"v9\"", "*"] {
        let foreign = bob.edits(id, tag, &patch).await;
        let unknown = bob.edits(Uuid::now_v7(), tag, &patch).await;
        foreign.assert_problem(404, "not-found");
        unknown.assert_problem(404, "not-found");
        assert_eq!(foreign.body["detail"], unknown.body["detail"]);
        assert_eq!(foreign.header("etag"), None);
    }
    bob.delete(&format!("/v1/workouts/{id}")).answer().await.assert_problem(404, "not-found");
    let mut body = run();
    body["id"] = json!(id);
    bob.post("/v1/workouts").json(&body).await.assert_problem(409, "conflict");
    assert_eq!(world.events_of(id).await, ["workout_logged"]);
}

#[tokio::test]
async fn what_is_deleted_is_gone() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let id = ann.logs_a_run().await;
    let path = format!("/v1/workouts/{id}");
    let first = ann.delete(&path).header("idempotency-key", "bye").answer().await;
    ann.delete(&path).answer().await.assert_problem(404, "not-found");
    let again = ann.delete(&path).header("idempotency-key", "bye").answer().await;
    assert_eq!((again.status, &again.body, again.is_replayed()), (first.status, &first.body, true));
    ann.edits(id, "*", &json!({"title": "back"})).await.assert_problem(404, "not-found");
    ann.delete("/v1/workouts/no-id").answer().await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn every_refused_field_is_named() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let body = json!({
        "sport": "running", "started_at": "yesterday", "duration_s": 0, "moving_s": -1, "distance_m": 1e8, "elevation_gain_m": -5,
        "energy_kcal": 1e6, "average_heart_rate_bpm": 5, "max_heart_rate_bpm": 300, "perceived_exertion": 11, "title": "", "notes": "a\u{0}b",
        "visibility": "all", "gear_id": "shoes", "id": "0198c0de-7a1b-4c3d-8e4f-5a6b7c8d9e0f",
        "sets": [{"exercise": "squat", "repetitions": 5}, {"exercise": "", "repetitions": 0, "mass_kg": -1, "duration_s": 0, "reps_in_reserve": 21, "kind": "x"}]
    });
    let answer = ann.post("/v1/workouts").json(&body).await;
    answer.assert_problem(422, "invalid-body");
    let expected = [
        "sport",
        "started_at",
        "duration_s",
        "moving_s",
        "distance_m",
        "elevation_gain_m",
        "energy_kcal",
        "average_heart_rate_bpm",
        "max_heart_rate_bpm",
        "perceived_exertion",
        "title",
        "notes",
        "visibility",
        "gear_id",
        "id",
        "sets/1/exercise",
        "sets/1/repetitions",
        "sets/1/mass_kg",
        "sets/1/duration_s",
        "sets/1/reps_in_reserve",
        "sets/1/kind",
    ];
    assert_eq!(answer.pointers(), expected.map(|field| format!("#/{field}")));
    assert_eq!(world.workouts().await, 0);
}

#[tokio::test]
async fn a_limit_holds_on_both_sides() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    for (field, good, bad) in [
        ("duration_s", json!(0.001), json!(0.0004)),
        ("duration_s", json!(1_209_600), json!(1_209_601)),
        ("distance_m", json!(10_000_000), json!(10_000_000.5)),
        ("distance_m", json!(0), json!(-0.001)),
        ("average_heart_rate_bpm", json!(20), json!(19)),
        ("max_heart_rate_bpm", json!(250), json!(251)),
        ("perceived_exertion", json!(10), json!(10.5)),
        ("title", json!("x".repeat(200)), json!("x".repeat(201))),
        ("notes", json!("é".repeat(4000)), json!("é".repeat(4001))),
        ("moving_s", json!(1800), json!(1801)),
        ("started_at", json!("1970-01-01T00:00:00Z"), json!("1969-12-31T23:59:59Z")),
        ("started_at", json!("2026-10-01T06:30:00+14:00"), json!("2999-01-01T00:00:00Z")),
    ] {
        let with = |value: &Value| {
            let mut body = run();
            body[field] = value.clone();
            body
        };
        let accepted = ann.post("/v1/workouts").json(&with(&good)).await;
        assert_eq!(accepted.status, 202, "{field} {good}: {}", accepted.body);
        let refused = ann.post("/v1/workouts").json(&with(&bad)).await;
        assert_eq!((refused.status.as_u16(), refused.pointers()), (422, vec![format!("#/{field}").as_str()]), "{bad}");
    }
}

#[tokio::test]
async fn a_patch_may_not_clear_what_a_workout_needs() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let id = ann.logs_a_run().await;
    for field in ["sport", "started_at", "duration_s", "visibility"] {
        let answer = ann.edits(id, "\"v1\"", &json!({field: null})).await;
        assert_eq!((answer.status.as_u16(), answer.pointers()), (422, vec![format!("#/{field}").as_str()]));
    }
    let answer = ann.edits(id, "\"v1\"", &json!({"distance": 5})).await;
    assert_eq!((answer.status.as_u16(), answer.pointers()), (422, vec!["#/distance"]));
    assert_eq!(world.events_of(id).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_that_hangs_up_does_not_stop_its_command() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    for n in 0..40 {
        let mut body = run();
        let id = Uuid::now_v7();
        body["id"] = json!(id);
        let patience = Duration::from_micros(50 * (n % 10));
        let _too_late_or_not = tokio::time::timeout(patience, ann.post("/v1/workouts").json(&body)).await;
        eventually("the workout is stored though its client is gone", async || !world.events_of(id).await.is_empty())
            .await;
    }
    let open =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'";
    assert_eq!(count(&world.store, open).await, 0);
}
