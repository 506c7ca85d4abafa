//! Whether the time of an answer tells who has an account (S-4): signing in to an unknown address, with a wrong password and to a
//! disabled account; to addresses that have to wait after too many tries; registering an address that has an account and one that
//! has none. What is compared is asked in turn, so that whatever else the machine does meets all alike.
use fittrack_local::{Stack, databases};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    Failure,
    figure::{Bound, Figure},
    measure::{median, ms},
};

/// How often each is asked in a repeat.
const TRIES: usize = 200;
/// Tries before the counters of failures are emptied: the next would have to wait otherwise, and say so.
const BEFORE_A_WAIT: usize = 4;
const PASSWORD: &str = "a bench has no memory";

/// Answers that must take the same time.
struct Group {
    cases: Vec<Case>,
    /// What all of them are answered.
    status: StatusCode,
    /// Whether they are tries of a kind that has to wait soon, but not here.
    counted: bool,
}

/// One way to be answered.
struct Case {
    name: &'static str,
    path: &'static str,
    body: Box<dyn Fn() -> Value>,
}

/// The medians of each group, each against the quickest of its group.
pub async fn run(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    let api = stack.url("command-api")?;
    let mut identity = PgConnection::connect(&stack.database_url(databases::IDENTITY)?).await?;
    let http = Client::new();
    let mut figures = vec![];
    let group = refused(&http, &api, &mut identity).await?;
    figures.extend(compared(&http, &api, group, &mut identity, repeats).await?);
    let group = registered(&http, &api).await?;
    figures.extend(compared(&http, &api, group, &mut identity, repeats).await?);
    let group = waiting(&http, &api, &mut identity).await?;
    figures.extend(compared(&http, &api, group, &mut identity, repeats).await?);
    Ok(figures)
}

async fn compared(
    http: &Client,
    api: &str,
    group: Group,
    identity: &mut PgConnection,
    repeats: u32,
) -> Result<Vec<Figure>, Failure> {
    let mut medians = vec![vec![]; group.cases.len()];
    for _ in 0..repeats {
        for (medians, took) in medians.iter_mut().zip(asked_in_turn(http, api, &group, identity).await?) {
            medians.push(median(&took));
        }
    }
    let medians: Vec<f64> = medians.iter().map(|medians| median(medians)).collect();
    let quickest = medians.iter().copied().fold(f64::INFINITY, f64::min);
    let figure = |(case, value): (Case, f64)| Figure {
        name: format!("{} / the quickest of its kind", case.name),
        value,
        unit: "ms",
        baseline: Some(quickest),
        bound: Bound::RatioAtMost(1.05),
        cpu_us: None,
    };
    Ok(group.cases.into_iter().zip(medians).map(figure).collect())
}

/// How long each case took each time, in milliseconds.
async fn asked_in_turn(
    http: &Client,
    api: &str,
    group: &Group,
    identity: &mut PgConnection,
) -> Result<Vec<Vec<f64>>, Failure> {
    let mut took = vec![vec![]; group.cases.len()];
    for attempt in 0..TRIES {
        if group.counted && attempt % BEFORE_A_WAIT == 0 {
            identity.execute("DELETE FROM throttles").await?;
        }
        // Whoever comes first after the counters were emptied meets other rows: each in turn.
        for turn in 0..group.cases.len() {
            let which = (attempt + turn) % group.cases.len();
            took[which].push(ask(http, api, &group.cases[which], group.status).await?);
        }
    }
    Ok(took)
}

async fn refused(http: &Client, api: &str, identity: &mut PgConnection) -> Result<Group, Failure> {
    let disabled = account(http, api).await?;
    let disable = "UPDATE accounts SET status = 'disabled' WHERE email = $1";
    sqlx::query(disable).bind(&disabled).execute(identity).await?;
    let cases = vec![
        sign_in("refusing an unknown address", new_address()),
        sign_in("refusing a wrong password", account(http, api).await?),
        sign_in("refusing a disabled account", disabled),
    ];
    Ok(Group { cases, status: StatusCode::UNAUTHORIZED, counted: true })
}

async fn waiting(http: &Client, api: &str, identity: &mut PgConnection) -> Result<Group, Failure> {
    let cases = vec![
        sign_in("holding back tries at an unknown address", new_address()),
        sign_in("holding back tries at an account", account(http, api).await?),
    ];
    for case in &cases {
        ask(http, api, case, StatusCode::UNAUTHORIZED).await?;
    }
    // As after many more tries.
    identity.execute("UPDATE throttles SET blocked_until = clock_timestamp() + interval '15 minutes'").await?;
    Ok(Group { cases, status: StatusCode::TOO_MANY_REQUESTS, counted: false })
}

async fn registered(http: &Client, api: &str) -> Result<Group, Failure> {
    let taken = account(http, api).await?;
    let cases = vec![
        Case {
            name: "registering a new address",
            path: "/v1/account",
            body: Box::new(|| registration(&new_address())),
        },
        Case {
            name: "registering one that has an account",
            path: "/v1/account",
            body: Box::new(move || registration(&taken)),
        },
    ];
    Ok(Group { cases, status: StatusCode::ACCEPTED, counted: true })
}

fn new_address() -> String {
    format!("{}@example.org", Uuid::now_v7())
}

fn registration(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "display_name": "Bench"})
}

fn sign_in(name: &'static str, email: String) -> Case {
    let body = move || json!({"email": email, "password": "not the password"});
    Case { name, path: "/v1/account/sessions", body: Box::new(body) }
}

/// A new account's address.
async fn account(http: &Client, api: &str) -> Result<String, Failure> {
    let email = new_address();
    http.post(format!("{api}/v1/account")).json(&registration(&email)).send().await?.error_for_status()?;
    Ok(email)
}

async fn ask(http: &Client, api: &str, case: &Case, expected: StatusCode) -> Result<f64, Failure> {
    let request = http.post(format!("{api}{}", case.path)).json(&(case.body)());
    let started = Instant::now();
    let answer = request.send().await?;
    let took = ms(started.elapsed());
    if answer.status() != expected {
        return Err(format!("{} was answered {} and not {expected}", case.name, answer.status()).into());
    }
    Ok(took)
}
