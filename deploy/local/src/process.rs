//! Operating-system processes that outlive whoever started them: spawn, recognise, signal, wait until gone.
//! The stack records a `ProcessId` in its state file, and any later command manages the process through it.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::error::{Result, WhileDoing};

/// A process and when it started, so that a reused pid is never mistaken for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: i32,
    /// The kernel's start time (clock ticks since boot on Linux, a date elsewhere), compared only for equality.
    pub started: String,
}

/// What to run and how.
pub struct Launch<'a> {
    pub program: &'a Path,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Standard output and error are appended here.
    pub log: &'a Path,
    /// The account to run as; the caller's own when absent.
    pub account: Option<&'a Account>,
}

/// Starts a process in a session of its own, so that neither Ctrl-C nor a closing terminal reaches it.
///
/// # Errors
/// When the program or its log cannot be opened.
pub fn spawn(launch: Launch<'_>) -> Result<ProcessId> {
    let log = open_log(launch.log)?;
    let errors = log.try_clone().while_doing(|| format!("open {}", launch.log.display()))?;
    let mut command = if let Some(setsid) = find_program("setsid") {
        let mut command = Command::new(setsid);
        command.arg(launch.program);
        command
    } else {
        let mut command = Command::new(launch.program);
        command.process_group(0);
        command
    };
    command.args(&launch.arguments).stdin(Stdio::null()).stdout(log).stderr(errors).current_dir("/");
    for (key, _) in std::env::vars_os() {
        // The settings file decides; only what the developer sets about logging passes through.
        let name = key.to_string_lossy();
        if name.starts_with("FITTRACK_") && !name.starts_with("FITTRACK_LOG") {
            command.env_remove(key);
        }
    }
    command.envs(launch.environment);
    if let Some(account) = launch.account {
        command.gid(account.gid).uid(account.uid);
    }
    let mut child = command.spawn().while_doing(|| format!("start {}", launch.program.display()))?;
    let pid = i32::try_from(child.id()).while_doing(|| "read the process id")?;
    let started = start_time(pid).unwrap_or_default();
    // Reap it when it ends, or it would stay behind as a zombie for as long as this process lives.
    std::thread::spawn(move || child.wait());
    Ok(ProcessId { pid, started })
}

fn open_log(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).open(path).while_doing(|| format!("open the log {}", path.display()))
}

impl ProcessId {
    /// Whether this very process still runs (a zombie does not; a stopped one does).
    pub fn is_alive(&self) -> bool {
        start_time(self.pid).is_some_and(|started| started == self.started)
    }

    /// Sends a signal; a process that is gone already is no error.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            // It may end between the two calls: then there is nothing left to signal.
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits until the process is gone, at most `limit`; answers whether it is.
    pub async fn wait_gone(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// Kills it (SIGKILL) and blocks until it is gone, a few seconds at most.
    pub fn kill_blocking(&self) {
        self.signal(Signal::KILL);
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// When a process started, or nothing when it is gone or a zombie.
fn start_time(pid: i32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        return start_time_in_stat(&stat);
    }
    let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (state, started) = line.split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

/// Field 22 of `/proc/PID/stat`; the name in field 2 may hold spaces and parentheses, so count from its end.
fn start_time_in_stat(stat: &str) -> Option<String> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?;
    (state != "Z" && state != "X").then(|| started.to_owned())
}

/// Finds an executable on PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| {
        candidate.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_read_past_a_hostile_process_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2 3";
        assert_eq!(start_time_in_stat(stat).as_deref(), Some("987654"));
        assert_eq!(start_time_in_stat(&stat.replace(" S ", " Z ")), None);
    }

    #[test]
    fn a_reused_pid_is_not_the_same_process() {
        let own = i32::try_from(std::process::id()).unwrap();
        let this = ProcessId { pid: own, started: start_time(own).unwrap() };
        assert!(this.is_alive());
        assert!(!ProcessId { started: "0".into(), ..this }.is_alive());
    }

    #[tokio::test]
    async fn a_killed_process_is_gone_and_its_output_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let process = spawn(Launch {
            program: Path::new("/bin/sh"),
            arguments: vec!["-c".into(), "echo started; exec sleep 600".into()],
            environment: Vec::new(),
            log: &log,
            account: None,
        })
        .unwrap();
        while !std::fs::read_to_string(&log).unwrap().contains("started") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(process.is_alive());
        process.kill_blocking();
        assert!(process.wait_gone(Duration::from_secs(30)).await);
    }
}
