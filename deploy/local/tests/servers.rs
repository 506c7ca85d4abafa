//! The two servers of a stack, started for real: they come back after `kill -9`, stand side by side, and go away without a trace.
//! The services are not needed here; the journeys test whole stacks.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fittrack_local::ports::PortBlock;
use fittrack_local::{KAFKA, POSTGRES, Parts, Stack, StackOptions};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

const PATIENCE: Duration = Duration::from_secs(300);

fn options(folder: &Path, block: &PortBlock) -> StackOptions {
    StackOptions::new(folder.to_path_buf(), PathBuf::new()).only(Parts::PostgresAndKafka).on_ports_from(block.base)
}

async fn rows(stack: &Stack) -> i64 {
    let mut database = PgConnection::connect(&stack.database_url("postgres").unwrap()).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(&mut database).await.unwrap()
}

async fn keep_a_row(stack: &Stack) {
    let mut database = PgConnection::connect(&stack.database_url("postgres").unwrap()).await.unwrap();
    sqlx::query("CREATE TABLE IF NOT EXISTS kept (number INT)").execute(&mut database).await.unwrap();
    sqlx::query("INSERT INTO kept VALUES (1)").execute(&mut database).await.unwrap();
}

#[tokio::test]
async fn what_was_killed_is_started_again_and_the_rest_is_left_alone() {
    let stack = Stack::temporary(Parts::PostgresAndKafka, PathBuf::new()).await.unwrap();
    let (postgres, kafka) = (stack.pid(POSTGRES).unwrap(), stack.pid(KAFKA).unwrap());
    keep_a_row(&stack).await;

    stack.kill(KAFKA).await.unwrap();
    assert!(!stack.is_alive(KAFKA).unwrap());
    stack.ensure_up(Parts::PostgresAndKafka).await.unwrap();
    assert_ne!(stack.pid(KAFKA).unwrap(), kafka);
    assert_eq!(stack.pid(POSTGRES).unwrap(), postgres);

    stack.kill(POSTGRES).await.unwrap();
    stack.start_process(POSTGRES).await.unwrap();
    assert_eq!(rows(&stack).await, 1);
}

#[tokio::test]
async fn two_stacks_stand_side_by_side_and_a_wiped_one_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (one_ports, other_ports) = (PortBlock::find().unwrap(), PortBlock::find().unwrap());
    let one = Stack::start(options(&folder.path().join("one"), &one_ports)).await.unwrap();
    let other = Stack::start(options(&folder.path().join("other"), &other_ports)).await.unwrap();
    keep_a_row(&one).await;
    keep_a_row(&one).await;
    keep_a_row(&other).await;
    assert_eq!((rows(&one).await, rows(&other).await), (2, 1));

    one.wipe().await.unwrap();
    assert!(!folder.path().join("one").exists());
    assert_eq!(rows(&other).await, 1);

    other.stop().await.unwrap();
    let again = Stack::start(options(&folder.path().join("other"), &other_ports)).await.unwrap();
    assert_eq!(rows(&again).await, 1);
    again.wipe().await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_named_and_nothing_is_left_running() {
    let folder = tempfile::tempdir().unwrap();
    let block = PortBlock::find().unwrap();
    let _held = std::net::TcpListener::bind(("127.0.0.1", block.base + 5)).unwrap();
    let error = Stack::start(options(folder.path(), &block)).await.unwrap_err().to_string();
    assert!(error.contains(&format!("postgres needs port {}", block.base + 5)), "{error}");
    let stack = Stack::open(folder.path()).unwrap().unwrap();
    assert_eq!(stack.started().unwrap(), Vec::<String>::new());
}

/// The command line, run on one folder.
struct CommandLine {
    folder: PathBuf,
}

impl CommandLine {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fittrack-local"));
        command.args(words).arg("--dir").arg(&self.folder).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn status(&self) -> Option<Value> {
        let output = self.command(&["status", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    /// The pids of Postgres and Kafka once both are ready.
    fn wait_ready(&self) -> Vec<i64> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.status() {
                let servers = &status["processes"].as_array().unwrap()[..2];
                if servers.iter().all(|server| server["ready"] == true && server["pid"].is_i64()) {
                    return servers.iter().map(|server| server["pid"].as_i64().unwrap()).collect();
                }
            }
            assert!(Instant::now() < deadline, "not ready after {PATIENCE:?}");
            std::thread::yield_now();
        }
    }
}

fn exists(pid: i64) -> bool {
    // A zombie that nobody reaps yet has ended as well.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
#[cfg(target_os = "linux")]
fn a_foreground_up_that_is_killed_leaves_a_stack_that_down_still_stops() {
    let folder = tempfile::tempdir().unwrap();
    let block = PortBlock::find().unwrap();
    let line = CommandLine { folder: folder.path().join("stack") };
    let base = block.base.to_string();
    let up = ["up", "--no-services", "--port-base", &base];
    let mut foreground = line.command(&up).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pids = line.wait_ready();

    foreground.kill().unwrap();
    foreground.wait().unwrap();
    assert!(pids.iter().all(|pid| exists(*pid)));

    line.run(&["up", "--no-services", "--detach"]);
    assert_eq!(line.wait_ready(), pids, "a running stack is left alone");

    line.run(&["down"]);
    assert!(!pids.iter().any(|pid| exists(*pid)));
    line.run(&["down", "--wipe"]);
    assert!(!line.folder.exists());
}

#[test]
fn status_without_a_stack_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let line = CommandLine { folder: folder.path().join("none") };
    let output = line.command(&["status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("deploy/fittrack up"));
}
