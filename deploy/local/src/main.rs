//! The command line behind `deploy/fittrack`: reads the arguments, runs one command, turns its outcome into an exit code.
//! Everything it does to a stack it does through the library beside it.

/// Prints a line; unlike `println!`, a reader that has gone (`| head`) is no reason to panic.
macro_rules! say {
    ($($word:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($word)*)));
    }};
}

mod building;
mod cli;
mod commands;
mod interrupts;
mod run_folder;
mod steps;
mod tail;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    // clap itself ends the program with 2 for wrong use and 0 for --help.
    let outcome = commands::run(cli::Cli::parse()).await;
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
