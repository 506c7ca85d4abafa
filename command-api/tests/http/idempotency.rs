//! The same request again: the four cases, races, and clients that hang up.
use std::time::Duration;

use fittrack_runtime::edge::EdgeSettings;
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Client, World, count, eventually, run};

async fn logs(client: &Client, key: &str, body: &Value) -> Answer {
    client.post("/v1/workouts").header("idempotency-key", key).json(body).await
}

#[tokio::test]
async fn after_completion_the_same_key_gets_the_same_answer() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let first = logs(&ann, "morning", &run()).await;
    let again = logs(&ann, "\"morning\"", &run()).await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    for header in ["etag", "location", "consistency-token"] {
        assert_eq!(first.header(header), again.header(header));
    }
    assert!(!first.is_replayed() && again.is_replayed());
    assert_eq!(world.workouts().await, 1);
    // Also when the workout has gone on meanwhile.
    ann.edits(first.id(), "*", &json!({"title": "later"})).await;
    assert_eq!(logs(&ann, "morning", &run()).await.body, first.body);
    ann.delete(&format!("/v1/workouts/{}", first.id())).answer().await;
    assert_eq!(logs(&ann, "morning", &run()).await.body, first.body);
}

#[tokio::test]
async fn another_replica_gives_the_same_answer_and_signs_the_same_token() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let (other, _) = world.replica().await;
    let (here, there) = (logs(&ann, "k", &run()).await, logs(&ann.at(&other), "k", &run()).await);
    assert!(there.is_replayed());
    assert_eq!(here.header("consistency-token"), there.header("consistency-token"));
    let place: (i32, i64) = sqlx::query_as("SELECT partition, position FROM events WHERE aggregate_id = $1")
        .bind(here.id().to_string())
        .fetch_one(&world.store)
        .await
        .unwrap();
    assert_eq!(world.token_of(&there).await.positions().collect::<Vec<_>>(), [place]);
}

#[tokio::test]
async fn a_401_is_not_stored_and_the_retry_after_signing_in_is_executed() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    assert_eq!(ann.delete("/v1/account/sessions/current").answer().await.status, 204);
    eventually("the session has ended", async || ann.get("/v1/account/sessions").answer().await.status == 401).await;
    logs(&ann, "k", &run()).await.assert_problem(401, "unauthenticated");
    logs(&ann.with_token("nobody's"), "k", &run()).await.assert_problem(401, "unauthenticated");
    assert_eq!(world.workouts().await, 0);
    let again = world.signed_in_again("ann", &ann).await;
    let first = logs(&again, "k", &run()).await;
    assert_eq!((first.status.as_u16(), first.is_replayed()), (202, false), "{}", first.body);
    let second = logs(&again, "k", &run()).await;
    assert_eq!((second.status.as_u16(), second.is_replayed(), &second.body), (202, true, &first.body));
    assert_eq!(world.workouts().await, 1);
}

#[tokio::test]
async fn a_429_is_not_stored_and_the_retry_after_the_window_is_executed() {
    let rate_limits = "write=2/4s".parse().unwrap();
    let world = World::behind(EdgeSettings { rate_limits, ..EdgeSettings::default() }).await;
    let ann = world.athlete("ann").await;
    // However slow the machine is, sooner or later there are more than two in four seconds.
    let (mut stored, mut refused) = (0, None);
    eventually("one is too many", async || {
        let key = format!("k{stored}");
        let answer = logs(&ann, &key, &run()).await;
        if answer.status == 429 {
            answer.assert_problem(429, "quota-exceeded");
            refused = Some(key);
        } else {
            assert_eq!((answer.status.as_u16(), answer.is_replayed()), (202, false), "{}", answer.body);
            stored += 1;
        }
        refused.is_some()
    })
    .await;
    assert_eq!(world.workouts().await, stored);
    let (key, mut answers) = (refused.unwrap(), Vec::new());
    eventually("the same key is executed and then replayed", async || {
        let answer = logs(&ann, &key, &run()).await;
        if answer.status != 429 {
            answers.push(answer);
        }
        answers.len() == 2
    })
    .await;
    assert_eq!(answers.iter().map(|answer| answer.status.as_u16()).collect::<Vec<_>>(), [202, 202]);
    assert!(!answers[0].is_replayed() && answers[1].is_replayed());
    assert_eq!(answers[0].body, answers[1].body);
    assert_eq!(world.workouts().await, stored + 1);
}

#[tokio::test]
async fn the_same_key_for_another_request_is_refused() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let first = logs(&ann, "k", &run()).await;
    let mut other = run();
    other["title"] = json!("Another");
    logs(&ann, "k", &other).await.assert_problem(422, "idempotency-key-reused");
    // The same key on another route is another key.
    let path = format!("/v1/workouts/{}", first.id());
    let edit = |path: String, title: &'static str| {
        let ann = &ann;
        async move {
            let sending = ann.patch(&path).header("idempotency-key", "k").header("if-match", "*");
            sending.merge_patch(&json!({"title": title})).await
        }
    };
    assert_eq!(edit(path.clone(), "a").await.status, 202);
    assert!(edit(path, "a").await.is_replayed());
    let second = ann.logs_a_run().await;
    edit(format!("/v1/workouts/{second}"), "a").await.assert_problem(422, "idempotency-key-reused");
    assert_eq!(world.events_of(second).await.len(), 1);
}

/// A retry must not take back what another device has made of it since.
#[tokio::test]
async fn a_key_that_changed_nothing_is_answered_the_same_and_changes_nothing_later() {
    let world = World::new().await;
    let (other, _) = world.replica().await;
    let ann = world.athlete("ann").await;
    let says = async |client: &Client, key: &str, bio: &str| {
        let patch = json!({"bio": bio});
        client.patch("/v1/me/profile").header("idempotency-key", key).merge_patch(&patch).await
    };
    assert_eq!(says(&ann, "one", "runs").await.status, 202);
    let first = says(&ann, "two", "runs").await;
    assert_eq!((first.body["version"].as_i64(), first.is_replayed()), (Some(2), false), "nothing was to be changed");
    assert_eq!(says(&ann, "three", "rides").await.body["version"], 3);
    for client in [&ann, &ann.at(&other)] {
        let again = says(client, "two", "runs").await;
        assert_eq!((&again.body, again.is_replayed()), (&first.body, true));
        says(client, "two", "swims").await.assert_problem(422, "idempotency-key-reused");
    }
    assert_eq!(world.last_payload(ann.athlete_id).await["profile"]["bio"], "rides");
    // Without a key nothing is kept.
    let patch = json!({"bio": "rides"});
    assert_eq!(ann.patch("/v1/me/profile").merge_patch(&patch).await.status, 202);
    let kept = "SELECT count(*) FROM answered_commands";
    assert_eq!(count(&world.store, kept).await, 1);
    let old = "UPDATE answered_commands SET answered_at = answered_at - make_interval(hours => $1)";
    for (hours, left) in [(47, 1), (2, 0)] {
        sqlx::query(old).bind(hours).execute(&world.store).await.unwrap();
        world.app.dispatcher.store().sweep_answers().await.unwrap();
        assert_eq!(count(&world.store, kept).await, left);
    }
}

/// What one replica remembers another may have gone on from: where nothing is to be stored, no version is checked by storing it.
#[tokio::test]
async fn what_changes_nothing_by_memory_is_judged_by_the_stream() {
    let world = World::new().await;
    let (other, _) = world.replica().await;
    let ann = world.athlete("ann").await;
    let says = async |client: &Client, bio: &str| {
        let patch = json!({"bio": bio});
        client.patch("/v1/me/profile").header("idempotency-key", &Uuid::now_v7().to_string()).merge_patch(&patch).await
    };
    assert_eq!(says(&ann, "runs").await.body["version"], 2);
    assert_eq!(says(&ann.at(&other), "rides").await.body["version"], 3);
    assert_eq!(says(&ann, "runs").await.body["version"], 4);
    assert_eq!(world.last_payload(ann.athlete_id).await["profile"]["bio"], "runs");
}

#[tokio::test]
async fn another_athlete_s_key_is_another_key() {
    let world = World::new().await;
    let (ann, bob) = (world.athlete("ann").await, world.athlete("bob").await);
    let (anns, bobs) = (logs(&ann, "k", &run()).await, logs(&bob, "k", &run()).await);
    assert_ne!(anns.id(), bobs.id());
    assert!(!bobs.is_replayed());
}

#[tokio::test]
async fn while_the_first_copy_runs_the_second_waits() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let mut body = run();
    body["id"] = json!(Uuid::now_v7());
    let id = serde_json::from_value(body["id"].clone()).unwrap();
    let command_id =
        command_api::routes::idempotency::command_about(fittrack_domain::ids::AthleteId(ann.athlete_id), "log", id);
    let underway = world.app.running.begin(command_id).unwrap();
    ann.post("/v1/workouts").json(&body).await.assert_problem(409, "conflict");
    drop(underway);
    assert_eq!(ann.post("/v1/workouts").json(&body).await.status, 202);
}

#[tokio::test]
async fn fifty_parallel_copies_store_one_event() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let body = run();
    let answers = join_all((0..50).map(|_| logs(&ann, "race", &body))).await;
    let stored: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 202).collect();
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 202 | 409)));
    assert_eq!(stored.iter().filter(|answer| !answer.is_replayed()).count(), 1);
    assert!(stored.iter().all(|answer| answer.body == stored[0].body));
    assert_eq!(world.workouts().await, 1);
    world.assert_log_is_whole().await;
}

#[tokio::test]
async fn a_client_made_id_is_idempotent_by_itself() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let mut body = run();
    body["id"] = json!(Uuid::now_v7());
    let first = ann.post("/v1/workouts").json(&body).await;
    let again = ann.post("/v1/workouts").json(&body).await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert_eq!(json!(first.id()), body["id"]);
    assert!(again.is_replayed());
    body["title"] = json!("Not the same");
    ann.post("/v1/workouts").json(&body).await.assert_problem(409, "conflict");
    logs(&ann, "with a key", &body).await.assert_problem(400, "bad-request");
    logs(&ann, "key", &body).await.assert_problem(409, "conflict");
    assert_eq!(world.workouts().await, 1);
}

#[tokio::test]
async fn without_a_key_each_request_is_its_own() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    assert_ne!(ann.logs_a_run().await, ann.logs_a_run().await);
}

#[tokio::test]
async fn a_command_runs_to_its_end_although_its_client_hangs_up() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let mut begun = 0;
    for after_ms in 0..12_u64 {
        let key = format!("hang-up-{after_ms}");
        // Dropped while it is being worked on, or before it has begun, or after its end: all may happen.
        let body = run();
        let request = logs(&ann, &key, &body);
        let _ = tokio::time::timeout(Duration::from_micros(after_ms * 400), request).await;
        let mut answer = logs(&ann, &key, &body).await;
        eventually("the first copy ends", async || {
            if answer.status == 409 {
                answer = logs(&ann, &key, &body).await;
            }
            answer.status != 409
        })
        .await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        begun += 1;
    }
    eventually("each key is stored once", async || world.workouts().await >= begun).await;
    assert_eq!(world.workouts().await, begun);
    world.assert_log_is_whole().await;
}
