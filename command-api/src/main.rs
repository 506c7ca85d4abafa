//! The program `command-api`: its command line is in [`command_api::cli`].
use std::process::ExitCode;

use clap::Parser;
use command_api::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
