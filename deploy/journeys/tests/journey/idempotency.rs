//! The same request again has its effect once, and gets the same answer.

use fittrack_journeys::events::Log;
use fittrack_journeys::{Call, TestStack, bodies, problem};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_copies_at_once_one_is_stored() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Ivo").await.unwrap();
    let title = "fifty at once";
    let body = bodies::with(bodies::run("2025-06-01T06:00:00Z"), json!({"title": title}));
    let call = Call::post("/v1/workouts").json(&body).key("the-same-key");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (athlete, call) = (athlete.clone(), call.clone());
        tasks.spawn(async move { athlete.send(&call).await.unwrap() });
    }
    let answers = tasks.join_all().await;
    let stored: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
    let first_times = stored.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count();
    assert_eq!(first_times, 1);
    for answer in &answers {
        match answer.status {
            202 => assert_eq!((answer.id(), answer.version()), (stored[0].id(), Some(1))),
            _ => problem::check(answer, 409).unwrap(),
        }
    }
    assert_eq!(Log::read(&stack).await.unwrap().marked(title).len(), 1);

    let again = athlete.send(&call).await.unwrap().expecting(202).unwrap();
    assert_eq!((again.header("idempotency-replayed"), again.id()), (Some("true"), stored[0].id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_request_of_one_athlete() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let (ivo, eve) = (api.register("Ivo").await.unwrap(), api.register("Eve").await.unwrap());
    let call =
        |minutes: i64| Call::post("/v1/workouts").json(&bodies::run(&bodies::minutes_into_2025(minutes))).key("k");
    let first = ivo.send(&call(1)).await.unwrap().expecting(202).unwrap();
    problem::check(&ivo.send(&call(2)).await.unwrap(), 422).unwrap();
    let others = eve.send(&call(1)).await.unwrap().expecting(202).unwrap();
    assert_ne!(first.id(), others.id());
    assert_eq!(others.header("idempotency-replayed"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_edits_of_one_version_one_wins() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Udo").await.unwrap();
    let id = athlete.log(&bodies::run("2025-06-02T06:00:00Z")).await.unwrap().id().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for nth in 0..8 {
        let (athlete, patch) = (athlete.clone(), json!({"title": format!("edit {nth}")}));
        let call = Call::patch(format!("/v1/workouts/{id}")).if_match(1).merge_patch(&patch);
        tasks.spawn(async move { athlete.send(&call).await.unwrap().status });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 412, 412, 412, 412, 412, 412, 412]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_made_id_is_idempotent_by_itself() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Ola").await.unwrap();
    let id = uuid::Uuid::now_v7();
    let body = bodies::with(bodies::run("2025-06-03T06:00:00Z"), json!({"id": id}));
    assert_eq!(athlete.log(&body).await.unwrap().id(), Some(id));
    assert_eq!(athlete.log(&body).await.unwrap().header("idempotency-replayed"), Some("true"));
    let other = Call::post("/v1/workouts").json(&bodies::with(body, json!({"title": "another one"})));
    problem::check(&athlete.send(&other).await.unwrap(), 409).unwrap();
}
