//! `test`: every check and every test, in the order in which a mistake is cheapest to find.
//! Starts one Postgres and one Kafka for all tests of the crates; journeys and faults start whole stacks of their own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fittrack_local::{Error, Parts, Result, Stack, StackOptions, artifacts, ports::PortBlock};
use tokio::process::Command;

use crate::building::{cargo, repository};
use crate::cli::Test;
use crate::run_folder::RunFolder;
use crate::steps::Steps;

pub async fn run(arguments: &Test) -> Result<ExitCode> {
    let mut steps = Steps::new()?;
    let folder = RunFolder::make(&std::env::temp_dir()).await?;
    let outcome = sequence(arguments, &mut steps, &folder).await;
    folder.clear().await;
    steps.print_summary();
    outcome?;
    say!("everything passed");
    Ok(ExitCode::SUCCESS)
}

async fn sequence(arguments: &Test, steps: &mut Steps, folder: &RunFolder) -> Result<()> {
    if arguments.filter.is_empty() {
        steps.run("formatting", cargo(&["fmt", "--all", "--check"])).await?;
        steps
            .run("lints", cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
            .await?;
        let cargo_deny = async { tokio::task::spawn_blocking(artifacts::cargo_deny).await.map_err(Error::failed)? };
        let cargo_deny = steps.perform("fetch cargo-deny", cargo_deny).await?;
        steps.run("what the programs are made of", may_be_in(&cargo_deny)).await?;
    }
    steps.run("build", cargo(&["build", "--workspace", "--all-targets"])).await?;
    let servers = steps.perform("start a Postgres and a Kafka for the tests", start_servers(folder)).await?;

    let mut tests: Command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    tests
        .env("FITTRACK_TEST_POSTGRES_URL", servers.database_url("postgres")?)
        .env("FITTRACK_TEST_KAFKA_BROKERS", servers.kafka_brokers()?)
        .env("TMPDIR", folder.path())
        .arg("--")
        .args(&arguments.filter);
    if arguments.long {
        tests.env("FITTRACK_LONG", "1");
    }
    // One command for all of them: cargo would build every library again for a part of the workspace.
    steps.run("tests, journeys and faults", tests).await
}

/// Holds every dependency against `.cargo/deny.toml`: what is banned, its licence, and where it comes from.
fn may_be_in(cargo_deny: &Path) -> Command {
    let mut command = Command::new(cargo_deny);
    command.args(["--locked", "check", "bans", "licenses", "sources"]).current_dir(repository()).kill_on_drop(true);
    command
}

/// The servers of the tests: free ports and a folder that goes away with the run.
async fn start_servers(folder: &RunFolder) -> Result<Stack> {
    let block = PortBlock::find()?;
    let set = |key| std::env::var(key).ok().filter(|value| !value.is_empty());
    Stack::start(StackOptions {
        dir: folder.path().join("servers"),
        port_base: Some(block.base),
        parts: Parts::PostgresAndKafka,
        binaries: PathBuf::new(),
        external_postgres: set("FITTRACK_POSTGRES_URL"),
        external_kafka: set("FITTRACK_KAFKA_BROKERS"),
    })
    .await
}
