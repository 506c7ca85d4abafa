//! `bench`: builds everything as for production and runs the benchmarks of `deploy/load`.
//! They start their own stacks; whatever an interrupted run leaves behind is stopped here.

use std::path::Path;
use std::process::ExitCode;

use fittrack_local::{Error, Result};
use tokio::process::Command;

use crate::building::{binaries, cargo};
use crate::cli::{Bench, Profile};
use crate::interrupts::Interrupts;
use crate::run_folder::RunFolder;

pub async fn run(arguments: &Bench) -> Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    let profile = arguments.profile.unwrap_or(Profile::Production);
    let mut build = cargo(&["build", "--profile", profile.name(), "--workspace", "--bins"]);
    eprintln!("building everything that is measured ({})", profile.name());
    if !build.status().await.map_err(Error::failed)?.success() {
        return Err(Error::failed("the benchmarks do not build").advise("see cargo's messages above"));
    }

    // On a disk: a Postgres whose fsync costs nothing would measure nothing.
    let folder = RunFolder::make(Path::new("/var/tmp")).await?;
    let mut command = Command::new(binaries(profile).join("fittrack-bench"));
    command.args(&arguments.name).env("TMPDIR", folder.path()).kill_on_drop(true);
    if arguments.json {
        command.arg("--json");
    }
    let outcome = match command.spawn() {
        Ok(mut bench) => tokio::select! {
            status = bench.wait() => status.map_err(Error::failed),
            () = interrupts.next() => {
                let _ = bench.kill().await;
                Err(Error::failed("interrupted"))
            }
        },
        Err(cause) => Err(Error::failed(format!("cannot run the benchmarks: {cause}"))),
    };
    folder.clear().await;
    let code = outcome?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
