//! What the fault tests do to single processes: kill, pause, wake, start again, and run a second copy beside the first.
//! Everything goes by name, and through the same starting and stopping that `up` and `down` use.

use std::time::Duration;

use rustix::process::Signal;

use super::{Stack, unknown};
use crate::error::{Error, Result};
use crate::process::ProcessId;
use crate::services::{Service, listen};

impl Stack {
    /// The process id, when the process was started and not stopped since (it may have died).
    ///
    /// # Errors
    /// When the account of the stack cannot be read.
    pub fn pid(&self, name: &str) -> Result<Option<i32>> {
        Ok(self.state()?.processes.get(name).map(|process| process.pid))
    }

    /// The names of all processes that were started and not stopped since, dead or alive.
    ///
    /// # Errors
    /// When the account of the stack cannot be read.
    pub fn started(&self) -> Result<Vec<String>> {
        Ok(self.state()?.processes.into_keys().collect())
    }

    /// Whether a process runs (a paused one does).
    ///
    /// # Errors
    /// When the account of the stack cannot be read.
    pub fn is_alive(&self, name: &str) -> Result<bool> {
        Ok(self.state()?.processes.get(name).is_some_and(ProcessId::is_alive))
    }

    /// `kill -9`; answers when the process is gone.
    ///
    /// # Errors
    /// When the process does not run.
    pub async fn kill(&self, name: &str) -> Result<()> {
        let process = self.running(name)?;
        process.signal(Signal::KILL);
        if process.wait_gone(Duration::from_secs(30)).await {
            return Ok(());
        }
        Err(Error::failed(format!("{name} (pid {}) survived SIGKILL", process.pid)))
    }

    /// Stops a process in its tracks (SIGSTOP), as a long pause of the machine would.
    ///
    /// # Errors
    /// When the process does not run.
    pub fn pause(&self, name: &str) -> Result<()> {
        self.running(name)?.signal(Signal::STOP);
        Ok(())
    }

    /// Lets a paused process go on.
    ///
    /// # Errors
    /// When the process does not run.
    pub fn resume(&self, name: &str) -> Result<()> {
        self.running(name)?.signal(Signal::CONT);
        Ok(())
    }

    /// Starts a process that does not run, and answers when it is ready.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub async fn start_process(&self, name: &str) -> Result<()> {
        if self.is_alive(name)? {
            return Err(Error::failed(format!("{name} runs already")));
        }
        let started = self.launch(name)?;
        self.wait_ready(name, Some(started)).await
    }

    /// Stops a process as an operator would and starts it again.
    ///
    /// # Errors
    /// When it cannot be stopped or started.
    pub async fn restart(&self, name: &str) -> Result<()> {
        self.stop_process(name).await?;
        self.start_process(name).await
    }

    /// Starts another copy of a service on ports of its own and answers its name (`command-api-2`), for use in
    /// [`Stack::url`] and all of the above.
    ///
    /// # Errors
    /// When the service is none of the three, or the stack has no ports left.
    pub async fn spawn_replica(&self, service: &str) -> Result<String> {
        Service::of_process(service).filter(|found| found.name() == service).ok_or_else(|| unknown(service))?;
        let ports = self.ports()?;
        for number in 2.. {
            let name = format!("{service}-{number}");
            if listen(ports, &name).is_none() {
                break;
            }
            if !self.is_alive(&name)? {
                self.start_process(&name).await?;
                return Ok(name);
            }
        }
        Err(Error::failed(format!("two replicas of {service} run already, more have no ports")))
    }

    fn running(&self, name: &str) -> Result<ProcessId> {
        let process = self.state()?.processes.remove(name).filter(ProcessId::is_alive);
        process.ok_or_else(|| Error::failed(format!("{name} does not run")))
    }
}
