//! From the answer of `POST /v1/workouts` to the first `GET` of that workout that finds it, through Kafka, at a steady
//! 100 workouts a second. The reader polls without a consistency token, so nothing waits for anything but the road.
use std::time::Duration;

use fittrack_local::Stack;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::{
    Failure,
    figure::{Bound, Figure},
    measure::{median, ms, percentile},
    requests::{new_athlete, workout_body},
};

/// Workouts a second.
const RATE: u32 = 100;
/// How many workouts are followed in one repeat.
const WORKOUTS: usize = 2_000;
/// How many go before them uncounted: a broker that has just started compiles itself for some seconds.
const WARM_UP: usize = 1_000;
/// The time between two looks.
const LOOK: Duration = Duration::from_millis(1);
/// After this a workout counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// p50 and p99, each the median of the repeats.
pub async fn run(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    let (mut p50, mut p99) = (vec![], vec![]);
    for _ in 0..repeats {
        let spans = once(stack).await?;
        p50.push(percentile(&spans, 0.5));
        p99.push(percentile(&spans, 0.99));
    }
    let figure = |name: &str, value, bound| Figure {
        name: format!("answer to visible at {RATE} workouts/s, {name}"),
        value,
        unit: "ms",
        baseline: None,
        bound,
        cpu_us: None,
    };
    Ok(vec![figure("p50", median(&p50), Bound::AtMost(10.0)), figure("p99", median(&p99), Bound::AtMost(30.0))])
}

async fn once(stack: &Stack) -> Result<Vec<f64>, Failure> {
    let (command, query) = (stack.url("command-api")?, stack.url("query-api")?);
    let token = new_athlete(stack).await?.token;
    let http = reqwest::Client::new();
    let mut clock = interval(Duration::from_secs(1) / RATE);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut tasks = Vec::with_capacity(WORKOUTS);
    for n in 0..WARM_UP + WORKOUTS {
        clock.tick().await;
        let (http, token) = (http.clone(), token.clone());
        let (command, query) = (format!("{command}/v1/workouts"), format!("{query}/v1/workouts"));
        let task = tokio::spawn(async move { follow_one(&http, &token, &command, &query).await });
        if n >= WARM_UP {
            tasks.push(task);
        }
    }
    let mut spans = Vec::with_capacity(tasks.len());
    for task in tasks {
        spans.push(task.await??);
    }
    Ok(spans)
}

async fn follow_one(http: &reqwest::Client, token: &str, command: &str, query: &str) -> Result<f64, Failure> {
    let answer = http.post(command).bearer_auth(token).json(&workout_body()).send().await?.error_for_status()?;
    let answered = Instant::now();
    let stored = answer.json::<Value>().await?;
    let url = format!("{query}/{}", stored["id"].as_str().ok_or("no id")?);
    loop {
        let seen = http.get(&url).bearer_auth(token).send().await?;
        if seen.status().is_success() {
            return Ok(ms(answered.elapsed()));
        }
        if answered.elapsed() > PATIENCE {
            return Err(format!("a stored workout is not visible after {PATIENCE:?}").into());
        }
        sleep(LOOK).await;
    }
}
