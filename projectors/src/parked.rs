//! `projectors parked`: what operators see of the parking lot and do with it.
use std::process::ExitCode;

use clap::{Args, Subcommand};
use fittrack_runtime::kafka;
use fittrack_schemas::topics;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    audit::Operator,
    cli::{Failure, projection_names},
    notices::Notices,
    parking::{
        RefoldError, list, retry,
        show::{self, Shown},
        sql,
    },
    registry::Built,
    serve,
    settings::OperatorSettings,
};

const UTC: &str = "%Y-%m-%d %H:%M:%S UTC";
const NO_SUCH_PROJECTION: &str = "this program has no such projection";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Parked {
    /// What is parked, grouped by cause
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// An owner's parked event: itself, why it failed, what waits behind it, and the owner's rows before it
    Show {
        /// Whose
        #[arg(long, value_name = "ID")]
        owner: Uuid,
        /// Only this projection's
        #[arg(long, value_name = "NAME", value_parser = projection_names())]
        projection: Option<String>,
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
        /// Try it in a transaction that is rolled back, and say what would come of it
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        decision: Decision,
    },
    /// Give up an owner's parked events for good: the read models will never show them
    Discard {
        /// Whose
        #[arg(long, value_name = "ID")]
        owner: Uuid,
        /// Only this projection's
        #[arg(long, value_name = "NAME", value_parser = projection_names())]
        projection: Option<String>,
        /// Why, for `projectors audit`
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        by: By,
    },
}

/// Who decides.
#[derive(Debug, Clone, Args)]
pub struct By {
    /// Your name, for `projectors audit`
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    by: String,
}

/// Who decides, and why if they want to say.
#[derive(Debug, Clone, Args)]
pub struct Decision {
    /// Why, for `projectors audit`
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    by: By,
}

impl From<Decision> for Operator {
    fn from(Decision { reason, by }: Decision) -> Self {
        Self { name: by.by, reason }
    }
}

/// Runs one of them.
pub(crate) async fn run(command: Parked, settings: &OperatorSettings) -> Result<ExitCode, Failure> {
    let (_, read_models) = serve::pools(&settings.databases, "parked", 1, 2)?;
    match command {
        Parked::List { json } => list(&read_models, json).await,
        Parked::Show { owner, projection, json } => show(&read_models, owner, projection.as_deref(), json).await,
        Parked::Retry { owner, projection, dry_run: true, .. } => {
            dry_run(&read_models, owner, projection.as_deref()).await
        }
        Parked::Retry { owner, projection, decision, .. } => {
            retry(&read_models, owner, projection.as_deref(), &decision.into(), settings).await
        }
        Parked::Discard { owner, projection, reason, by } => {
            let operator = Operator { name: by.by, reason: Some(reason) };
            discard(&read_models, owner, projection.as_deref(), &operator).await
        }
    }
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
        println!("{}  {}  since {}", cause.worker, cause.event_type, cause.since.format(UTC));
        println!("  cause   {}", cause.error);
        println!("  parked  {} events of {} owners", cause.events, cause.owners);
        println!("  owners  {}", examples.join(" "));
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(read_models: &PgPool, owner: Uuid, projection: Option<&str>, json: bool) -> Result<ExitCode, Failure> {
    let mut connection = read_models.acquire().await?;
    let mut shown = Vec::new();
    for (worker, partition, owner_id) in sql::keys(&mut connection, projection, Some(owner)).await? {
        shown.extend(show::show(&mut connection, &worker, partition, owner_id).await?);
    }
    if shown.is_empty() {
        return Err(nothing_parked(owner));
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "parked": shown }))?);
    } else {
        for one in shown {
            print_shown(&one)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_shown(shown: &Shown) -> Result<(), serde_json::Error> {
    let event = &shown.event;
    println!("{}  owner {}  parked since {}", shown.worker, shown.owner_id, shown.parked_at.format(UTC));
    println!(
        "  event   {} version {} at {}:{}, event {} of {} {}, stored {}",
        event.event_type,
        event.event_version,
        event.partition,
        event.position,
        event.sequence,
        event.aggregate_type,
        event.aggregate_id,
        event.recorded_at.format(UTC)
    );
    println!("  cause   {}", shown.error);
    println!("  payload {}", event.payload);
    println!("  behind  {} events wait", shown.waiting);
    for waiting in &shown.first_waiting {
        println!("          {}  {}  {}", waiting.position, waiting.event_type, waiting.recorded_at);
    }
    println!("  before  {} rows{}", shown.rows_before.len(), if shown.more_rows { " and more" } else { "" });
    for row in &shown.rows_before {
        println!("          {}", serde_json::to_string(row)?);
    }
    Ok(())
}

async fn dry_run(read_models: &PgPool, owner: Option<Uuid>, projection: Option<&str>) -> Result<ExitCode, Failure> {
    let mut connection = read_models.acquire().await?;
    let mut failed = false;
    for (worker, partition, owner_id) in sql::keys(&mut connection, projection, owner).await? {
        let outcome = match Built::of_worker(&worker) {
            Some(built) => retry::dry_run(&mut connection, built, partition, owner_id).await,
            None => Err(RefoldError::Still(NO_SUCH_PROJECTION.to_owned())),
        };
        match outcome {
            Ok(events) => println!("{worker}  {owner_id}  would apply {events} events"),
            Err(error) => {
                println!("{worker}  {owner_id}  would stay parked: {error}");
                failed = true;
            }
        }
    }
    println!("nothing was changed");
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn retry(
    read_models: &PgPool,
    owner: Option<Uuid>,
    projection: Option<&str>,
    operator: &Operator,
    settings: &OperatorSettings,
) -> Result<ExitCode, Failure> {
    let notices = notices(settings, read_models)?;
    let mut connection = read_models.acquire().await?;
    let mut failed = 0;
    for (worker, partition, owner_id) in sql::keys(&mut connection, projection, owner).await? {
        let Some(built) = Built::of_worker(&worker) else {
            println!("{worker}  {owner_id}  left alone: {NO_SUCH_PROJECTION}");
            failed += 1;
            continue;
        };
        match retry::retry(&mut connection, built, partition, owner_id, operator, &notices).await {
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

async fn discard(
    read_models: &PgPool,
    owner: Uuid,
    projection: Option<&str>,
    operator: &Operator,
) -> Result<ExitCode, Failure> {
    let mut connection = read_models.acquire().await?;
    let keys = sql::keys(&mut connection, projection, Some(owner)).await?;
    if keys.is_empty() {
        return Err(nothing_parked(owner));
    }
    for (worker, partition, owner_id) in keys {
        let discarded = retry::discard(&mut connection, &worker, partition, owner_id, operator).await?;
        println!("{worker}  {owner_id}  discarded {discarded} events");
    }
    Ok(ExitCode::SUCCESS)
}

fn nothing_parked(owner: Uuid) -> Failure {
    Failure::Failed(format!("nothing of {owner} is parked").into())
}

/// Where changes are told: through Kafka, or through Postgres where there is none.
pub(crate) fn notices(settings: &OperatorSettings, read_models: &PgPool) -> Result<Notices, Failure> {
    Ok(match &settings.kafka {
        Some(access) => Notices::over_kafka(
            kafka::hint_producer(access, "fittrack-projectors-operator", &kafka::LogContext::default())?,
            topics::READ_MODEL_CHANGES,
        ),
        None => Notices::over_postgres(read_models.clone(), CancellationToken::new()),
    })
}
