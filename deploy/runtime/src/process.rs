//! The start and the end every process shares, so that a `main` is settings, `Process::start`, its own parts, `run_until_done`.
//! Starting needs nothing but its own two ports: databases and brokers may come later, and readiness says when they have.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::config::{LOG, LOG_FORMAT, PRIVATE_LISTEN, Setting, Source};
use crate::pg::Logins;
use crate::private::{Check, Readiness, private_router};
use crate::server::{self, ServerLimits};
use crate::shutdown::Shutdown;
use crate::telemetry::{self, LogFormat, Telemetry, TelemetryError};

/// Settings of every process.
#[derive(Debug, Clone)]
pub struct CommonSettings {
    /// Where the private port listens.
    pub private_listen: SocketAddr,
    /// The log filter.
    pub log: String,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// The databases whose logins are in files, followed as long as the process runs.
    pub logins: Logins,
}

impl CommonSettings {
    /// Their declarations, for the one documented list (each process shows its own default of the private port).
    pub const SETTINGS: &[Setting] = &[PRIVATE_LISTEN, LOG, LOG_FORMAT];

    /// Reads them; `private_listen` is where this process listens unless told otherwise.
    pub fn read(source: &mut Source, private_listen: SocketAddr) -> Self {
        let no_default = Setting { default: None, ..PRIVATE_LISTEN };
        Self {
            private_listen: source.parsed(&no_default, private_listen),
            log: source.optional(&LOG).unwrap_or_default(),
            log_format: source.parsed(&LOG_FORMAT, LogFormat::Json),
            logins: source.logins(),
        }
    }
}

/// Why a process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Logging or metrics.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Signals or the private port.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A started process.
#[derive(Clone)]
pub struct Process {
    /// Its end.
    pub shutdown: Shutdown,
    /// Whether it can serve.
    pub readiness: Readiness,
    /// Its logs and metrics.
    pub telemetry: Telemetry,
    begun: Check,
}

impl Process {
    /// Starts logging, takes over the signals and opens the private port.
    pub async fn start(name: &'static str, settings: &CommonSettings) -> Result<Self, StartError> {
        let telemetry = telemetry::init(name, &settings.log, settings.log_format)?;
        let shutdown = Shutdown::new()?;
        let readiness = Readiness::until(shutdown.token());
        // Asked before its parts are there, a process must not answer that all of their checks hold.
        let begun = readiness.check("begun");
        let listener = server::bind(settings.private_listen).await?;
        let router = private_router(readiness.clone(), telemetry.clone());
        let token = shutdown.background_token();
        let limits =
            ServerLimits { max_connections: 64, drain: std::time::Duration::from_secs(1), ..Default::default() };
        shutdown.spawn_background("private port", server::serve(listener, router, limits, token));
        let upkeep = telemetry.clone().upkeep(shutdown.background_token());
        shutdown.spawn_background("metrics upkeep", async move {
            upkeep.await;
            Ok::<(), std::convert::Infallible>(())
        });
        let following = settings.logins.clone().follow(shutdown.background_token());
        shutdown.spawn_background("logins of databases", async move {
            following.await;
            Ok::<(), std::convert::Infallible>(())
        });
        tracing::info!(private_listen = %settings.private_listen, version = env!("CARGO_PKG_VERSION"), "started");
        Ok(Self { shutdown, readiness, telemetry, begun })
    }

    /// Runs until a signal or a failed part, then ends everything in order. Call it when every check has been added.
    pub async fn run_until_done(self) -> ExitCode {
        self.begun.ready();
        self.shutdown.run_until_done().await
    }
}
