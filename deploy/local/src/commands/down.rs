//! `down`: stops everything of a stack, and with `--wipe` removes its data.
//! Works whoever started the processes, also after their starter was killed.

use std::process::ExitCode;

use fittrack_local::{Result, Stack};

use crate::cli::Down;

pub async fn run(arguments: &Down) -> Result<ExitCode> {
    let folder = super::folder(&arguments.which)?;
    let Some(stack) = Stack::open(&folder)? else {
        say!("there is no stack in {}: nothing to stop", folder.display());
        return Ok(ExitCode::SUCCESS);
    };
    if arguments.wipe {
        stack.wipe().await?;
        say!("stopped, and removed {}", folder.display());
    } else {
        stack.stop().await?;
        say!("stopped; the data stays in {}", folder.display());
    }
    Ok(ExitCode::SUCCESS)
}
