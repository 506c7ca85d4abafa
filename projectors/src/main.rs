//! The program `projectors`: its command line is in [`projectors::cli`].
use std::process::ExitCode;

use clap::Parser;
use projectors::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
