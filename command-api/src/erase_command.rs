//! `command-api erase`: what operators do about erasures. The work itself is done by the running services; here one is asked for,
//! looked at, or carried out where no service runs.
use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::{
    config::Secret,
    pg::{self, PoolSettings},
};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    erasure::{
        self, Erasure,
        receipt::Receipt,
        request::{By, request},
    },
    identity::{accounts, audit::Origin, email::Email},
};

/// The most erasures that are listed.
const MOST: i64 = 1_000;
/// How often one that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What is to be done.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "An erasure asked for here is carried out by the running `command-api serve` processes that have the \
    eraser's settings (FITTRACK_ERASER_LOG_URL, FITTRACK_ERASER_READ_MODELS_URL).\n\
    After a backup was restored, ask again for every erasure finished since it was made: see the runbook erasure.md."
)]
pub enum Erase {
    /// Close an account and erase everything of its athlete; prints the erasure's id
    Request {
        #[command(flatten)]
        whose: Whose,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Wait until nothing is left, and print the receipt
        #[arg(long)]
        wait: bool,
    },
    /// List erasures, those under way first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Whose account it is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// The account's e-mail address
    #[arg(long, value_parser = parse_email)]
    email: Option<Email>,
    /// The athlete's id, also of one whose account is gone
    #[arg(long, value_name = "ID")]
    athlete: Option<Uuid>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Does it; 0, or 1 where there is no such account or the operator says no.
pub async fn run(erase: Erase, identity: &Secret) -> Result<ExitCode, Failure> {
    let pool = pg::pool(identity, PoolSettings::new("command-api-erase").max_connections(1))?;
    match erase {
        Erase::Request { whose, yes, wait } => ask(&pool, &whose, yes, wait).await,
        Erase::List { json } => list(&pool, json).await,
    }
}

async fn ask(pool: &PgPool, whose: &Whose, yes: bool, wait: bool) -> Result<ExitCode, Failure> {
    let athlete_id = match (&whose.email, whose.athlete) {
        (Some(email), _) => accounts::by_email(pool, email).await?.map(|account| account.athlete_id),
        (None, athlete) => athlete,
    };
    let Some(athlete_id) = athlete_id else {
        eprintln!("command-api: no account has this address");
        return Ok(ExitCode::FAILURE);
    };
    if !yes && !confirmed(athlete_id)? {
        eprintln!("command-api: nothing was done");
        return Ok(ExitCode::FAILURE);
    }
    let mut transaction = pool.begin().await?;
    let requested = request(&mut transaction, athlete_id, By::Operator, &Origin::default()).await?;
    transaction.commit().await?;
    println!(
        "erasure {} of athlete {}; sessions and keys ended: {}",
        requested.erasure_id,
        AthleteId(athlete_id),
        requested.ended.len()
    );
    if wait {
        println!("{}", serde_json::to_string_pretty(&finished(pool, requested.erasure_id).await?)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks at the terminal; nobody there is a no.
fn confirmed(athlete_id: Uuid) -> Result<bool, std::io::Error> {
    eprint!("Everything of athlete {athlete_id} will be gone for good. Type `erase` to go on: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "erase")
}

/// The receipt, once there is nothing left to do; says what is waited for meanwhile.
async fn finished(pool: &PgPool, erasure_id: Uuid) -> Result<Receipt, Failure> {
    let mut said = None;
    loop {
        let erasure = erasure::by_id(pool, erasure_id).await?.ok_or("the erasure is not there any more")?;
        if erasure.finished_at.is_some() {
            return Ok(erasure.into());
        }
        let state = state(&erasure);
        if said.as_ref() != Some(&state) {
            eprintln!("{state}");
            said = Some(state);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn state(erasure: &Erasure) -> String {
    match (&erasure.finished_at, &erasure.waits_for) {
        (Some(finished_at), _) => format!("done {}", finished_at.format("%Y-%m-%d %H:%M:%SZ")),
        (None, Some(waits_for)) => format!("waits for {waits_for}"),
        (None, None) => format!("next: {}", erasure.next_step.as_str()),
    }
}

async fn list(pool: &PgPool, as_json: bool) -> Result<ExitCode, Failure> {
    let erasures = erasure::list(pool, MOST).await?;
    if as_json {
        let shown = |erasure: &Erasure| {
            json!({
                "erasure_id": erasure.erasure_id, "athlete_id": erasure.athlete_id, "requested_at": erasure.requested_at,
                "requested_by": erasure.requested_by, "next_step": erasure.next_step.as_str(), "waits_for": erasure.waits_for,
                "finished_at": erasure.finished_at, "removed": erasure.removed.0,
            })
        };
        let all: Vec<_> = erasures.iter().map(shown).collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{:<36}  {:<36}  {:<20}  {:<8}  state", "erasure", "athlete", "asked for", "by");
    for erasure in &erasures {
        println!(
            "{:<36}  {:<36}  {:<20}  {:<8}  {}",
            erasure.erasure_id,
            erasure.athlete_id,
            erasure.requested_at.format("%Y-%m-%d %H:%M:%SZ"),
            erasure.requested_by,
            state(erasure)
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn parse_email(text: &str) -> Result<Email, String> {
    Email::parse(text).map_err(|error| error.to_string())
}
