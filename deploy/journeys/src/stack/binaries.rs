//! Where the services' executables are: beside the running test, where cargo puts both.
//! `deploy/fittrack test` builds them before; a bare `cargo test` of this crate has them built here when they are missing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use fittrack_local::StackOptions;

use crate::failure::{Failure, Result};

/// Everything a stack is made of, and the command line that takes it down.
pub const PROGRAMS: [&str; 4] = ["command-api", "projectors", "query-api", "fittrack-local"];

/// The folder with all of [`PROGRAMS`].
///
/// # Errors
/// When they do not build.
pub fn folder() -> Result<PathBuf> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _turn = BUILDING.lock();
    let folder = StackOptions::built_beside_this_test()?;
    if PROGRAMS.iter().any(|program| !folder.join(program).is_file()) {
        build(&folder)?;
    }
    Ok(folder)
}

fn build(folder: &Path) -> Result<()> {
    eprintln!("building the services, which are not in {}", folder.display());
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository()).args(["build", "--workspace"]);
    for program in PROGRAMS {
        command.args(["--bin", program]);
    }
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(Failure::new("the services do not build; see cargo's messages above")) }
}

/// The repository this crate was compiled in.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("/")).to_path_buf()
}
