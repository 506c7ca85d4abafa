//! `fittrack-bench`: the figures FitTrack promises, each beside a baseline of the same run on the same machine.
//! Started by `deploy/fittrack bench`; brings up a stack of its own (release build), measures, prints, takes it down.
#![allow(clippy::indexing_slicing, reason = "a measurement stops at the first thing that is not as it should be")]
mod appends;
mod bare;
mod enumeration;
mod figure;
mod logins;
mod measure;
mod memory;
mod projecting;
mod replay;
mod requests;
mod slow;
mod visible;
mod workload;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use fittrack_local::{Parts, Stack, StackOptions, databases};
use sqlx::{Connection, Executor, PgConnection};

use figure::Figure;

/// Anything that keeps a benchmark from being made.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures FitTrack against baselines taken in the same run.
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything when nothing is named.
    benchmarks: Vec<Benchmark>,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// How often each figure is measured; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=15))]
    repeats: u32,
    /// Answers every request on 127.0.0.1 with a fixed response: the baseline of `get`, run as a process of its own.
    #[arg(long, hide = true)]
    bare_server: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// Idle memory of the three services.
    Memory,
    /// From the answer of a command to its visibility, at 100 workouts/s.
    Visible,
    /// The edges: a cached, authenticated GET against a bare socket, durable POST /v1/workouts against single-row inserts, 200
    /// sign-ins at once beside writes.
    Http,
    /// Whether the time of a refused sign-in tells who has an account.
    Enumeration,
    /// 500 connections that dribble heads and bodies, beside a client like any other.
    Slow,
    /// A backlog of 200,000 events through all projections; before much else is in the store.
    Projecting,
    /// The event store's appends against single-row inserts.
    Appends,
    /// Appends while somebody's transaction stays open for 60 s.
    OpenTransaction,
    /// Rebuilds from 1,000,000 events beside a bare stream, what users feel of them, and the pause at a promotion; on a stack
    /// of its own.
    Replay,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.bare_server {
        return match bare::serve().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        };
    }
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

fn failed(error: &Failure) -> ExitCode {
    eprintln!("the benchmark could not be made: {error}");
    ExitCode::from(2)
}

/// Runs what was asked for; true when every figure holds.
async fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let benchmarks: Vec<Benchmark> = if arguments.benchmarks.is_empty() {
        Benchmark::value_variants().to_vec()
    } else {
        arguments.benchmarks.clone()
    };
    eprintln!("starting a stack of its own ...");
    let stack = Stack::temporary(Parts::Everything, StackOptions::built_beside_this_test()?).await?;
    let mut figures: Vec<Figure> = Vec::new();
    for benchmark in benchmarks {
        eprintln!("measuring {benchmark:?} ...");
        rest(&stack).await?;
        let measured = match benchmark {
            Benchmark::Memory => memory::run(&stack).await?,
            Benchmark::Visible => visible::run(&stack, arguments.repeats).await?,
            Benchmark::Http => http(&stack, arguments.repeats).await?,
            Benchmark::Enumeration => enumeration::run(&stack, arguments.repeats).await?,
            Benchmark::Slow => slow::run(&stack, arguments.repeats).await?,
            Benchmark::Appends => appends::run(&stack, arguments.repeats).await?,
            Benchmark::OpenTransaction => appends::beside_an_open_transaction(&stack).await?,
            Benchmark::Replay => replay::on_a_fresh_stack(&stack, arguments.repeats).await?,
            Benchmark::Projecting => projecting::run(&stack, arguments.repeats).await?,
        };
        if arguments.json {
            for figure in &measured {
                println!("{}", figure.json());
            }
        }
        figures.extend(measured);
    }
    if !arguments.json {
        figure::print_table(&figures);
    }
    Ok(figures.iter().all(Figure::holds))
}

async fn http(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    let mut figures = requests::get(stack, repeats).await?;
    figures.extend(requests::post(stack, repeats).await?);
    figures.extend(logins::run(stack, repeats).await?);
    Ok(figures)
}

/// What the benchmark before has left to be written to disk is no part of the next one.
async fn rest(stack: &Stack) -> Result<(), Failure> {
    let mut postgres = PgConnection::connect(&stack.database_url(databases::EVENT_STORE)?).await?;
    postgres.execute("CHECKPOINT").await?;
    Ok(())
}
