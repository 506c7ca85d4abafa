//! The command line. Exit codes: 0, 1 (it failed), 2 (wrong use, settings included).
use std::{error::Error, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, ValueEnum, builder::PossibleValuesParser};
use fittrack_runtime::{
    config::{self, ConfigErrors, Secret, Source},
    pg::{self, PoolSettings},
    private::Readiness,
};
use fittrack_schemas::migrations;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    audit::{self, Operator},
    explain,
    owner::{self, Mode, Rebuilt},
    parked::{self, Decision, Parked},
    registry::{PROJECTIONS, Registered},
    serve,
    settings::{self, OperatorSettings, RunSettings, SETTINGS},
    status, watch,
};

/// How long `migrate` waits for the database to answer.
const DATABASE_PATIENCE: Duration = Duration::from_secs(30);
/// How long one statement of a migration may take.
const MIGRATION_STATEMENT: Duration = Duration::from_secs(3600);

/// FitTrack's projectors: they turn events into read models.
#[derive(Debug, Parser)]
#[command(
    name = "projectors",
    version,
    after_help = "Settings are environment variables, or lines of the file FITTRACK_SETTINGS_FILE names; `projectors settings` lists them.\n\
                  Exit codes: 0 done, 1 failed, 2 wrong use or unusable settings."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Project events into read models until told to stop
    Run {
        /// Only this projection; may be given several times
        #[arg(long, value_name = "NAME", value_parser = projection_names())]
        projection: Vec<String>,
        /// Where events come from
        #[arg(long, default_value = "kafka")]
        source: SourceName,
    },
    /// Show how far each projection is, and whether it lives
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Show it every second, with the pace and when each will have caught up, until Ctrl-C
        #[arg(long, conflicts_with = "json")]
        watch: bool,
    },
    /// Bring the read models' database to the newest schema, as its owner
    Migrate,
    /// Events that a projection could not take
    #[command(subcommand)]
    Parked(Parked),
    /// Fold one owner's events anew and replace their rows, fenced against the live worker
    Rebuild {
        /// The projection
        #[arg(value_name = "NAME", value_parser = projection_names())]
        projection: String,
        /// Whose rows
        #[arg(long, value_name = "ID")]
        owner: Uuid,
        /// Roll it back and only say whether the rows are what the log says; exits 1 where they are not
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        decision: Decision,
    },
    /// Show which events made a row, and the row after each of them; the owner's log partition waits meanwhile
    Explain {
        /// The projection
        #[arg(value_name = "NAME", value_parser = projection_names())]
        projection: String,
        /// The row's primary key, its parts separated by slashes; a wrong one is told which they are
        #[arg(value_name = "KEY")]
        key: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// What operators decided, and why: the newest decisions, the last one first
    Audit {
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List every setting, as a Markdown table
    Settings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SourceName {
    /// Through Kafka
    Kafka,
    /// From the event store itself, for installations without Kafka
    Store,
}

/// The names of all projections, for arguments.
pub(crate) fn projection_names() -> PossibleValuesParser {
    PossibleValuesParser::new(PROJECTIONS.map(|projection| projection.name))
}

/// Why a subcommand did not succeed.
pub(crate) enum Failure {
    /// The settings are not usable.
    Settings(ConfigErrors),
    /// It failed.
    Failed(Box<dyn Error + Send + Sync>),
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        // Whatever came here as a `ConfigErrors` is the caller's to mend; everything else is ours.
        match error.into().downcast::<ConfigErrors>() {
            Ok(errors) => Self::Settings(*errors),
            Err(error) => Self::Failed(error),
        }
    }
}

/// Runs the subcommand that was asked for.
pub async fn run(cli: Cli) -> ExitCode {
    match dispatch(cli.command).await {
        Ok(code) => code,
        Err(Failure::Settings(errors)) => {
            eprintln!("projectors: {errors}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            eprintln!("projectors: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run { projection, source } => {
            let from_store = source == SourceName::Store;
            let settings = RunSettings::read(Source::from_env(), !from_store)?;
            Ok(serve::run(settings, chosen(&projection), from_store).await?)
        }
        Command::Status { json, watch } => {
            print_status(&OperatorSettings::read(Source::from_env())?, json, watch).await
        }
        Command::Migrate => migrate(&settings::read_models_owner(Source::from_env())?).await,
        Command::Parked(command) => parked::run(command, &OperatorSettings::read(Source::from_env())?).await,
        Command::Rebuild { projection, owner, dry_run, decision } => {
            let settings = OperatorSettings::read(Source::from_env())?;
            let operator = (!dry_run).then(|| Operator::from(decision));
            rebuild(&settings, named(&projection)?, owner, operator.as_ref()).await
        }
        Command::Explain { projection, key, json } => {
            print_explanation(&OperatorSettings::read(Source::from_env())?, named(&projection)?, &key, json).await
        }
        Command::Audit { limit, json } => print_audit(&OperatorSettings::read(Source::from_env())?, limit, json).await,
        Command::Settings => {
            print!("{}", config::describe(SETTINGS));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// All projections, or those that were named.
fn chosen(names: &[String]) -> Vec<Registered> {
    let wanted = |projection: &Registered| names.is_empty() || names.iter().any(|name| name == projection.name);
    PROJECTIONS.into_iter().filter(wanted).collect()
}

async fn print_status(settings: &OperatorSettings, json: bool, watch: bool) -> Result<ExitCode, Failure> {
    let (store, read_models) = serve::pools(&settings.databases, "status", 1, 1)?;
    if watch {
        watch::watch(&store, &read_models).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let statuses = status::read(&store, &read_models).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "projections": statuses }))?);
    } else {
        print!("{}", status::table(&statuses, &[]));
    }
    Ok(ExitCode::SUCCESS)
}

fn named(projection: &str) -> Result<Registered, Failure> {
    Registered::named(projection).ok_or_else(|| format!("there is no projection {projection}").into())
}

/// Without an operator it is a dry run.
async fn rebuild(
    settings: &OperatorSettings,
    projection: Registered,
    owner_id: Uuid,
    operator: Option<&Operator>,
) -> Result<ExitCode, Failure> {
    let (store, read_models) = serve::pools(&settings.databases, "rebuild", 1, 2)?;
    let notices = parked::notices(settings, &read_models)?;
    let mode = operator.map_or(Mode::DryRun, |operator| Mode::Replace(operator, &notices));
    let mut connection = read_models.acquire().await?;
    let rebuilt = owner::rebuild(&store, &mut connection, projection, owner_id, mode).await?;
    notices.flush().await;
    let Rebuilt { events, before, after } = &rebuilt;
    let done = if operator.is_some() { "replaced" } else { "not touched" };
    let verdict = if rebuilt.is_unchanged() { "they are what the log says" } else { "they were not what the log says" };
    println!(
        "{}  {owner_id}  {events} events, {} rows before, {} after: {verdict}; {done}",
        projection.name, before.rows, after.rows
    );
    let damaged = operator.is_none() && !rebuilt.is_unchanged();
    Ok(if damaged { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn print_explanation(
    settings: &OperatorSettings,
    projection: Registered,
    key: &str,
    json: bool,
) -> Result<ExitCode, Failure> {
    let (store, read_models) = serve::pools(&settings.databases, "explain", 1, 1)?;
    let explained = explain::explain(&store, &mut *read_models.acquire().await?, projection, key).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&explained)?);
    } else {
        print!("{}", explain::text(&explained)?);
    }
    Ok(ExitCode::SUCCESS)
}

async fn print_audit(settings: &OperatorSettings, limit: u32, json: bool) -> Result<ExitCode, Failure> {
    let (_, read_models) = serve::pools(&settings.databases, "audit", 1, 1)?;
    let entries = audit::newest(&read_models, limit).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "decisions": entries }))?);
    } else {
        print!("{}", audit::table(&entries));
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(owner: &Secret) -> Result<ExitCode, Failure> {
    let settings = PoolSettings {
        statement_timeout: MIGRATION_STATEMENT,
        ..PoolSettings::new("projectors-migrate").max_connections(1)
    };
    let pool = pg::pool(owner, settings)?;
    let check = Readiness::new().check("read models");
    let never = CancellationToken::new();
    if tokio::time::timeout(DATABASE_PATIENCE, pg::wait_for(&pool, &check, &never)).await.is_err() {
        // One more attempt, for the reason.
        sqlx::query("SELECT 1").execute(&pool).await?;
    }
    migrations::apply(&migrations::READ_MODELS, &pool).await?;
    pool.close().await;
    println!("read models: up to date");
    Ok(ExitCode::SUCCESS)
}
