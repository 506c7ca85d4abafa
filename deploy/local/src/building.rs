//! Building the services with cargo before a stack runs them.
//! Always for the whole workspace, so that this program, the services and the tests share one set of compiled crates.

use std::path::{Path, PathBuf};

use fittrack_local::{Error, Result};
use tokio::process::Command;

use crate::cli::Profile;

/// The repository: named by `deploy/fittrack`, else where this program was compiled.
pub fn repository() -> PathBuf {
    std::env::var_os("FITTRACK_ROOT").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("/")).to_path_buf(),
        PathBuf::from,
    )
}

/// `cargo`, to be run in the repository.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(repository()).kill_on_drop(true);
    command
}

/// Where cargo puts the executables of a profile.
pub fn binaries(profile: Profile) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    repository().join(target).join(profile.folder())
}

/// Builds the three services, unless `FITTRACK_BINARIES_DIR` names a folder that has them; answers where they are.
pub async fn services(profile: Profile) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("FITTRACK_BINARIES_DIR") {
        return std::path::absolute(folder).map_err(Error::failed);
    }
    let services = ["--bin", "command-api", "--bin", "projectors", "--bin", "query-api"];
    eprintln!("building the services ({})", profile.name());
    let status = cargo(&["build", "--profile", profile.name(), "--workspace"]).args(services).status().await.map_err(
        |cause| {
            Error::failed(format!("cannot run cargo: {cause}"))
                .advise("install Rust 1.88 or newer from https://rustup.rs")
        },
    )?;
    if status.success() {
        return Ok(binaries(profile));
    }
    Err(Error::failed("the services do not build").advise("see cargo's messages above"))
}
