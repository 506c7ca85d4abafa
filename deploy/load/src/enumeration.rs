//! Whether the time of a refusal tells who has an account (S-4): an unknown address, a wrong password and a disabled account, in turn,
//! so that whatever else the machine does meets all alike.
use fittrack_local::{Stack, databases};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    Failure,
    figure::{Bound, Figure},
    measure::{median, ms},
};

/// How often each is tried in a repeat.
const TRIES: usize = 200;
/// Tries before the counters of failures are emptied: the next would have to wait otherwise, and say so.
const BEFORE_A_WAIT: usize = 4;

/// The medians of the three, each against the quickest of them.
pub async fn run(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    let mut identity = PgConnection::connect(&stack.database_url(databases::IDENTITY)?).await?;
    let known = register(stack).await?;
    let disabled = register(stack).await?;
    let disable = "UPDATE accounts SET status = 'disabled' WHERE email = $1";
    sqlx::query(disable).bind(&disabled).execute(&mut identity).await?;
    let unknown = format!("{}@example.org", Uuid::now_v7());
    let emails = [unknown, known, disabled];
    let http = reqwest::Client::new();
    let mut medians = [vec![], vec![], vec![]];
    for _ in 0..repeats {
        let mut took = [vec![], vec![], vec![]];
        for attempt in 0..TRIES {
            if attempt % BEFORE_A_WAIT == 0 {
                identity.execute("DELETE FROM throttles").await?;
            }
            // Whoever comes first after the counters were emptied meets other rows: each in turn.
            for turn in 0..emails.len() {
                let which = (attempt + turn) % emails.len();
                took[which].push(refusal_ms(&http, stack, &emails[which]).await?);
            }
        }
        for (medians, took) in medians.iter_mut().zip(&took) {
            medians.push(median(took));
        }
    }
    let medians = medians.map(|medians| median(&medians));
    let quickest = medians.iter().copied().fold(f64::INFINITY, f64::min);
    let names = ["an unknown address", "a wrong password", "a disabled account"];
    let figure = |(name, value): (&str, f64)| Figure {
        name: format!("refusing {name} / the quickest refusal"),
        value,
        unit: "ms",
        baseline: Some(quickest),
        bound: Bound::RatioAtMost(1.05),
        cpu_us: None,
    };
    Ok(names.into_iter().zip(medians).map(figure).collect())
}

/// A new account's address.
async fn register(stack: &Stack) -> Result<String, Failure> {
    let email = format!("{}@example.org", Uuid::now_v7());
    let registration = json!({"email": email, "password": "a bench has no memory", "display_name": "Bench"});
    let url = format!("{}/v1/account", stack.url("command-api")?);
    reqwest::Client::new().post(url).json(&registration).send().await?.error_for_status()?;
    Ok(email)
}

async fn refusal_ms(http: &reqwest::Client, stack: &Stack, email: &str) -> Result<f64, Failure> {
    let url = format!("{}/v1/account/sessions", stack.url("command-api")?);
    let request = http.post(url).json(&json!({"email": email, "password": "not the password"}));
    let started = Instant::now();
    let answer = request.send().await?;
    let took = ms(started.elapsed());
    if answer.status() != StatusCode::UNAUTHORIZED {
        return Err(format!("a wrong password was answered {}", answer.status()).into());
    }
    Ok(took)
}
