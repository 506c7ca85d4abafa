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
        .envs(servers.kafka_settings_of_administrator()?.into_iter().map(|(key, value)| (for_tests(&key), value)))
        .env("TMPDIR", folder.path())
        .arg("--")
        .args(&arguments.filter);
    if arguments.long {
        tests.env("FITTRACK_LONG", "1");
    }
    // One command for all of them: cargo would build every library again for a part of the workspace.
    steps.run("tests, journeys and faults", tests).await
}

/// The name under which tests look for a setting of a service, `FITTRACK_TEST_KAFKA_USER` for `FITTRACK_KAFKA_USER`.
fn for_tests(setting: &str) -> String {
    setting.replacen("FITTRACK_", "FITTRACK_TEST_", 1)
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
    let options = StackOptions::new(folder.path().join("servers"), PathBuf::new()).on_ports_from(block.base);
    Stack::start(options.only(Parts::PostgresAndKafka).with_servers_of_environment()).await
}
