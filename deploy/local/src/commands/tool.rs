//! `command-api ARGS` and `projectors ARGS`: the services' own command lines, pointed at a stack.
//! Replaces this process, so that signals, output and exit code are the tool's own.

use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use fittrack_local::services::Service;
use fittrack_local::{Error, Result};

use crate::cli::Which;

pub fn run(service: Service, arguments: &[String]) -> Result<ExitCode> {
    let stack = super::existing(&super::folder(&Which { dir: None })?)?;
    let mut command = stack.operator_command(service)?;
    let cause = command.args(arguments).exec();
    Err(Error::failed(format!("cannot run {}: {cause}", service.name())))
}
