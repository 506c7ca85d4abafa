//! The program `query-api`: its command line is in [`query_api::cli`].
use std::process::ExitCode;

use clap::Parser;
use query_api::cli::{self, Cli};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
