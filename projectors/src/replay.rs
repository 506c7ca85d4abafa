//! The commands about builds: `rebuild`, `verify`, `promote`, `rollback`, `retire`; what they take, and what they print.
use std::{
    io::{self, IsTerminal, Write},
    num::NonZeroUsize,
    process::ExitCode,
    sync::Arc,
    thread::available_parallelism,
};

use clap::Args;
use fittrack_runtime::{
    config::Source,
    pg::{self, PoolSettings},
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    audit::Operator,
    builds,
    cli::{Failure, MIGRATION_STATEMENT, projection_names},
    notices::Notices,
    owner::{self, Mode, Rebuilt},
    parked::{self, Decision},
    rebuild::{
        self, Effort, Place, RebuildError,
        plan::{self, Plan},
        progress::{Audience, Progress, report},
    },
    serve,
    settings::{BuildSettings, OperatorSettings},
    switch::{self, Switched},
    verify,
};

/// How far a rebuild's priority is lowered, from 0 to 19.
const NICENESS: i32 = 10;
/// Memory for folds where nothing is said, in megabytes.
const MEMORY_MB: usize = 256;

/// What `rebuild` takes.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, Args)]
#[command(
    after_long_help = "A rebuild changes nothing that readers see. The whole way to a new version of a read model:\n\n  \
    projectors rebuild leaderboards --plan      what it will do, how long, how much space\n  \
    projectors rebuild leaderboards --yes       build it; Ctrl-C and kill are harmless: the same command goes on\n  \
    projectors verify leaderboards              compare it with what readers see\n  \
    projectors promote leaderboards             show it to readers, in one step\n  \
    projectors rollback leaderboards            the same step backwards\n  \
    projectors retire leaderboards --version 1  drop the old one, a day later\n\n\
    Where the newest version is what readers see, a fresh generation of it is built beside itself: to mend damage.\n\
    One owner's rows are mended in place with --owner, those of a span of the log with --partition and --since."
)]
pub(crate) struct Rebuild {
    /// The projection
    #[arg(value_name = "NAME", value_parser = projection_names())]
    projection: String,
    /// The version to build; the newest where nothing is said
    #[arg(long, value_name = "N", conflicts_with_all = ["owner", "partition"])]
    version: Option<i32>,
    /// Say what it would do, and do nothing
    #[arg(long, conflicts_with_all = ["owner", "partition", "yes"])]
    plan: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Print JSON: the plan, lines of progress, what was done
    #[arg(long)]
    json: bool,
    /// Partitions at once; two for each processor where nothing is said
    #[arg(long, value_name = "COUNT")]
    parallelism: Option<NonZeroUsize>,
    /// At most so many events a second
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..))]
    max_rate: Option<u32>,
    /// Memory the rows may take while they are folded, in megabytes; what outgrows it is applied in batches afterwards
    #[arg(long, value_name = "MB", default_value_t = MEMORY_MB)]
    memory_mb: usize,
    /// Do not slow down for the sake of users
    #[arg(long)]
    full_speed: bool,
    /// What is free on the database's disk, in bytes, where that cannot be seen from here
    #[arg(long, value_name = "BYTES")]
    free_space: Option<u64>,
    /// Mend this owner's rows in what readers see, fenced against the live worker
    #[arg(long, value_name = "ID", conflicts_with = "partition")]
    owner: Option<Uuid>,
    /// Mend the rows of everybody who has an event in this log partition ...
    #[arg(long, value_name = "P", requires = "since")]
    partition: Option<i32>,
    /// ... from this position on
    #[arg(long, value_name = "POSITION", requires = "partition")]
    since: Option<i64>,
    /// With --owner or --partition: roll it back and only say whether the rows are what the log says; exits 1 where not
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    decision: Decision,
}

impl Rebuild {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        if self.owner.is_some() || self.partition.is_some() {
            return self.mend().await;
        }
        if self.dry_run {
            return Err("--dry-run goes with --owner or --partition; --plan says what a rebuild would do".into());
        }
        let settings = BuildSettings::read(Source::from_env())?;
        let effort = self.effort();
        let place = place(&settings, effort.parallelism)?;
        let target = rebuild::target(&place.owner, &self.projection, self.version).await?;
        let plan = plan::make(&place, target, effort, self.free_space).await?;
        self.show(&plan)?;
        if plan.refused.is_some() {
            return Ok(ExitCode::FAILURE);
        }
        if self.plan {
            return Ok(ExitCode::SUCCESS);
        }
        if !self.yes && !confirmed(&plan)? {
            return Ok(ExitCode::FAILURE);
        }
        self.build(&place, target, effort, &plan).await
    }

    fn effort(&self) -> Effort {
        // Each task waits for Postgres half of its time.
        let two_each = || 2 * available_parallelism().map_or(1, NonZeroUsize::get);
        Effort {
            parallelism: self.parallelism.map_or_else(two_each, NonZeroUsize::get),
            max_rate: self.max_rate.map(f64::from),
            memory_bytes: self.memory_mb.max(16) << 20,
            gives_way: !self.full_speed,
        }
    }

    fn show(&self, plan: &Plan) -> Result<(), Failure> {
        if self.json {
            println!("{}", serde_json::to_string(&serde_json::json!({ "plan": plan }))?);
        } else {
            print!("{}", plan::text(plan));
        }
        Ok(())
    }

    async fn build(
        &self,
        place: &Place,
        target: rebuild::Target,
        effort: Effort,
        plan: &Plan,
    ) -> Result<ExitCode, Failure> {
        if effort.gives_way {
            step_back();
        }
        let stop = stop_on_signal();
        let progress = Progress::new(plan.index_seconds / (plan.keys as f64).max(1.0));
        let audience = if self.json { Audience::Programs } else { Audience::People };
        let shown = CancellationToken::new();
        let showing = tokio::spawn(report(Arc::clone(&progress), audience, shown.clone()));
        let operator = Operator::from(self.decision.clone());
        let done = rebuild::run(place, target, effort, &operator, &progress, &stop).await;
        shown.cancel();
        showing.await??;
        let done = match done {
            Err(RebuildError::Stopped) => {
                eprintln!("stopped: nothing is lost, the same command goes on from here");
                return Ok(ExitCode::FAILURE);
            }
            done => done?,
        };
        if self.json {
            println!("{}", serde_json::to_string(&serde_json::json!({ "done": done }))?);
            return Ok(ExitCode::SUCCESS);
        }
        for left in &done.left {
            println!("  left to the ordinary worker: {left}");
        }
        println!("{} is built: {} events, {} rows loaded.", done.build, done.events, done.rows);
        println!("next: projectors verify {}", target.built.name());
        Ok(ExitCode::SUCCESS)
    }

    async fn mend(self) -> Result<ExitCode, Failure> {
        let settings = OperatorSettings::read(Source::from_env())?;
        let (store, read_models) = serve::pools(&settings.databases, "rebuild", 1, 2)?;
        let notices = parked::notices(&settings, &read_models)?;
        let operator = Operator::from(self.decision);
        let built = builds::shown(&mut *read_models.acquire().await?, &self.projection).await?;
        let owners = match (self.owner, self.partition, self.since) {
            (Some(owner), ..) => vec![owner],
            (None, Some(partition), Some(since)) => owner::of_span(&store, partition, since).await?,
            _ => vec![],
        };
        let mut damaged = false;
        for owner_id in owners {
            let mode = if self.dry_run { Mode::DryRun } else { Mode::Replace(&operator, &notices) };
            let mut connection = read_models.acquire().await?;
            let rebuilt = owner::rebuild(&store, &mut connection, built, owner_id, mode).await?;
            damaged |= !rebuilt.is_unchanged();
            let Rebuilt { events, before, after } = &rebuilt;
            let verdict =
                if rebuilt.is_unchanged() { "they are what the log says" } else { "they were not what the log says" };
            println!(
                "{built}  {owner_id}  {events} events, {} rows before, {} after: {verdict}; {}",
                before.rows,
                after.rows,
                if self.dry_run { "not touched" } else { "replaced" },
                built = built.worker(),
            );
        }
        notices.flush().await;
        Ok(if self.dry_run && damaged { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Users come first, also on the processors. Linux keeps a priority for each thread; elsewhere it stays as it is.
fn step_back() {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for thread in threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok()) {
        if let Err(error) = rustix::process::setpriority_process(rustix::process::Pid::from_raw(thread), NICENESS) {
            tracing::debug!(%error, "the priority of a thread cannot be lowered");
        }
    }
}

/// Asks on a terminal; elsewhere nobody could answer.
fn confirmed(plan: &Plan) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err("say --yes to build it, or --plan to see the plan alone".into());
    }
    eprint!("build {}? [y/N] ", plan.build);
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Cancelled by Ctrl-C or SIGTERM. What is not committed then is not there; a second signal ends the process at once.
fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        let terminate = async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminate => {}
        }
        stopped.cancel();
        let _ = tokio::signal::ctrl_c().await;
        std::process::exit(130);
    });
    stop
}

fn place(settings: &BuildSettings, parallelism: usize) -> Result<Place, Failure> {
    let tasks = u32::try_from(parallelism).unwrap_or(u32::MAX).min(64);
    let (store, read_models) = serve::pools(&settings.operator.databases, "rebuild", tasks + 4, tasks + 4)?;
    Ok(Place { store, read_models, owner: owner_pool(settings)? })
}

fn owner_pool(settings: &BuildSettings) -> Result<PgPool, Failure> {
    let pool = PoolSettings {
        statement_timeout: MIGRATION_STATEMENT,
        ..PoolSettings::new("projectors-builds").max_connections(3)
    };
    Ok(pg::pool(&settings.read_models_owner, pool)?)
}

fn settings_and_owner() -> Result<(BuildSettings, PgPool, Notices), Failure> {
    let settings = BuildSettings::read(Source::from_env())?;
    let owner = owner_pool(&settings)?;
    let notices = parked::notices(&settings.operator, &owner)?;
    Ok((settings, owner, notices))
}

/// Which build.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The projection
    #[arg(value_name = "NAME", value_parser = projection_names())]
    projection: String,
    /// The build's version, where there are several
    #[arg(long, value_name = "N")]
    version: Option<i32>,
    /// The build's generation, where there are several
    #[arg(long, value_name = "G")]
    generation: Option<i32>,
}

/// What `verify` takes.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let (settings, owner, _) = settings_and_owner()?;
        let (store, read_models) = serve::pools(&settings.operator.databases, "verify", 2, 2)?;
        let Which { projection, version, generation } = &self.which;
        let candidate = switch::other(&owner, projection, *version, *generation).await?;
        let verified = verify::verify(&store, &read_models, &owner, &candidate).await?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&verified)?);
        } else {
            print!("{}", verify::text(&verified)?);
        }
        Ok(if verified.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What `promote` takes.
#[derive(Debug, Args)]
pub(crate) struct Promote {
    #[command(flatten)]
    which: Which,
    /// Although it was not verified; the reason goes to the audit log
    #[arg(long, requires = "reason")]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    decision: Decision,
}

impl Promote {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let (_, owner, notices) = settings_and_owner()?;
        let Which { projection, version, generation } = &self.which;
        let to = switch::other(&owner, projection, *version, *generation).await?;
        let operator = Operator::from(self.decision);
        let switched = switch::promote(&owner, &to, self.force, &operator, &notices).await?;
        notices.flush().await;
        say(&switched, projection, self.json)
    }
}

/// What `rollback` takes.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The projection
    #[arg(value_name = "NAME", value_parser = projection_names())]
    projection: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    decision: Decision,
}

impl Rollback {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let (_, owner, notices) = settings_and_owner()?;
        let operator = Operator::from(self.decision);
        let switched = switch::rollback(&owner, &self.projection, &operator, &notices).await?;
        notices.flush().await;
        say(&switched, &self.projection, self.json)
    }
}

fn say(switched: &Switched, projection: &str, json: bool) -> Result<ExitCode, Failure> {
    if json {
        println!("{}", serde_json::to_string(switched)?);
        return Ok(ExitCode::SUCCESS);
    }
    let Switched { from, to, held_ms } = switched;
    println!("readers see {to} now; readers waited {held_ms:.0} ms at most");
    println!("{from} is kept up to date: projectors rollback {projection} shows it again");
    Ok(ExitCode::SUCCESS)
}

/// What `retire` takes.
#[derive(Debug, Args)]
pub(crate) struct Retire {
    /// The projection
    #[arg(value_name = "NAME", value_parser = projection_names())]
    projection: String,
    /// The build's version
    #[arg(long, value_name = "N")]
    version: i32,
    /// The build's generation, where there are several
    #[arg(long, value_name = "G")]
    generation: Option<i32>,
    /// How long it is kept after readers saw it last
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    grace_hours: u32,
    #[command(flatten)]
    decision: Decision,
}

impl Retire {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let (_, owner, _) = settings_and_owner()?;
        let Self { projection, version, generation, grace_hours, decision } = self;
        let retired = switch::retire(&owner, &projection, version, generation, grace_hours, &decision.into()).await?;
        println!("{retired} is retired: its rows are gone");
        Ok(ExitCode::SUCCESS)
    }
}
