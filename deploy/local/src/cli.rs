//! The arguments of `deploy/fittrack`, with the help that teaches them.
//! Parsed once in `main`; the commands get typed values.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Run, try and test FitTrack on this machine, with a real Postgres and a real Kafka.
#[derive(Debug, Parser)]
#[command(
    name = "fittrack",
    bin_name = "deploy/fittrack",
    version,
    after_help = "\
First steps:
  deploy/fittrack up             build and start everything, show its output, stop it with Ctrl-C
  deploy/fittrack demo           (in another terminal) import recordings and read them back
  deploy/fittrack test           run every check and every test

Environment:
  FITTRACK_DIR           where a stack keeps data, settings and logs (as --dir; default .fittrack in the repository)
  FITTRACK_PROFILE       dev builds faster, release (the default of up, demo and bench) runs faster
  FITTRACK_POSTGRES_URL  an administrator's URL of your own Postgres, 15 or newer; none is started then
  FITTRACK_KAFKA_BROKERS host:port,... of your own Kafka; none is started then, and every service gets the other
                         FITTRACK_KAFKA_... there are (SECURITY, USER, PASSWORD, CA; see README, Settings)
  FITTRACK_CACHE         where Postgres and Kafka are kept once fetched
  FITTRACK_BINARIES_DIR  run the services from here and build nothing
  FITTRACK_POSTGRES_USER whom Postgres runs as when you are root (default postgres, else nobody)

Exit codes: 0 done, 1 it failed, 2 wrong use."
)]
pub struct Cli {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Build and start Postgres, Kafka and the three services; on a running stack, start again what has died
    ///
    /// Stays in the foreground and shows the output of every process until Ctrl-C, then stops everything cleanly.
    /// Data survives: the next `up` goes on where this one ended.
    Up(Up),
    /// Stop everything of a stack
    Down(Down),
    /// Show every process of a stack with its pid, address and readiness
    Status(StatusArgs),
    /// Sign up an athlete, import recordings, and print what the query API then says
    ///
    /// Without files it makes three recordings of its own and writes them as FIT, GPX and TCX.
    Demo(Demo),
    /// Run the command API's own command line against a stack, for example `command-api check`
    #[command(name = "command-api", disable_help_flag = true)]
    CommandApi(Tool),
    /// Run the projectors' own command line against a stack, for example `projectors status`
    #[command(disable_help_flag = true)]
    Projectors(Tool),
    /// Run every check and every test, from formatting to journeys over real stacks
    Test(Test),
    /// Measure throughput, latency and memory against baselines taken in the same run
    Bench(Bench),
    /// Write a bill of materials (`CycloneDX` JSON) of each program: every package it is built from, with licence and hash
    Sbom(Sbom),
}

/// Which stack is meant.
#[derive(Debug, Args)]
pub struct Which {
    /// The folder that holds all data, settings and logs of the stack [default: .fittrack in the repository]
    #[arg(long, env = "FITTRACK_DIR", hide_env = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    pub which: Which,
    /// Return when everything is ready, instead of showing the output
    #[arg(long)]
    pub detach: bool,
    /// The first of twenty consecutive ports [default: 8400, or as the stack had before]
    #[arg(long, value_name = "N")]
    pub port_base: Option<u16>,
    /// How to build the services: `production` takes minutes longer and a sixth less of a processor for a request [default: release]
    #[arg(long, env = "FITTRACK_PROFILE", hide_env = true, value_enum)]
    pub profile: Option<Profile>,
    /// Start Postgres and Kafka only, for developing against them
    #[arg(long, hide = true)]
    pub no_services: bool,
}

/// How cargo builds what runs; `Cargo.toml` says what each is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    Dev,
    Release,
    Production,
}

impl Profile {
    /// What cargo calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
            Self::Production => "production",
        }
    }

    /// The folder below `target/` that holds what it builds.
    pub fn folder(self) -> &'static str {
        if self == Self::Dev { "debug" } else { self.name() }
    }
}

#[derive(Debug, Args)]
pub struct Down {
    #[command(flatten)]
    pub which: Which,
    /// Also remove the folder with all data (databases on a Postgres of your own stay)
    #[arg(long)]
    pub wipe: bool,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub which: Which,
    /// Print JSON for programs; it contains the administrators' database URLs and Kafka settings with their passwords
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Demo {
    #[command(flatten)]
    pub which: Which,
    /// Recordings to import: .fit, .gpx or .tcx
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[arg(long, value_enum, hide = true)]
    pub profile: Option<Profile>,
}

#[derive(Debug, Args)]
pub struct Tool {
    /// Passed on as they are; name the stack with `FITTRACK_DIR`
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Test {
    /// Also run the tests that take minutes (sets `FITTRACK_LONG=1`)
    #[arg(long)]
    pub long: bool,
    /// Only run tests whose name contains this, without the checks before them
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// Only this benchmark [default: all]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Print one JSON object a line: figure, value, unit, baseline, ratio, `at_least` or `at_most`, holds
    #[arg(long)]
    pub json: bool,
    #[arg(long, value_enum, hide = true)]
    pub profile: Option<Profile>,
}

#[derive(Debug, Args)]
pub struct Sbom {
    /// The folder the bills are written into
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_operators_arguments_pass_through_untouched() {
        let cli = Cli::try_parse_from(["fittrack", "projectors", "parked", "--json", "--help"]).unwrap();
        let Action::Projectors(tool) = cli.action else { panic!("another command") };
        assert_eq!(tool.arguments, ["parked", "--json", "--help"]);
    }

    #[test]
    fn wrong_use_is_exit_code_two() {
        for wrong in [&["fittrack"][..], &["fittrack", "upp"], &["fittrack", "up", "--port-base", "x"]] {
            assert_eq!(Cli::try_parse_from(wrong).unwrap_err().exit_code(), 2);
        }
    }
}
