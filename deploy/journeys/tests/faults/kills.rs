//! `kill -9` of each part of a stack under load, started again as `up` would.

use fittrack_journeys::patience::until;
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

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_outlives_kills_while_its_athlete_goes_on_writing() {
    let stage = stage().await;
    let stack = &stage.stack;
    let writers = under_load(stack, Plan::default()).await;
    let leaver = stack.api().unwrap().register("Leaver").await.unwrap();
    for minutes in 0..40 {
        leaver.log(&bodies::run(&bodies::minutes_into_2025(minutes))).await.unwrap();
    }
    let asked = Call::delete("/v1/account").json(&json!({"password": leaver.password}));
    let asked = leaver.send(&asked).await.unwrap().expecting(202).unwrap();
    let receipt = asked.header("location").unwrap().to_owned();
    let killing = async {
        for name in ["command-api", "projectors", "command-api", POSTGRES] {
            stack.kill(name).await.unwrap();
            stack.ensure_up(Parts::Everything).await.unwrap();
        }
    };
    let (mut answers, token) = (Vec::new(), leaver.access_token());
    let going_on = until("whoever has left is refused", async || {
        let minutes = 40 + i64::try_from(answers.len()).unwrap();
        let call = Call::post("/v1/workouts").json(&bodies::run(&bodies::minutes_into_2025(minutes)));
        // With the token it had: signing in again is refused by now. There is no answer while the process is down.
        let answer = leaver.api().send_as(&call, Some(&token)).await;
        answers.extend(answer.map(|answer| answer.status));
        if answers.last() == Some(&401) { Ok(()) } else { Err(format!("{answers:?}")) }
    });
    let ((), refused) = tokio::join!(killing, going_on);
    refused.unwrap();
    let api = stack.api().unwrap();
    until("nothing is left of who left", async || {
        let answer = api.send(&Call::get(&receipt)).await.map_err(|error| error.to_string())?;
        if answer.json()["state"] == "succeeded" { Ok(()) } else { Err(answer.to_string()) }
    })
    .await
    .unwrap();
    assert!(answers.iter().all(|status| [202, 401, 503].contains(status)), "{answers:?}");
    let mut store = stack.event_store().await.unwrap();
    let with_content =
        "SELECT count(*) FROM events WHERE owner_id = $1 AND event_type NOT IN ('redacted', 'account_erased')";
    let left: i64 = sqlx::query_scalar(with_content).bind(leaver.id).fetch_one(&mut store).await.unwrap();
    assert_eq!(left, 0);
    writers.more(SOME).await.unwrap();
    let ledger = writers.stop().await.unwrap();
    invariants::hold(stack, &ledger, "kills during an erasure").await.unwrap();
}
