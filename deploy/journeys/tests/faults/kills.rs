//! `kill -9` of each part of a stack under load, started again as `up` would.

use fittrack_journeys::writers::Plan;
use fittrack_journeys::{Call, TestStack, bodies, invariants, problem};
use fittrack_local::{KAFKA, POSTGRES, Parts};
use serde_json::json;

use super::{SOME, stage, under_load};

/// Kills these processes one after the other under load, and checks that nothing came of it.
async fn killed(stack: &TestStack, names: &[&str], times: usize) {
    let writers = under_load(stack, Plan::default()).await;
    for _ in 0..times {
        for name in names {
            stack.kill(name).await.unwrap();
            stack.ensure_up(Parts::Everything).await.unwrap();
            writers.more(SOME).await.unwrap();
        }
    }
    let ledger = writers.stop().await.unwrap();
    invariants::hold(stack, &ledger, &format!("kill -9 of {}", names.join(", "))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_api_may_be_killed() {
    let stage = stage().await;
    killed(&stage.stack, &["command-api"], 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_projectors_may_be_killed() {
    let stage = stage().await;
    killed(&stage.stack, &["projectors"], 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_may_be_killed_and_commands_go_on_meanwhile() {
    let stage = stage().await;
    let stack = &stage.stack;
    let writers = under_load(stack, Plan::default()).await;
    stack.kill(KAFKA).await.unwrap();
    // nobody who writes notices; the backlog waits in the store.
    writers.more(SOME * 2).await.unwrap();
    assert!(!stack.is_alive(KAFKA).unwrap());
    stack.ensure_up(Parts::Everything).await.unwrap();
    writers.more(SOME).await.unwrap();
    let ledger = writers.stop().await.unwrap();
    invariants::hold(stack, &ledger, "kill -9 of Kafka").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_may_be_killed_and_nothing_false_is_said_meanwhile() {
    let stage = stage().await;
    let stack = &stage.stack;
    let athlete = stack.api().unwrap().register("Patient").await.unwrap();
    let writers = under_load(stack, Plan::default()).await;
    stack.kill(POSTGRES).await.unwrap();
    let call = Call::post("/v1/workouts").json(&bodies::run("2025-01-05T06:00:00Z")).key("while-it-is-away");
    let answer = athlete.send(&call).await.unwrap();
    problem::check(&answer, 503).unwrap();
    let question = Call::get("/v1/workouts?sport=yoga");
    problem::check(&athlete.send(&question).await.unwrap(), 503).unwrap();

    stack.ensure_up(Parts::Everything).await.unwrap();
    writers.more(SOME).await.unwrap();
    stack.kill(POSTGRES).await.unwrap();
    stack.ensure_up(Parts::Everything).await.unwrap();
    writers.more(SOME).await.unwrap();
    let stored = athlete.send(&call).await.unwrap().expecting(202).unwrap();
    assert_eq!(athlete.send(&call).await.unwrap().json()["id"], json!(stored.id()));
    let ledger = writers.stop().await.unwrap();
    invariants::hold(stack, &ledger, "kill -9 of Postgres").await.unwrap();
}
