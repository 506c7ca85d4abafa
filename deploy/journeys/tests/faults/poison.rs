//! An event no projection can read: its owner is parked in order, everybody else goes on (R-8, I8).

use fittrack_journeys::patience::until;
use fittrack_journeys::{Athlete, bodies, poison};
use fittrack_local::services::Service;
use serde_json::json;
use sqlx::PgConnection;

use super::stage;

const PARKED: &str = "
    SELECT worker, position, error IS NOT NULL FROM parked_events WHERE owner_id = $1 ORDER BY worker, position";

async fn parked(read_models: &mut PgConnection, athlete: &Athlete) -> Vec<(String, i64, bool)> {
    sqlx::query_as(PARKED).bind(athlete.id).fetch_all(read_models).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_event_parks_its_owner_and_nobody_else() {
    let stage = stage().await;
    let stack = &stage.stack;
    let api = stack.api().unwrap();
    let (victim, other) = (api.register("Victim").await.unwrap(), api.register("Other").await.unwrap());
    let first = victim.log(&bodies::run("2025-01-05T06:00:00Z")).await.unwrap();
    victim.get_seeing(&format!("/v1/workouts/{}", first.id().unwrap()), &first.token()).await.unwrap();
    poison::append(stack, &victim).await.unwrap();
    let behind = victim.log(&bodies::run("2025-01-06T06:00:00Z")).await.unwrap();

    // Others go on, and are seen.
    for day in 7..10 {
        let logged = other.log(&bodies::run(&format!("2025-01-0{day}T06:00:00Z"))).await.unwrap();
        until("another athlete's workout is seen", async || {
            let path = format!("/v1/workouts/{}", logged.id().unwrap());
            other.get_seeing(&path, &logged.token()).await.map(|_| ()).map_err(|error| error.to_string())
        })
        .await
        .unwrap();
    }

    let mut read_models = stack.read_models().await.unwrap();
    let of_workouts = until("the poison and what is behind it are parked in order", async || {
        let rows: Vec<_> = parked(&mut read_models, &victim)
            .await
            .into_iter()
            .filter(|(worker, ..)| worker == "workouts.v1")
            .collect();
        if rows.len() == 2 { Ok(rows) } else { Err(format!("{rows:?}")) }
    })
    .await
    .unwrap();
    let (poisoned, waiting) = (&of_workouts[0], &of_workouts[1]);
    assert!(poisoned.2 && !waiting.2, "only the first has an error: {of_workouts:?}");
    assert_eq!(waiting.1, poisoned.1 + 1);
    let list = victim.all("/v1/workouts", None).await.unwrap();
    assert_eq!(list.len(), 1, "what is parked is not half applied: {list:?}");
    assert!(list.iter().all(|workout| workout["id"] != json!(behind.id())));

    // I8: the checkpoint has passed what is parked, so parked and processed are all there is.
    until("the checkpoint is at the head", async || {
        let (mut store, partition) =
            (stack.event_store().await.map_err(|error| error.to_string())?, partition_of(&victim));
        let head: i64 = scalar("SELECT max(position) FROM events WHERE partition = $1", partition, &mut store).await;
        let query = "SELECT position FROM checkpoints WHERE worker = 'workouts.v1' AND partition = $1";
        let at: i64 = scalar(query, partition, &mut read_models).await;
        if at == head { Ok(()) } else { Err(format!("{at} of {head}")) }
    })
    .await
    .unwrap();
    until("every projection is at the head, and says who is parked", async || {
        let status = stack.operator_json(Service::Projectors, &["status", "--json"]).await;
        let status = status.map_err(|error| error.to_string())?;
        let as_expected = status["projections"].as_array().is_some_and(|all| all.iter().all(is_as_expected));
        if as_expected { Ok(()) } else { Err(status.to_string()) }
    })
    .await
    .unwrap();

    // An operator looks at it, tries in vain, gives it up with a reason, and that is remembered.
    let owner = victim.id.to_string();
    let of_workouts = ["--owner", &owner, "--projection", "workouts"];
    let show = [&["parked", "show", "--json"], of_workouts.as_slice()].concat();
    let shown = stack.operator_json(Service::Projectors, &show).await.unwrap();
    let one = &shown["parked"][0];
    assert_eq!((&one["event"]["position"], &one["waiting"]), (&json!(poisoned.1), &json!(1)), "{shown}");
    assert_eq!(one["rows_before"][0]["workout_id"], json!(first.id()), "{shown}");
    let dry_run = [&["parked", "retry", "--dry-run"], of_workouts.as_slice()].concat();
    let tried = stack.operator(Service::Projectors, &dry_run).await.unwrap();
    assert!(!tried.status.success(), "{tried:?}");
    let without_reason = [&["parked", "discard"], of_workouts.as_slice()].concat();
    assert_eq!(stack.operator(Service::Projectors, &without_reason).await.unwrap().status.code(), Some(2));
    let discard = [&["parked", "discard", "--reason", "a test's", "--by", "anna"], of_workouts.as_slice()].concat();
    let discarded = stack.operator(Service::Projectors, &discard).await.unwrap();
    assert!(discarded.status.success(), "{discarded:?}");
    let decisions = stack.operator_json(Service::Projectors, &["audit", "--json"]).await.unwrap();
    let newest = &decisions["decisions"][0];
    assert_eq!((&newest["action"], &newest["events"]), (&json!("parked_discarded"), &json!(2)), "{decisions}");
    assert_eq!((&newest["decided_by"], &newest["reason"]), (&json!("anna"), &json!("a test's")), "{decisions}");
    assert!(parked(&mut read_models, &victim).await.iter().all(|(worker, ..)| worker != "workouts.v1"));
}

fn is_as_expected(projection: &serde_json::Value) -> bool {
    // Those that have no use for workouts never looked at it.
    let has_no_use = ["profiles", "measurements", "privacy_zones"].iter().any(|name| projection["projection"] == *name);
    let parked = i32::from(!has_no_use);
    projection["parked_keys"] == json!(parked) && projection["lag_events"] == json!(0)
}

fn partition_of(athlete: &Athlete) -> i32 {
    fittrack_domain::partition::partition_of(athlete.id, 32)
}

async fn scalar(query: &str, partition: i32, database: &mut PgConnection) -> i64 {
    sqlx::query_scalar(query).bind(partition).fetch_one(database).await.unwrap()
}
