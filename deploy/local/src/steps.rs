//! A sequence of commands, each with a heading and its time, that ends at the first failure with a summary.
//! `test` and `bench` are such sequences; a signal ends the running command and everything it started.

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fittrack_local::{Error, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::interrupts::Interrupts;

/// What was done so far.
pub struct Steps {
    interrupts: Interrupts,
    done: Vec<Step>,
    started: Instant,
}

struct Step {
    title: String,
    took: Duration,
    outcome: Outcome,
    tests: Tests,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
}

/// How many tests a command reported, summed over its `test result:` lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tests {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Steps {
    pub fn new() -> Result<Self> {
        Ok(Self { interrupts: Interrupts::listen()?, done: Vec::new(), started: Instant::now() })
    }

    /// Runs a command to its end, showing its output.
    ///
    /// # Errors
    /// When it fails, or somebody interrupts.
    pub async fn run(&mut self, title: &str, mut command: Command) -> Result<()> {
        let began = heading(title);
        // A group of its own, so that a signal to this program reaches all of it, once, from here.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
        let line = spoken(&command);
        say!("$ {line}");
        let child = command.spawn().map_err(|cause| Error::failed(format!("cannot run {line}: {cause}")))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let mut tests = Tests::default();
        let status = tokio::select! {
            status = follow(child, &mut tests) => status?,
            () = self.interrupts.next() => {
                if let Some(group) = group {
                    // Some of it may have ended already.
                    let _ = kill_process_group(group, Signal::TERM);
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    let _ = kill_process_group(group, Signal::KILL);
                }
                self.record(title, began, Outcome::Failed, tests);
                return Err(Error::failed("interrupted"));
            }
        };
        let outcome = if status.success() { Outcome::Passed } else { Outcome::Failed };
        self.record(title, began, outcome, tests);
        if status.success() {
            return Ok(());
        }
        Err(Error::failed(format!("{title}: {line} ended with {status}")).advise("see its output above"))
    }

    /// Does something that is no command under a heading of its own.
    ///
    /// # Errors
    /// When it fails, or somebody interrupts.
    pub async fn perform<T>(&mut self, title: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let began = heading(title);
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = self.interrupts.next() => Err(Error::failed("interrupted")),
        };
        let passed = if outcome.is_ok() { Outcome::Passed } else { Outcome::Failed };
        self.record(title, began, passed, Tests::default());
        outcome
    }

    fn record(&mut self, title: &str, began: Instant, outcome: Outcome, tests: Tests) {
        self.done.push(Step { title: title.to_owned(), took: began.elapsed(), outcome, tests });
    }

    /// Prints what was done, how long it took and how it ended.
    pub fn print_summary(&self) {
        say!("\n== Summary");
        for step in &self.done {
            let outcome = match step.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "FAILED",
            };
            say!("{outcome:>6}  {:>7.1} s  {}{}", step.took.as_secs_f64(), step.title, step.tests.spoken());
        }
        say!("        {:>7.1} s  altogether", self.started.elapsed().as_secs_f64());
    }
}

fn heading(title: &str) -> Instant {
    say!("\n== {title}");
    Instant::now()
}

/// The command as somebody would type it.
fn spoken(command: &Command) -> String {
    let command = command.as_std();
    let program = command.get_program().display().to_string();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let words = command.get_args().map(|argument| argument.display().to_string());
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
}

async fn follow(mut child: Child, tests: &mut Tests) -> Result<ExitStatus> {
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line);
            say!("{line}");
            tests.add(&line);
        }
    }
    child.wait().await.map_err(|cause| Error::failed(format!("cannot wait for a command: {cause}")))
}

impl Tests {
    /// Counts a line such as `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; ...`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for part in result.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let count = words.next().and_then(|word| word.parse::<u64>().ok());
            match (count, words.next()) {
                (Some(count), Some("passed")) => self.passed += count,
                (Some(count), Some("failed")) => self.failed += count,
                (Some(count), Some("ignored")) => self.ignored += count,
                _ => (),
            }
        }
    }

    fn spoken(self) -> String {
        if self == Self::default() {
            return String::new();
        }
        format!(": {} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_results_add_up_over_binaries() {
        let mut tests = Tests::default();
        tests.add("running 3 tests");
        tests.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        tests.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert_eq!(tests, Tests { passed: 5, failed: 1, ignored: 1 });
    }

    #[tokio::test]
    async fn the_first_failure_is_named_with_its_command() {
        let mut steps = Steps::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo test result: ok. 2 passed; exit 3"]);
        let error = steps.run("shell", command).await.unwrap_err();
        assert!(error.to_string().contains("shell: sh -c"), "{error}");
        assert_eq!(steps.done.len(), 1);
        assert_eq!(steps.done[0].tests.passed, 2);
    }
}
