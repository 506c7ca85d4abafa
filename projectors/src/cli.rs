//! The command line. Exit codes: 0, 1 (it failed), 2 (wrong use, settings included).
use std::{error::Error, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, ValueEnum, builder::PossibleValuesParser};
use fittrack_runtime::{
    config::{self, ConfigErrors, Secret, Source},
    pg::{self, PoolSettings},
    private::Readiness,
};
use fittrack_schemas::read_models;
use tokio_util::sync::CancellationToken;

use crate::{
    audit, builds, explain,
    parked::{self, Parked},
    proof, registry,
    replay::{Promote, Rebuild, Retire, Rollback, Verify},
    serve,
    settings::{self, OperatorSettings, RunSettings, SETTINGS},
    status::{self, Detail},
    watch,
};

/// How long `migrate` waits for the database to answer.
const DATABASE_PATIENCE: Duration = Duration::from_secs(30);
/// How long one statement of a migration may take.
pub(crate) const MIGRATION_STATEMENT: Duration = Duration::from_secs(3600);

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
        /// Show each log partition too
        #[arg(long)]
        partitions: bool,
        /// Show retired builds too
        #[arg(long)]
        retired: bool,
    },
    /// Bring the read models' database to the newest schema, as its owner
    Migrate,
    /// Events that a projection could not take
    #[command(subcommand)]
    Parked(Parked),
    /// Build a read model anew from the whole history, beside what readers see; or mend one owner's rows
    Rebuild(Rebuild),
    /// Compare a build with what readers see, at the same positions; exits 1 where something differs that is not meant to
    Verify(Verify),
    /// Show readers a build that was verified, in one step
    Promote(Promote),
    /// Show readers what they saw before the last promotion
    Rollback(Rollback),
    /// Drop a build that readers do not see, for good
    Retire(Retire),
    /// Compare what every build has passed with the whole log; exits 1 where an event was lost, changed or taken twice
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
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
    PossibleValuesParser::new(registry::names())
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
        Command::Status { json, watch, partitions, retired } => {
            let detail = Detail { partitions, retired };
            print_status(&OperatorSettings::read(Source::from_env())?, json, watch, detail).await
        }
        Command::Migrate => migrate(&settings::read_models_owner(Source::from_env())?).await,
        Command::Parked(command) => parked::run(command, &OperatorSettings::read(Source::from_env())?).await,
        Command::Rebuild(command) => command.run().await,
        Command::Verify(command) => command.run().await,
        Command::Promote(command) => command.run().await,
        Command::Rollback(command) => command.run().await,
        Command::Retire(command) => command.run().await,
        Command::Check { json } => print_check(&OperatorSettings::read(Source::from_env())?, json).await,
        Command::Explain { projection, key, json } => {
            print_explanation(&OperatorSettings::read(Source::from_env())?, &projection, &key, json).await
        }
        Command::Audit { limit, json } => print_audit(&OperatorSettings::read(Source::from_env())?, limit, json).await,
        Command::Settings => {
            print!("{}", config::describe(SETTINGS));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// All projections, or those that were named.
fn chosen(wanted: &[String]) -> Vec<&'static str> {
    registry::names().into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|one| one == name)).collect()
}

async fn print_status(
    settings: &OperatorSettings,
    json: bool,
    watch: bool,
    detail: Detail,
) -> Result<ExitCode, Failure> {
    let (store, read_models) = serve::pools(&settings.databases, "status", 1, 1)?;
    if watch {
        watch::watch(&store, &read_models, detail).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let statuses = status::read(&store, &read_models, detail).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "projections": statuses }))?);
    } else {
        print!("{}", status::table(&statuses, &[]));
    }
    Ok(ExitCode::SUCCESS)
}

async fn print_check(settings: &OperatorSettings, json: bool) -> Result<ExitCode, Failure> {
    let (store, read_models) = serve::pools(&settings.databases, "check", 1, 1)?;
    let report = proof::check(&store, &read_models).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", proof::text(&report));
    }
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn print_explanation(
    settings: &OperatorSettings,
    projection: &str,
    key: &str,
    json: bool,
) -> Result<ExitCode, Failure> {
    let (store, read_models) = serve::pools(&settings.databases, "explain", 1, 1)?;
    let mut connection = read_models.acquire().await?;
    let built = builds::shown(&mut connection, projection).await?;
    let explained = explain::explain(&store, &mut connection, built, key).await?;
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
    read_models::migrate(&pool).await?;
    pool.close().await;
    println!("read models: up to date");
    Ok(ExitCode::SUCCESS)
}
