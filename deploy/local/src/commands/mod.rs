//! The commands of `deploy/fittrack`, one file each.
//! Each answers the exit code, or the failure that `main` prints.

mod bench;
mod demo;
mod down;
mod sbom;
mod status;
mod test;
mod tool;
mod up;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fittrack_local::services::Service;
use fittrack_local::{Error, Result, Stack};

use crate::building;
use crate::cli::{Action, Cli, Which};

pub async fn run(cli: Cli) -> Result<ExitCode> {
    match cli.action {
        Action::Up(arguments) => up::run(arguments).await,
        Action::Down(arguments) => down::run(&arguments).await,
        Action::Status(arguments) => status::run(&arguments).await,
        Action::CommandApi(tool) => tool::run(Service::CommandApi, &tool.arguments),
        Action::Projectors(tool) => tool::run(Service::Projectors, &tool.arguments),
        Action::Test(arguments) => test::run(&arguments).await,
        Action::Bench(arguments) => bench::run(&arguments).await,
        Action::Sbom(arguments) => sbom::run(&arguments),
        Action::Demo(arguments) => demo::run(&arguments).await,
    }
}

/// The folder of the stack that is meant.
fn folder(which: &Which) -> Result<PathBuf> {
    let named = which.dir.clone().or_else(|| std::env::var_os("FITTRACK_DIR").map(PathBuf::from));
    let folder = named.unwrap_or_else(|| building::repository().join(".fittrack"));
    std::path::absolute(&folder).map_err(|cause| Error::wrong_use(format!("--dir {}: {cause}", folder.display())))
}

/// The stack that is meant, or what to do when there is none.
fn existing(folder: &Path) -> Result<Stack> {
    Stack::open(folder)?.ok_or_else(|| {
        Error::failed(format!("there is no stack in {}", folder.display()))
            .advise("start one with deploy/fittrack up, or name another folder with --dir")
    })
}
