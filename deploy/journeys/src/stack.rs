//! A whole stack of one's own for a test: Postgres, Kafka and the three services, in a folder and on ports nobody else has.
//! A test that disturbs nothing shares one with the other tests of its file; a test that kills things starts its own.

mod binaries;
mod companion;
mod shared;

use std::ops::Deref;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fittrack_local::databases::{EVENT_STORE, IDENTITY, READ_MODELS, RECORDINGS};
use fittrack_local::services::Service;
use fittrack_local::{Parts, Stack};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use crate::client::Api;
use crate::failure::{Failure, Result};
use crate::{leaks, secrets};
use companion::Companion;

/// How long one of several processes may keep a client waiting; more than the query API waits for a token.
const SOON: Duration = Duration::from_secs(3);

/// A running stack; what [`Stack`] can do to its processes, and what a test asks of it besides.
#[derive(Debug)]
pub struct TestStack {
    stack: Stack,
    /// Dropped after the stack: then there is nothing left for it to do.
    _companion: Option<Companion>,
}

impl Deref for TestStack {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl TestStack {
    /// A stack for one test; stopped and wiped when it is dropped, unless `FITTRACK_KEEP` is set.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start() -> Result<Self> {
        let binaries = binaries::folder()?;
        let stack = Stack::temporary(Parts::Everything, binaries.clone()).await?;
        secrets::know_stack(&stack).await?;
        if std::env::var_os("FITTRACK_KEEP").is_some() {
            stack.keep();
            eprintln!("the stack is kept in {}", stack.dir().display());
            return Ok(Self { stack, _companion: None });
        }
        let companion = Companion::of(&binaries, stack.dir())?;
        Ok(Self { stack, _companion: Some(companion) })
    }

    /// The stack all tests of this program share; stopped and wiped when the program ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn shared() -> Result<Self> {
        Ok(Self { stack: shared::open().await?, _companion: None })
    }

    /// A client of the first process of each service.
    ///
    /// # Errors
    /// When none can be made.
    pub fn api(&self) -> Result<Api> {
        Api::new(vec![self.url("command-api")?], vec![self.url("query-api")?])
    }

    /// A client that takes these command APIs in turn, and soon leaves one that does not answer.
    ///
    /// # Errors
    /// When none can be made.
    pub fn api_through(&self, command_apis: &[&str]) -> Result<Api> {
        let commands = command_apis.iter().map(|name| self.url(name)).collect::<Result<Vec<_>, _>>()?;
        Api::with_timeout(commands, vec![self.url("query-api")?], SOON)
    }

    /// The event store, as its administrator.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn event_store(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.database_url(EVENT_STORE)?).await?)
    }

    /// The read models, as their administrator.
    ///
    /// # Errors
    /// When they do not answer.
    pub async fn read_models(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.database_url(READ_MODELS)?).await?)
    }

    /// The accounts, as their administrator.
    ///
    /// # Errors
    /// When they do not answer.
    pub async fn identity(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.database_url(IDENTITY)?).await?)
    }

    /// The blobs of recordings, as their administrator.
    ///
    /// # Errors
    /// When they do not answer.
    pub async fn recordings(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.database_url(RECORDINGS)?).await?)
    }

    /// What an operator's command line does and prints.
    pub async fn operator(&self, service: Service, arguments: &[&str]) -> Result<std::process::Output> {
        let mut command = tokio::process::Command::from(self.operator_command(service)?);
        Ok(command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await?)
    }

    /// Makes an administrator of this address; the one-time secret that sets their password.
    ///
    /// # Errors
    /// When none is printed.
    pub async fn administrator(&self, email: &str) -> Result<String> {
        let made = self.operator(Service::CommandApi, &["admin", "create", "--email", email]).await?;
        let printed = String::from_utf8_lossy(&made.stdout);
        let secret = printed.lines().find_map(|line| line.strip_prefix("one-time secret: "));
        let refused = || Failure::new(format!("{email}: {}", String::from_utf8_lossy(&made.stderr)));
        let secret = secret.ok_or_else(refused)?;
        secrets::know("a one-time secret", secret);
        Ok(secret.to_owned())
    }

    /// Runs an operator's command line of a service against this stack; its JSON, whatever its exit code.
    ///
    /// # Errors
    /// When it prints no JSON.
    pub async fn operator_json(&self, service: Service, arguments: &[&str]) -> Result<Value> {
        let output = self.operator(service, arguments).await?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            Failure::new(format!(
                "{} {} ({}) printed no JSON: {error}\n{}{}",
                service.name(),
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            ))
        })
    }

    /// The folder of the logs.
    pub fn logs(&self) -> std::path::PathBuf {
        self.dir().join("logs")
    }
}

impl Drop for TestStack {
    /// No test ends well while something shows a secret. A failed one takes its logs along; what they said last is in its output.
    fn drop(&mut self) {
        let complaint = match leaks::of_stack(&self.stack) {
            Ok(leaks) if leaks.is_empty() => None,
            Ok(leaks) => Some(leaks::described(&leaks)),
            Err(failure) => Some(format!("its logs cannot be searched for secrets: {failure}")),
        };
        if std::thread::panicking() {
            print_last_lines(&self.logs());
            if let Some(complaint) = complaint {
                eprintln!("{complaint}");
            }
        } else {
            assert!(complaint.is_none(), "{}", complaint.unwrap_or_default());
        }
    }
}

fn print_last_lines(logs: &Path) {
    for entry in std::fs::read_dir(logs).into_iter().flatten().flatten() {
        let text = std::fs::read(entry.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(12)..].join("\n    ");
        eprintln!("the last lines of {}:\n    {last}", entry.file_name().display());
    }
}
