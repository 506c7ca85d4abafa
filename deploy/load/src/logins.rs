//! 200 sign-ins at once, burst after burst, beside a steady load of workouts: passwords take 14 ms of a core each, so only a bounded
//! number is checked at a time, and whoever cannot be served soon is told so. Nobody who logs a workout may feel it.
use std::time::Duration;

use fittrack_local::Stack;
use futures::future;
use memchr::memmem;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Failure,
    bare::{self, Client},
    figure::{Bound, Figure},
    measure::{median, ms, percentile, resident_megabytes},
    requests::{Athlete, at_rate, new_athlete, workout_body},
};

/// How many sign in at once.
const AT_ONCE: usize = 200;
/// Workouts a second.
const WRITES: u32 = 100;
/// How long writes are watched.
const WATCHED: Duration = Duration::from_secs(10);
/// After this a sign-in hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// What one argon2id needs, in megabytes: 19 MiB.
const HASH_MB: f64 = 19.0;

/// What became of the sign-ins.
#[derive(Default)]
struct Bursts {
    signed_in: f64,
    refused: f64,
    /// How long the slowest answer took, in milliseconds.
    slowest_ms: f64,
    /// The most memory the service had meanwhile.
    peak_mb: f64,
}

/// Writes beside bursts of sign-ins, and without; with the command side alone, as other machines have the projectors.
pub async fn run(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    stack.stop_process("projectors").await?;
    let figures = measured(stack, repeats).await?;
    stack.start_process("projectors").await?;
    Ok(figures)
}

async fn measured(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    let emails = accounts(stack).await?;
    let writer = new_athlete(stack).await?;
    let (mut with, mut without, mut slowest, mut grown) = (vec![], vec![], vec![], vec![]);
    let (mut signed_in, mut refused) = (0.0, 0.0);
    writes(stack, &writer, sleep(WATCHED)).await?; // the first requests of a process are slower
    bursts(stack, &emails, Instant::now()).await?; // and so are the first hashes
    for _ in 0..repeats {
        without.push(writes(stack, &writer, sleep(WATCHED)).await?);
        let before = memory(stack)?;
        let until = Instant::now() + WATCHED;
        let (p99, bursts) =
            tokio::try_join!(writes(stack, &writer, sleep_until(until)), bursts(stack, &emails, until))?;
        with.push(p99);
        slowest.push(bursts.slowest_ms);
        grown.push(bursts.peak_mb - before);
        signed_in += bursts.signed_in;
        refused += bursts.refused;
    }
    let permits = std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1));
    let figure = |name: &str, value, unit, baseline, bound| Figure {
        name: name.to_owned(),
        value,
        unit,
        baseline,
        bound,
        cpu_us: None,
    };
    let repeats = f64::from(repeats);
    Ok(vec![
        figure(
            "p99 of writes beside 200 sign-ins at once / without",
            median(&with),
            "ms",
            Some(median(&without)),
            Bound::RatioAtMost(2.0),
        ),
        figure("the slowest answer to a sign-in", median(&slowest), "ms", None, Bound::AtMost(2_000.0)),
        figure(
            "memory that the sign-ins took",
            median(&grown),
            "MB",
            None,
            Bound::AtMost(permits as f64 * HASH_MB * 1.2),
        ),
        figure("signed in", signed_in / repeats, "a repeat", None, Bound::AtLeast(1.0)),
        figure("refused with 503 and Retry-After", refused / repeats, "a repeat", None, Bound::AtLeast(1.0)),
    ])
}

fn memory(stack: &Stack) -> Result<f64, Failure> {
    resident_megabytes(stack.pid("command-api")?.ok_or("the command API does not run")?)
}

const PASSWORD: &str = "a bench has no memory";

/// Accounts to sign in to, one for each who does: many tries at one account at once would have to wait for each other.
async fn accounts(stack: &Stack) -> Result<Vec<String>, Failure> {
    let (http, url) = (reqwest::Client::new(), format!("{}/v1/account", stack.url("command-api")?));
    let mut emails = Vec::with_capacity(AT_ONCE);
    for _ in 0..AT_ONCE {
        let email = format!("{}@example.org", Uuid::now_v7());
        let registration = json!({"email": email, "password": PASSWORD, "display_name": "Bench"});
        http.post(&url).json(&registration).send().await?.error_for_status()?;
        emails.push(email);
    }
    Ok(emails)
}

/// p99 of workouts at a steady rate, in milliseconds.
async fn writes(stack: &Stack, writer: &Athlete, until: impl Future<Output = ()>) -> Result<f64, Failure> {
    let (over, http) = (CancellationToken::new(), reqwest::Client::new());
    let url = format!("{}/v1/workouts", stack.url("command-api")?);
    let post = || http.post(&url).bearer_auth(&writer.token).json(&workout_body()).send();
    let ending = async {
        until.await;
        over.cancel();
        Ok(())
    };
    let ((), took) = tokio::try_join!(ending, at_rate(WRITES, &over, post))?;
    Ok(percentile(&took, 0.99))
}

/// Bursts of sign-ins, one after the other, until then; at least one.
async fn bursts(stack: &Stack, emails: &[String], until: Instant) -> Result<Bursts, Failure> {
    let api = stack.url("command-api")?.trim_start_matches("http://").to_owned();
    // Plain connections: what clients spend on themselves is no load of the service, and here they share its processors.
    let mut clients = Vec::with_capacity(emails.len());
    for email in emails {
        clients.push((Client::connect(&api).await?, request(&api, email)));
    }
    let mut all = Bursts::default();
    loop {
        let at_once = clients.iter_mut().map(|(client, request)| sign_in(client, request));
        let answers = future::try_join_all(at_once).await?;
        all.peak_mb = all.peak_mb.max(memory(stack)?);
        for (is_in, took_ms) in answers {
            *(if is_in { &mut all.signed_in } else { &mut all.refused }) += 1.0;
            all.slowest_ms = all.slowest_ms.max(took_ms);
        }
        if Instant::now() >= until {
            return Ok(all);
        }
    }
}

fn request(api: &str, email: &str) -> Vec<u8> {
    let body = json!({"email": email, "password": PASSWORD}).to_string();
    let head = format!(
        "POST /v1/account/sessions HTTP/1.1\r\nhost: {api}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// Whether somebody got in, or was refused as they should be; and how long that took. Anything else is a failure.
async fn sign_in(client: &mut Client, request: &[u8]) -> Result<(bool, f64), Failure> {
    let started = Instant::now();
    let response = timeout(PATIENCE, client.fetch(request)).await.map_err(|_| "a sign-in hangs")??;
    let took = ms(started.elapsed());
    match (bare::status(response), memmem::find(response, b"\r\nretry-after: ")) {
        (201, _) => Ok((true, took)),
        (503, Some(_)) => Ok((false, took)),
        _ => Err(format!("a sign-in was answered {}", String::from_utf8_lossy(response)).into()),
    }
}
