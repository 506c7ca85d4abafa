//! Requests a second over HTTP, each against its baseline: a cached GET against a bare socket, a durable POST against
//! single-row inserts.
use std::{process::Stdio, time::Duration};

use fittrack_local::{POSTGRES, Stack, databases};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Failure,
    appends::{Bench, Rate},
    bare,
    figure::{Bound, Figure},
    measure::{cpu_seconds, median, ms, own_pid},
    projecting::{at_head, wait_until},
};

/// How long each measurement takes.
const SPAN: Duration = Duration::from_secs(5);
/// How many connections ask for a cached resource.
const READERS: usize = 64;
/// How many connections log workouts: as many as there are callers of the appends.
const WRITERS: usize = 512;

/// Somebody who is signed in.
pub struct Athlete {
    /// Their access token.
    pub token: String,
}

/// Registers and signs in somebody new.
pub async fn new_athlete(stack: &Stack) -> Result<Athlete, Failure> {
    let http = reqwest::Client::new();
    let api = stack.url("command-api")?;
    let (email, password) = (format!("{}@example.org", Uuid::now_v7()), "a bench has no memory".to_owned());
    let registration =
        json!({"email": email, "password": password, "display_name": "Bench", "time_zone": "Europe/Berlin"});
    let answer = http.post(format!("{api}/v1/account")).json(&registration).send().await?;
    if !answer.status().is_success() {
        return Err(format!("registration was answered {}", answer.text().await?).into());
    }
    let session = http
        .post(format!("{api}/v1/account/sessions"))
        .json(&json!({"email": email, "password": password}))
        .send()
        .await?
        .error_for_status()?
        .json::<Value>()
        .await?;
    let token = session["access_token"].as_str().ok_or("no access_token")?.to_owned();
    Ok(Athlete { token })
}

/// A workout's JSON, as an app would send it.
pub fn workout_body() -> Value {
    json!({
        "sport": "run", "started_at": "2026-10-31T07:00:00Z", "duration_s": 3600.5, "distance_m": 10_250.0,
        "elevation_gain_m": 85.0, "energy_kcal": 640, "average_heart_rate_bpm": 148, "title": "Morning run",
        "visibility": "public",
    })
}

/// How long each answer took, in milliseconds from when it was due: whoever is late because of another counts as waiting.
pub async fn at_rate<F>(per_second: u32, over: &CancellationToken, request: impl Fn() -> F) -> Result<Vec<f64>, Failure>
where
    F: Future<Output = Result<reqwest::Response, reqwest::Error>> + Send + 'static,
{
    let mut clock = interval(Duration::from_secs(1) / per_second);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut tasks = Vec::new();
    while !over.is_cancelled() {
        let due = clock.tick().await;
        let sent = request();
        tasks.push(tokio::spawn(async move {
            sent.await?.error_for_status()?.bytes().await?;
            Ok::<f64, reqwest::Error>(ms(due.elapsed()))
        }));
    }
    let mut took = Vec::with_capacity(tasks.len());
    for task in tasks {
        took.push(task.await??);
    }
    Ok(took)
}

/// A cached, authenticated GET against a fixed response on a bare socket.
pub async fn get(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    let athlete = new_athlete(stack).await?;
    let (command, query) = (stack.url("command-api")?, stack.url("query-api")?);
    let http = reqwest::Client::new();
    let stored = http
        .post(format!("{command}/v1/workouts"))
        .bearer_auth(&athlete.token)
        .json(&workout_body())
        .send()
        .await?
        .error_for_status()?
        .json::<Value>()
        .await?;
    let path = format!("/v1/workouts/{}", stored["id"].as_str().ok_or("no id")?);
    http.get(format!("{query}{path}"))
        .bearer_auth(&athlete.token)
        .header("Consistency-Token", stored["consistency_token"].as_str().unwrap_or(""))
        .send()
        .await?
        .error_for_status()?;
    let request = |address: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\r\n", athlete.token);
        vec![text.into_bytes(); READERS]
    };
    let query = query.trim_start_matches("http://").to_owned();
    // Both sides send the same bytes, so that what is compared is what it takes to find and to make them.
    let response = bare::Client::connect(&query).await?.fetch(&request(&query)[0]).await?.to_vec();
    let pids = [stack.pid("query-api")?.ok_or("query-api does not run")?];
    let (mut ours, mut cpu, mut baseline) = (vec![], vec![], vec![]);
    for _ in 0..repeats {
        baseline.push(bare_rate(&request, &response).await?);
        let before = cpu_seconds(&pids);
        let rate = bare::rate(&query, &request(&query), 200, SPAN).await?;
        cpu.push((cpu_seconds(&pids) - before) * 1e6 / (rate * SPAN.as_secs_f64()));
        ours.push(rate);
    }
    Ok(vec![Figure {
        name: "cached authenticated GET / fixed response on a bare socket".to_owned(),
        value: median(&ours),
        unit: "req/s",
        baseline: Some(median(&baseline)),
        bound: Bound::RatioAtLeast(0.6),
        cpu_us: Some(median(&cpu)),
    }])
}

/// The bare server runs in a process of its own, as the service does, and answers this response.
async fn bare_rate(request: &impl Fn(&str) -> Vec<Vec<u8>>, response: &[u8]) -> Result<f64, Failure> {
    let mut server = Command::new(std::env::current_exe()?)
        .arg("--bare-server")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    server.stdin.take().ok_or("the bare server has no input")?.write_all(response).await?;
    let output = server.stdout.take().ok_or("the bare server has no output")?;
    let address = BufReader::new(output).lines().next_line().await?.ok_or("the bare server did not start")?;
    let rate = bare::rate(&address, &request(&address), 200, SPAN).await;
    server.kill().await?;
    rate
}

/// Durable, authenticated POST /v1/workouts against single-row INSERT transactions at 32 connections.
///
/// Twice: with the command side alone (its relay publishes to Kafka all the while; projectors belong to other machines where
/// such a rate matters), and with all projections following on the same processors.
pub async fn post(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    let bench = Bench::new(stack).await?;
    let api = stack.url("command-api")?.trim_start_matches("http://").to_owned();
    let requests = post_requests(stack, &api).await?;
    let mut pids = vec![own_pid()];
    for process in ["command-api", POSTGRES] {
        pids.push(stack.pid(process)?.ok_or("a process does not run")?);
    }
    let measured = async || {
        let before = cpu_seconds(&pids);
        let per_second = bare::rate(&api, &requests, 202, SPAN).await?;
        let cpu_us = (cpu_seconds(&pids) - before) * 1e6 / (per_second * SPAN.as_secs_f64());
        Ok::<Rate, Failure>(Rate { per_second, cpu_us })
    };
    let (mut alone, mut followed, mut baseline) = (vec![], vec![], vec![]);
    for _ in 0..repeats {
        followed.push(measured().await?);
        stack.stop_process("projectors").await?;
        baseline.push(bench.single_rows(32, SPAN).await?.per_second);
        alone.push(measured().await?);
        stack.start_process("projectors").await?;
        settled(stack).await?;
    }
    let figure = |name: &str, rates: &[Rate], bound| Figure {
        name: name.to_owned(),
        value: median(&rates.iter().map(|rate| rate.per_second).collect::<Vec<_>>()),
        unit: "req/s",
        baseline: Some(median(&baseline)),
        bound,
        cpu_us: Some(median(&rates.iter().map(|rate| rate.cpu_us).collect::<Vec<_>>())),
    };
    Ok(vec![
        figure("durable authenticated POST /v1/workouts / single-row inserts", &alone, Bound::RatioAtLeast(1.5)),
        figure("the same with all projections following on these processors", &followed, Bound::None),
    ])
}

/// The same workout from as many connections as [`WRITERS`], of a few athletes.
async fn post_requests(stack: &Stack, api: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let mut athletes = Vec::new();
    for _ in 0..16 {
        athletes.push(new_athlete(stack).await?);
    }
    let body = workout_body().to_string();
    let request = |athlete: &Athlete| {
        format!(
            "POST /v1/workouts HTTP/1.1\r\nhost: {api}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            athlete.token,
            body.len()
        )
        .into_bytes()
    };
    Ok(athletes.iter().cycle().take(WRITERS).map(request).collect())
}

/// Waits until the projections have caught up, so that the next measurement starts from rest.
async fn settled(stack: &Stack) -> Result<(), Failure> {
    let store = PgPool::connect(&stack.database_url(databases::EVENT_STORE)?).await?;
    let models = PgPool::connect(&stack.database_url(databases::READ_MODELS)?).await?;
    wait_until("the projections have caught up", async || at_head(&store, &models).await).await
}
