//! The command line. Exit codes: 0, 1 (it failed, or the check did), 2 (wrong use, settings included).
use std::{
    error::Error,
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use fittrack_runtime::{
    config::{self, ConfigErrors, Secret, Source},
    keys::SigningKey,
    pg::{self, PoolSettings},
    private::Readiness,
};
use fittrack_schemas::{migrations, topics};
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Admin},
    check::Check,
    erase_command::{self, Erase},
    routes, serve,
    settings::{AdminSettings, CheckSettings, MigrateSettings, RelaySettings, SETTINGS, ServeSettings},
};

/// How long `migrate` waits for a database to answer.
const DATABASE_PATIENCE: Duration = Duration::from_secs(30);
/// How long one statement of a migration may take.
const MIGRATION_STATEMENT: Duration = Duration::from_secs(3600);

/// FitTrack's command API: everything that changes something.
#[derive(Debug, Parser)]
#[command(
    name = "command-api",
    version,
    after_help = "Settings are environment variables, or lines of the file FITTRACK_SETTINGS_FILE names; `command-api settings` lists them.\n\
                  Exit codes: 0 done, 1 failed, 2 wrong use or unusable settings."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve HTTP, and publish to Kafka where brokers are set
    Serve,
    /// Publish to Kafka and nothing else
    Relay,
    /// Bring event store, identity and recordings to the newest schema, as their owner
    Migrate,
    /// Signing keys of access tokens
    #[command(subcommand)]
    Keys(Keys),
    /// Administrators, and what only operators do to accounts
    #[command(subcommand)]
    Admin(Admin),
    /// Erasing accounts: ask for it, see how far it is
    #[command(subcommand)]
    Erase(Erase),
    /// Verify the store's invariants, and Kafka's where brokers are set; exits 1 where one is broken
    Check {
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
        /// The topic that is compared with the store
        #[arg(long, default_value = topics::EVENTS)]
        topic: String,
    },
    /// Print the `OpenAPI` document as YAML
    Openapi,
    /// List every setting, as a Markdown table
    Settings,
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Make a new Ed25519 key in a new file that only its owner can read
    Generate {
        /// The file; refused where it exists
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Why a subcommand did not succeed.
enum Failure {
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
            eprintln!("command-api: {errors}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            eprintln!("command-api: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve => Ok(serve::serve(ServeSettings::read(Source::from_env())?).await?),
        Command::Relay => Ok(serve::relay(RelaySettings::read(Source::from_env())?).await?),
        Command::Migrate => migrate(&MigrateSettings::read(Source::from_env())?).await,
        Command::Keys(Keys::Generate { out }) => generate_key(&out),
        Command::Admin(what) => Ok(admin::run(what, &AdminSettings::read(Source::from_env())?.identity).await?),
        Command::Erase(what) => Ok(erase_command::run(what, &AdminSettings::read(Source::from_env())?.identity).await?),
        Command::Check { json, topic } => check(&CheckSettings::read(Source::from_env())?, &topic, json).await,
        Command::Openapi => {
            print!("{}", routes::openapi().to_yaml()?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Settings => {
            print!("{}", config::describe(SETTINGS));
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn migrate(settings: &MigrateSettings) -> Result<ExitCode, Failure> {
    for (name, migrator, url) in [
        ("event store", &migrations::EVENT_STORE, &settings.event_store),
        ("identity", &migrations::IDENTITY, &settings.identity),
        ("recordings", &migrations::RECORDINGS, &settings.recordings),
    ] {
        migrate_one(migrator, url).await.map_err(|error| Failure::Failed(format!("{name}: {error}").into()))?;
        println!("{name}: up to date");
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate_one(migrator: &Migrator, url: &Secret) -> Result<(), Box<dyn Error + Send + Sync>> {
    let settings = PoolSettings {
        statement_timeout: MIGRATION_STATEMENT,
        ..PoolSettings::new("command-api-migrate").max_connections(1)
    };
    let pool = pg::pool(url, settings)?;
    let check = Readiness::new().check("database");
    let never = CancellationToken::new();
    if tokio::time::timeout(DATABASE_PATIENCE, pg::wait_for(&pool, &check, &never)).await.is_err() {
        // One more attempt, for the reason.
        sqlx::query("SELECT 1").execute(&pool).await?;
    }
    migrations::apply(migrator, &pool).await?;
    pool.close().await;
    Ok(())
}

fn generate_key(out: &Path) -> Result<ExitCode, Failure> {
    let pem = SigningKey::generate_pem()?;
    let key = SigningKey::from_pem(&pem)?;
    let failed = |error: std::io::Error| Failure::Failed(format!("cannot write {}: {error}", out.display()).into());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(out).map_err(failed)?;
    file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    println!("{}: key {}", out.display(), key.kid());
    Ok(ExitCode::SUCCESS)
}

async fn check(settings: &CheckSettings, topic: &str, json: bool) -> Result<ExitCode, Failure> {
    let store = pg::pool(&settings.event_store, PoolSettings::new("command-api-check"))?;
    let report = Check { store: &store, kafka: settings.kafka.as_ref(), topic }.run().await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("events in the store   {}", report.events);
        println!("of them proven        {}", report.proven);
        println!("messages in Kafka     {}", report.messages.map_or_else(|| "not asked".to_owned(), |n| n.to_string()));
        println!("repeats among them    {}", report.repeats.map_or_else(|| "not asked".to_owned(), |n| n.to_string()));
        for violation in &report.violations {
            println!("broken: {violation}");
        }
        println!("{}", if report.violations.is_empty() { "all invariants hold" } else { "invariants are broken" });
    }
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
