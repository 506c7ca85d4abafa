//! A service started by a test itself, beside the stack's own: to see its exit code, or to run it with other arguments.
//! It gets the settings file the stack wrote for it, changed where the test says so, and writes into the stack's logs.

use std::fs::OpenOptions;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::failure::{Failure, Result};
use crate::patience::until;
use crate::stack::TestStack;

/// A child of the test; killed when dropped.
pub struct OwnProcess {
    name: String,
    child: Child,
}

impl OwnProcess {
    /// Starts `service` as the stack would, with these arguments and without the settings named in `without`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(stack: &TestStack, service: &str, arguments: &[&str], without: &[&str]) -> Result<Self> {
        Self::spawn_with(stack, service, arguments, |key, value| (!without.contains(&key)).then_some(value))
    }

    /// Starts `service` as the stack would, with these arguments and each setting as `change` makes it; `None` leaves it out.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_with(
        stack: &TestStack,
        service: &str,
        arguments: &[&str],
        change: impl Fn(&str, String) -> Option<String>,
    ) -> Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(stack.log_path(service))?;
        let settings = stack.settings(service)?.into_iter();
        let settings = settings.filter_map(|(key, value)| change(&key, value).map(|value| (key, value)));
        let mut command = Command::new(stack.binaries()?.join(service));
        // A service refuses settings it does not know, and those of the test run are none of its.
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("FITTRACK_")) {
            command.env_remove(key);
        }
        let child = command
            .args(arguments)
            .envs(settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { name: service.to_owned(), child })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it ends or never becomes ready.
    pub async fn ready(&mut self, stack: &TestStack) -> Result<()> {
        until(&format!("{} is ready", self.name), async || {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it has ended with {status}"));
            }
            match stack.is_ready(&self.name).await {
                Ok(true) => Ok(()),
                Ok(false) => Err("/readyz says no".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn terminate(&self) -> Result<()> {
        let pid = self.child.id().ok_or_else(|| Failure::new(format!("{} has ended already", self.name)))?;
        let status = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("kill -TERM {pid}: {status}"))) }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it runs on after `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let waited = tokio::time::timeout(limit, self.child.wait()).await;
        let late = |_| Failure::new(format!("{} still runs {} s after SIGTERM", self.name, limit.as_secs()));
        Ok(waited.map_err(late)??)
    }
}
