//! The program `command-api`: its command line is in [`command_api::cli`].
use std::process::ExitCode;

use clap::Parser;
use command_api::cli::{self, Cli};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
