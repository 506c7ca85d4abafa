//! A rebuild as an operator starts it, watched through the lines of JSON it prints, and ended as an operator or a machine
//! may end it: with Ctrl-C, or with no warning at all.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use fittrack_local::services::Service;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::failure::{Failure, Result};
use crate::patience::{DEADLINE, until};
use crate::stack::TestStack;

/// `projectors rebuild ... --yes --json`; killed when dropped.
pub struct Rebuild {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    errors: Arc<Mutex<Vec<String>>>,
    reading: Vec<JoinHandle<()>>,
}

/// How a rebuild ended, and what it had said until then.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub lines: Vec<Value>,
    /// What it told people.
    pub errors: String,
}

impl Rebuild {
    /// Starts one of this projection with these arguments.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(stack: &TestStack, projection: &str, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::from(stack.operator_command(Service::Projectors)?)
            .args(["rebuild", projection, "--yes", "--json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (lines, errors) = (Arc::default(), Arc::default());
        let mut reading = Vec::new();
        if let Some(output) = child.stdout.take() {
            reading.push(tokio::spawn(keep(output, Arc::clone(&lines))));
        }
        if let Some(output) = child.stderr.take() {
            reading.push(tokio::spawn(keep(output, Arc::clone(&errors))));
        }
        Ok(Self { child, lines, errors, reading })
    }

    /// Waits until a line of its progress is as wanted, and gives it.
    ///
    /// # Errors
    /// When it ends before, or never says so.
    pub async fn says(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        until(&format!("a rebuild says: {what}"), async || {
            // Asked first: what it says before it ends is read before it is called gone.
            let gone = self.child.try_wait().map_err(|error| error.to_string())?;
            match progress(&self.lines).into_iter().find(|line| wanted(line)) {
                Some(line) => Ok(Ok(line)),
                None if gone.is_some() => Ok(Err(format!("it has ended: {gone:?}"))),
                None => Err(taken(&self.lines).join("\n")),
            }
        })
        .await?
        .map_err(|reason| Failure::new(format!("{reason}\n{}\n{}", said(&self.lines), said(&self.errors))))
    }

    /// `kill -9`; answers when it is gone.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn kill(mut self) -> Result<Ended> {
        self.still_runs()?;
        self.child.start_kill()?;
        self.ended().await
    }

    /// Ctrl-C, and how it ends then.
    ///
    /// # Errors
    /// When it has ended already, or does not end.
    pub async fn interrupt(mut self) -> Result<Ended> {
        self.still_runs()?;
        let pid = self.child.id().unwrap_or_default().to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status().await?;
        if !status.success() {
            return Err(Failure::new(format!("kill -INT {pid}: {status}")));
        }
        self.ended().await
    }

    /// Waits until it ends by itself, as it may.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ended(mut self) -> Result<Ended> {
        let late = |_| Failure::new(format!("the rebuild does not end:\n{}", said(&self.lines)));
        let status = tokio::time::timeout(DEADLINE, self.child.wait()).await.map_err(late)??;
        for reading in self.reading.drain(..) {
            reading.await.map_err(|error| Failure::new(format!("its output cannot be read: {error}")))?;
        }
        Ok(Ended { status, lines: progress(&self.lines), errors: said(&self.errors) })
    }

    fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(Failure::new(format!("the rebuild has ended already ({status})"))),
        }
    }
}

impl Ended {
    /// What it did, where it did all of it.
    ///
    /// # Errors
    /// When it did not; with everything it said.
    pub fn done(&self) -> Result<&Value> {
        let done = self.lines.iter().find_map(|line| line.get("done"));
        done.filter(|_| self.status.success())
            .ok_or_else(|| Failure::new(format!("a rebuild did not succeed: {self:?}")))
    }

    /// What it was going to do.
    pub fn plan(&self) -> Value {
        self.lines.iter().find_map(|line| line.get("plan")).cloned().unwrap_or_default()
    }
}

async fn keep(output: impl AsyncRead + Unpin, lines: Arc<Mutex<Vec<String>>>) {
    let mut reader = BufReader::new(output).lines();
    while let Ok(Some(line)) = reader.next_line().await {
        lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

fn taken(lines: &Mutex<Vec<String>>) -> Vec<String> {
    lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn said(lines: &Mutex<Vec<String>>) -> String {
    taken(lines).join("\n")
}

fn progress(lines: &Mutex<Vec<String>>) -> Vec<Value> {
    taken(lines).iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
