//! `status`: every process of a stack with its pid, address and readiness.
//! Answers 0 whenever there is a stack to speak of, so that programs read the JSON and not the exit code.

use std::process::ExitCode;

use fittrack_local::{Error, Result};

use crate::cli::StatusArgs;

pub async fn run(arguments: &StatusArgs) -> Result<ExitCode> {
    let folder = super::folder(&arguments.which)?;
    let status = super::existing(&folder)?.status().await?;
    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&status).map_err(Error::failed)?);
        return Ok(ExitCode::SUCCESS);
    }
    say!("{}", status.to_string().trim_end());
    say!("data, settings and logs: {}", folder.display());
    if status.processes.iter().any(|process| !process.ready) {
        say!("deploy/fittrack up starts what is missing");
    }
    Ok(ExitCode::SUCCESS)
}
