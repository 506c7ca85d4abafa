//! Any order of starting, and stopping at any moment: ready when the others are there, gone within seconds.

use std::time::Duration;

use fittrack_journeys::patience::until;
use fittrack_journeys::process::OwnProcess;
use fittrack_journeys::writers::Plan;
use fittrack_journeys::{TestStack, bodies, invariants};
use fittrack_local::{KAFKA, POSTGRES};

use super::{SOME, stage, under_load};

const SERVICES: [&str; 3] = ["command-api", "projectors", "query-api"];
/// The promise is ten seconds; a machine busy with other tests gets half as much again.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);

fn main_command(service: &str) -> &'static str {
    if service == "projectors" { "run" } else { "serve" }
}

async fn get(url: String) -> Option<u16> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().unwrap();
    client.get(url).send().await.ok().map(|answer| answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_may_start_before_what_they_need() {
    let stage = stage().await;
    let stack = &stage.stack;
    stack.stop().await.unwrap();

    let mut services: Vec<OwnProcess> = Vec::new();
    for service in SERVICES {
        services.push(OwnProcess::spawn(stack, service, &[main_command(service)], &[]).unwrap());
    }
    for service in SERVICES {
        let private = stack.private_url(service).unwrap();
        until(&format!("{service} lives and says that it is not ready"), async || {
            match (get(format!("{private}/livez")).await, get(format!("{private}/readyz")).await) {
                (Some(200), Some(503)) => Ok(()),
                other => Err(format!("/livez and /readyz answer {other:?}")),
            }
        })
        .await
        .unwrap();
    }
    stack.start_process(POSTGRES).await.unwrap();
    stack.start_process(KAFKA).await.unwrap();
    for service in &mut services {
        service.ready(stack).await.unwrap();
    }
    works(stack).await;
    let writers = under_load(stack, Plan::default()).await;
    let ledger = writers.stop().await.unwrap();
    invariants::hold(stack, &ledger, "a start in the wrong order").await.unwrap();
}

async fn works(stack: &TestStack) {
    let athlete = stack.api().unwrap().register("Early").await.unwrap();
    let logged = athlete.log(&bodies::run("2025-01-05T06:00:00Z")).await.unwrap();
    until("the workout is seen", async || {
        let path = format!("/v1/workouts/{}", logged.id().unwrap());
        athlete.get_seeing(&path, &logged.token()).await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_stops_in_time_under_load_and_loses_nothing() {
    let stage = stage().await;
    let stack = &stage.stack;
    let writers = under_load(stack, Plan { hang_ups: 10, ..Plan::default() }).await;
    for service in SERVICES {
        // One that this test has started itself: only a parent learns an exit code.
        stack.stop_process(service).await.unwrap();
        let mut process = OwnProcess::spawn(stack, service, &[main_command(service)], &[]).unwrap();
        process.ready(stack).await.unwrap();
        writers.more(SOME / 2).await.unwrap();
        process.terminate().await.unwrap();
        let status = process.ended(STOPPED_WITHIN).await.unwrap();
        assert_eq!(status.code(), Some(0), "{service} ended with {status}");
        stack.start_process(service).await.unwrap();
        writers.more(SOME / 2).await.unwrap();
    }
    let ledger = writers.stop().await.unwrap();
    invariants::hold(stack, &ledger, "SIGTERM of each service").await.unwrap();
}
