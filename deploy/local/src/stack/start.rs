//! Bringing a whole stack up: Postgres and Kafka side by side, then databases and migrations, then the services.
//! What already runs is left alone, so the same call repairs a stack of which a part has died.

use std::path::Path;
use std::process::Command;

use super::launch::Started;
use super::{KAFKA, POSTGRES, Parts, Stack};
use crate::artifacts;
use crate::databases::{self, EVENT_STORE, IDENTITY, READ_MODELS, RECORDINGS};
use crate::error::{Error, Result};
use crate::kafka;
use crate::services::Service;
use crate::state::{Lock, State};

impl Stack {
    /// Starts whatever is missing and answers when all of it is ready.
    ///
    /// # Errors
    /// When something cannot be started; what this call had started is stopped again, the rest is left alone.
    pub async fn ensure_up(&self, parts: Parts) -> Result<()> {
        let _turn = Lock::take(&self.dir)?;
        let before = self.state()?;
        let outcome = self.start_missing(parts).await;
        if outcome.is_err() {
            for name in self.running_in_stop_order()? {
                if self.pid(&name)? != before.processes.get(&name).map(|process| process.pid) {
                    self.stop_process(&name).await?;
                }
            }
        }
        outcome
    }

    async fn start_missing(&self, parts: Parts) -> Result<()> {
        let state = self.state()?;
        let own_postgres = state.external_postgres.is_none();
        let own_kafka = parts != Parts::Postgres && state.external_kafka.is_none();
        if own_kafka && self.is_alive(KAFKA)? && kafka::was_open_to_all(&self.dir.join("kafka")) {
            return Err(Error::failed("this stack's Kafka was started by an earlier version, and lets everybody in")
                .advise("stop the stack (deploy/fittrack down) and start it again; its data stays"));
        }
        let (postgres, kafka) = std::thread::scope(|threads| {
            let kafka = threads.spawn(|| self.launch_unless_alive(KAFKA, own_kafka));
            let postgres = self.launch_unless_alive(POSTGRES, own_postgres);
            (postgres, kafka.join().unwrap_or_else(|_| Err(Error::failed("starting Kafka failed unexpectedly"))))
        });
        // Kafka may run although Postgres failed: wait for errors only after both were recorded.
        let (postgres, kafka) = (postgres?, kafka?);
        self.wait_ready(POSTGRES, postgres).await?;
        if parts != Parts::Postgres {
            self.wait_ready(KAFKA, kafka).await?;
        }
        if parts == Parts::Everything {
            self.start_services(&state).await?;
        }
        Ok(())
    }

    fn launch_unless_alive(&self, name: &str, ours: bool) -> Result<Option<Started>> {
        if !ours || self.is_alive(name)? {
            return Ok(None);
        }
        self.launch(name).map(Some)
    }

    async fn start_services(&self, state: &State) -> Result<()> {
        let mut names: Vec<String> = Service::ALL.iter().map(|service| service.name().to_owned()).collect();
        let replicas = state.processes.keys().filter(|name| Service::of_process(name).is_some());
        names.extend(replicas.filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());

        let mut missing = Vec::new();
        for name in &names {
            if !self.is_alive(name)? {
                missing.push(name);
            }
        }
        if !missing.is_empty() {
            self.migrate(state).await?;
        }
        let mut started = Vec::new();
        for name in missing {
            started.push((name, Some(self.launch(name)?)));
        }
        for (name, started) in started {
            self.wait_ready(name, started).await?;
        }
        for name in &names {
            self.wait_ready(name, None).await?;
        }
        Ok(())
    }

    /// Creates databases, tables, roles and the signing key, each where it is missing.
    async fn migrate(&self, state: &State) -> Result<()> {
        let administrator = self.administrator_url(state);
        databases::create_missing(&administrator).await?;
        self.run_service_tool(state, Service::CommandApi, &["migrate"])?;
        self.run_service_tool(state, Service::Projectors, &["migrate"])?;
        databases::let_roles_log_in(&administrator, &self.secrets).await?;
        let key = self.dir.join("signing-key.pem");
        if !key.exists() {
            let path = key.display().to_string();
            self.run_service_tool(state, Service::CommandApi, &["keys", "generate", "--out", &path])?;
        }
        Ok(())
    }

    fn run_service_tool(&self, state: &State, service: Service, arguments: &[&str]) -> Result<()> {
        let mut command = self.service_tool(state, service)?;
        artifacts::run(command.args(arguments), &format!("run {} {}", service.name(), arguments.join(" ")))
    }

    /// A service's command line with the settings of this stack and the administrator's URLs in its environment.
    ///
    /// # Errors
    /// When the executable is missing.
    pub fn operator_command(&self, service: Service) -> Result<Command> {
        self.service_tool(&self.state()?, service)
    }

    fn service_tool(&self, state: &State, service: Service) -> Result<Command> {
        let program = state.binaries.join(service.name());
        if !program.is_file() {
            return Err(missing_program(&program));
        }
        let mut command = Command::new(program);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("FITTRACK_") {
                command.env_remove(key);
            }
        }
        command.envs(self.settings(service.name())?);
        for (key, database) in [
            ("FITTRACK_EVENT_STORE_OWNER_URL", EVENT_STORE),
            ("FITTRACK_IDENTITY_OWNER_URL", IDENTITY),
            ("FITTRACK_RECORDINGS_OWNER_URL", RECORDINGS),
            ("FITTRACK_READ_MODELS_OWNER_URL", READ_MODELS),
        ] {
            command.env(key, databases::administrator_url(&self.administrator_url(state), database)?);
        }
        // A tool must not fail because the service it belongs to listens already.
        command.env_remove("FITTRACK_LISTEN").env_remove("FITTRACK_PRIVATE_LISTEN");
        Ok(command)
    }
}

fn missing_program(program: &Path) -> Error {
    Error::failed(format!("{} is not built", program.display()))
        .advise("run deploy/fittrack up, or cargo build --workspace, which build it")
}
