//! The command line. Exit codes: 0, 1 (it failed), 2 (wrong use, settings included).
use std::fmt::Display;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fittrack_runtime::config::{self, Source};

use crate::settings::{SETTINGS, Settings};
use crate::{routes, serve};

/// FitTrack's query API: everything that is read.
#[derive(Debug, Parser)]
#[command(
    name = "query-api",
    version,
    after_help = "Settings are environment variables, or lines of the file FITTRACK_SETTINGS_FILE names; `query-api settings` lists them.\n\
                  Exit codes: 0 done, 1 failed, 2 wrong use or unusable settings."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve HTTP
    Serve,
    /// Print the `OpenAPI` document as YAML
    Openapi,
    /// List every setting, as a Markdown table
    Settings,
}

/// Runs the subcommand that was asked for.
pub async fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Serve => match Settings::read(Source::from_env()) {
            Ok(settings) => serve::serve(settings).await.unwrap_or_else(|error| refuse(ExitCode::FAILURE, error)),
            Err(errors) => refuse(ExitCode::from(2), errors),
        },
        Command::Openapi => match routes::openapi().to_yaml() {
            Ok(yaml) => print(&yaml),
            Err(error) => refuse(ExitCode::FAILURE, error),
        },
        Command::Settings => print(&config::describe(SETTINGS)),
    }
}

fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

fn refuse(code: ExitCode, reason: impl Display) -> ExitCode {
    eprintln!("query-api: {reason}");
    code
}
