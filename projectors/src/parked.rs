//! `projectors parked`: what operators see of the parking lot and do with it.
use std::process::ExitCode;

use clap::Subcommand;
use fittrack_runtime::kafka;
use fittrack_schemas::topics;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cli::{Failure, projection_names},
    notices::Notices,
    parking::{list, retry, sql},
    registry::Registered,
    serve,
    settings::OperatorSettings,
};

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Parked {
    /// What is parked, grouped by cause
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Apply parked events, each owner's in order and all or none; exits 1 where some fail still
    Retry {
        /// Only this owner's
        #[arg(long, value_name = "ID")]
        owner: Option<Uuid>,
        /// Only this projection's
        #[arg(long, value_name = "NAME", value_parser = projection_names())]
        projection: Option<String>,
    },
    /// Give up an owner's parked events for good: the read models will never show them
    Discard {
        /// Whose
        #[arg(long, value_name = "ID")]
        owner: Uuid,
        /// Only this projection's
        #[arg(long, value_name = "NAME", value_parser = projection_names())]
        projection: Option<String>,
    },
}

/// Runs one of them.
pub(crate) async fn run(command: Parked, settings: &OperatorSettings) -> Result<ExitCode, Failure> {
    let (_, read_models) = serve::pools(&settings.databases, "parked", 1, 2)?;
    match command {
        Parked::List { json } => list(&read_models, json).await,
        Parked::Retry { owner, projection } => retry(&read_models, owner, worker(projection), settings).await,
        Parked::Discard { owner, projection } => discard(&read_models, owner, worker(projection)).await,
    }
}

fn worker(projection: Option<String>) -> Option<String> {
    projection.and_then(|name| Registered::named(&name)).map(|projection| projection.worker())
}

async fn list(read_models: &PgPool, json: bool) -> Result<ExitCode, Failure> {
    let causes = list::causes(read_models).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "causes": causes }))?);
        return Ok(ExitCode::SUCCESS);
    }
    if causes.is_empty() {
        println!("nothing is parked");
    }
    for cause in causes {
        let examples: Vec<String> = cause.examples.iter().map(Uuid::to_string).collect();
        println!("{}  {}  since {}", cause.worker, cause.event_type, cause.since.format("%Y-%m-%d %H:%M:%S UTC"));
        println!("  cause   {}", cause.error);
        println!("  parked  {} events of {} owners", cause.events, cause.owners);
        println!("  owners  {}", examples.join(" "));
    }
    Ok(ExitCode::SUCCESS)
}

async fn retry(
    read_models: &PgPool,
    owner: Option<Uuid>,
    worker: Option<String>,
    settings: &OperatorSettings,
) -> Result<ExitCode, Failure> {
    let stop = CancellationToken::new();
    let notices = match &settings.brokers {
        Some(brokers) => {
            Notices::over_kafka(kafka::producer(brokers, "fittrack-projectors-parked")?, topics::READ_MODEL_CHANGES)
        }
        None => Notices::over_postgres(read_models.clone(), stop.clone()),
    };
    let mut connection = read_models.acquire().await?;
    let mut failed = 0;
    for (worker, partition, owner_id) in sql::keys(&mut connection, worker.as_deref(), owner).await? {
        let Some(projection) = Registered::of_worker(&worker) else {
            println!("{worker}  {owner_id}  left alone: this program has no such projection");
            failed += 1;
            continue;
        };
        match retry::retry(&mut connection, projection, partition, owner_id, &notices).await {
            Ok(events) => println!("{worker}  {owner_id}  applied {events} events"),
            Err(error) => {
                println!("{worker}  {owner_id}  parked still: {error}");
                failed += 1;
            }
        }
    }
    notices.flush().await;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn discard(read_models: &PgPool, owner: Uuid, worker: Option<String>) -> Result<ExitCode, Failure> {
    let mut connection = read_models.acquire().await?;
    let keys = sql::keys(&mut connection, worker.as_deref(), Some(owner)).await?;
    if keys.is_empty() {
        return Err(Failure::Failed(format!("nothing of {owner} is parked").into()));
    }
    for (worker, partition, owner_id) in keys {
        let discarded = retry::discard(&mut connection, &worker, partition, owner_id).await?;
        println!("{worker}  {owner_id}  discarded {discarded} events");
    }
    Ok(ExitCode::SUCCESS)
}
