//! Stopping a stack in the right order: services first, so that they finish what they began, then Kafka, then Postgres.
//! Each is asked politely, given time, and only then killed.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::Signal;

use super::{KAFKA, POSTGRES, Stack};
use crate::error::{Result, WhileDoing};
use crate::process::ProcessId;
use crate::state::Lock;

impl Stack {
    /// Stops everything of the stack that runs.
    ///
    /// # Errors
    /// When the account of the stack cannot be read or written.
    pub async fn stop(&self) -> Result<()> {
        let _turn = Lock::take(&self.dir)?;
        let names = self.running_in_stop_order()?;
        let state = self.state()?;
        // All services are asked at once; only then is each waited for.
        for name in names.iter().filter(|name| !matches!(name.as_str(), POSTGRES | KAFKA)) {
            if let Some(process) = state.processes.get(name) {
                ask_to_stop(process, Signal::TERM);
            }
        }
        for name in names {
            self.stop_process(&name).await?;
        }
        self.change(|state| state.processes.clear())
    }

    /// Stops one process as an operator would, and forgets it.
    ///
    /// # Errors
    /// When the account of the stack cannot be read or written.
    pub async fn stop_process(&self, name: &str) -> Result<()> {
        let state = self.state()?;
        if let Some(process) = state.processes.get(name) {
            let (signal, patience) = match name {
                POSTGRES => (Signal::INT, Duration::from_secs(60)), // a fast shutdown, with its checkpoint
                KAFKA => (Signal::TERM, Duration::from_secs(30)),
                _ => (Signal::TERM, Duration::from_secs(12)),
            };
            ask_to_stop(process, signal);
            if !process.wait_gone(patience).await {
                eprintln!("{name} did not stop within {} s and is killed", patience.as_secs());
                // Postgres' own emergency stop takes its children along.
                process.signal(if name == POSTGRES { Signal::QUIT } else { Signal::KILL });
                if !process.wait_gone(Duration::from_secs(10)).await {
                    process.kill_blocking();
                }
            }
        }
        self.change(|state| {
            state.processes.remove(name);
        })
    }

    /// Stops everything and removes the folder with all data.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub async fn wipe(&self) -> Result<()> {
        self.stop().await?;
        self.remove()
    }

    fn remove(&self) -> Result<()> {
        if let Some(outside) = self.state()?.postgres_folder.filter(|folder| !folder.starts_with(&self.dir)) {
            fs::remove_dir_all(&outside).while_doing(|| format!("remove {}", outside.display()))?;
        }
        fs::remove_dir_all(&self.dir).while_doing(|| format!("remove {}", self.dir.display()))
    }

    pub(super) fn running_in_stop_order(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = self.state()?.processes.into_keys().collect();
        names.sort_by_key(|name| match name.as_str() {
            POSTGRES => 2,
            KAFKA => 1,
            _ => 0,
        });
        Ok(names)
    }
}

/// A paused process would not see the request: it is woken as well.
fn ask_to_stop(process: &ProcessId, signal: Signal) {
    process.signal(signal);
    process.signal(Signal::CONT);
}

impl Drop for Stack {
    /// A test's own stack leaves nothing behind, also when the test fails.
    fn drop(&mut self) {
        if !self.temporary.load(Ordering::Relaxed) {
            return;
        }
        let Ok(state) = self.state() else { return };
        if let Some(postgres) = state.processes.get(POSTGRES) {
            postgres.signal(Signal::QUIT);
        }
        for process in state.processes.values() {
            if state.processes.get(POSTGRES) != Some(process) {
                process.kill_blocking();
            }
        }
        if let Some(postgres) = state.processes.get(POSTGRES) {
            let deadline = std::time::Instant::now() + Duration::from_secs(5);
            while postgres.is_alive() && std::time::Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            postgres.kill_blocking();
        }
        let _ = self.remove();
    }
}
