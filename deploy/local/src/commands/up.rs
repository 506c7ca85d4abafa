//! `up`: builds, starts what is missing, and stays to show the output until Ctrl-C, or returns when detached.
//! The processes belong to the stack and not to this command: if it is killed, the next `up` or `down` finds them.

use std::process::ExitCode;
use std::time::Duration;

use fittrack_local::state::Lock;
use fittrack_local::{Error, Parts, Result, Stack, StackOptions};

use crate::building;
use crate::cli::{Profile, Up};
use crate::interrupts::Interrupts;
use crate::tail::Tail;

pub async fn run(arguments: Up) -> Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    let options = options(&arguments);
    let options = tokio::select! {
        options = options => options?,
        () = interrupts.next() => return Ok(ExitCode::FAILURE),
    };
    let parts = options.parts;
    let stack = Stack::prepare(options)?;
    let mut tail = Tail::from_now(&stack.dir().join("logs"));

    eprintln!("starting (data, settings and logs: {})", stack.dir().display());
    let started = tokio::select! {
        started = stack.ensure_up(parts) => started,
        () = interrupts.next() => {
            stack.stop().await?;
            return Ok(ExitCode::FAILURE);
        }
    };
    started?;
    print_addresses(&stack, parts).await?;
    if arguments.detach {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(_place) = Lock::try_foreground(stack.dir())? else {
        say!("another `up` shows the output and stops everything on Ctrl-C");
        return Ok(ExitCode::SUCCESS);
    };
    say!("Ctrl-C stops everything\n");
    watch(&stack, &mut tail, &mut interrupts).await
}

async fn options(arguments: &Up) -> Result<StackOptions> {
    let folder = super::folder(&arguments.which)?;
    let profile = arguments.profile.unwrap_or(Profile::Release);
    let (binaries, parts) = if arguments.no_services {
        (building::binaries(profile), Parts::PostgresAndKafka)
    } else {
        (building::services(profile).await?, Parts::Everything)
    };
    let options = StackOptions::new(folder, binaries).only(parts).with_servers_of_environment();
    Ok(StackOptions { port_base: arguments.port_base, ..options })
}

async fn print_addresses(stack: &Stack, parts: Parts) -> Result<()> {
    let status = stack.status().await?;
    if parts == Parts::Everything {
        say!("FitTrack is ready.");
        say!("  write to    {}  (command API)", status.command_api);
        say!("  read from   {}  (query API)", status.query_api);
        say!("  try it      deploy/fittrack demo");
    }
    say!("  look inside deploy/fittrack status");
    Ok(())
}

/// Shows the output until somebody interrupts, or until everything was stopped from elsewhere.
async fn watch(stack: &Stack, tail: &mut Tail, interrupts: &mut Interrupts) -> Result<ExitCode> {
    let mut known_dead = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            _ = tick.tick() => tail.print_new(),
            () = interrupts.next() => break,
        }
        let Some(names) = started_processes(stack)? else {
            say!("the stack was wiped from elsewhere");
            return Ok(ExitCode::SUCCESS);
        };
        if names.is_empty() {
            tail.print_new();
            say!("the stack was stopped from elsewhere");
            return Ok(ExitCode::SUCCESS);
        }
        let mut dead = Vec::new();
        for name in names {
            if !stack.is_alive(&name)? {
                if !known_dead.contains(&name) {
                    eprintln!("{name} has ended; deploy/fittrack up (in another terminal) starts it again");
                }
                dead.push(name);
            }
        }
        known_dead = dead;
    }
    eprintln!("\nstopping");
    tokio::select! {
        stopped = stack.stop() => stopped?,
        () = interrupts.next() => {
            return Err(Error::failed("interrupted while stopping").advise("finish with deploy/fittrack down"));
        }
    }
    tail.print_new();
    say!("stopped; the data stays in {}", stack.dir().display());
    Ok(ExitCode::SUCCESS)
}

/// The names of what was started and not stopped since; nothing when the stack is gone altogether.
fn started_processes(stack: &Stack) -> Result<Option<Vec<String>>> {
    if !stack.dir().exists() {
        return Ok(None);
    }
    stack.started().map(Some)
}
