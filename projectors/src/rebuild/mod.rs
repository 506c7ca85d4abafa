//! `projectors rebuild NAME`: a build made from the whole history beside the one readers see, in four steps that each leave
//! the database whole: begin (an empty table, checkpoints at nothing), fill (partition by partition, see [`fill`]), index, catch up
//! (with the ordinary runner). Killed at any moment, the same command goes on where the last one came to.
pub mod claim;
pub mod fill;
pub mod governor;
pub mod plan;
pub mod progress;
pub mod sample;
mod sql;
pub mod throttle;

use std::{sync::Arc, time::Duration};

use fittrack_runtime::private::Readiness;
use fittrack_schemas::read_models::{self, Build};
use futures::{StreamExt, stream};
use sqlx::{Connection, PgPool};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use claim::Claim;
use fill::{Fill, FillError, Filled};
use governor::Governor;
use progress::{Phase, Progress};
use throttle::Throttle;

use crate::{
    audit::{self, Action, Operator, Subject},
    builds::{self, Known, Stage},
    event_log,
    notices::Notices,
    registry::{Built, Registered, Road},
    runner::{Parts, ShownCheck, Tuning},
};

/// Where a rebuild works.
#[derive(Clone)]
pub struct Place {
    /// The event store, read-only.
    pub store: PgPool,
    /// The read models, as the projectors' role: rows and checkpoints.
    pub read_models: PgPool,
    /// The read models, as their owner: tables and indexes.
    pub owner: PgPool,
}

/// How it works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Partitions at once.
    pub parallelism: usize,
    /// Events a second at most.
    pub max_rate: Option<f64>,
    /// Memory that folds may take, over all tasks, in bytes.
    pub memory_bytes: usize,
    /// Whether it gives way to users.
    pub gives_way: bool,
}

/// Why a build was not made.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// No such version.
    #[error("this program has no version {1} of {0}")]
    NoSuchVersion(String, i32),
    /// It exists already.
    #[error("{0} is built already and waits: promote it, or retire it first")]
    Waits(String),
    /// Another one is at it.
    #[error("{build} is being rebuilt already, by {by} since {since}")]
    Busy {
        /// What is built.
        build: String,
        /// By whom.
        by: String,
        /// Since when.
        since: String,
    },
    /// The log cannot be read or folded, or a database fails.
    #[error(transparent)]
    Fill(#[from] FillError),
    /// Told to stop: nothing is lost.
    #[error("stopped: the same command goes on from here")]
    Stopped,
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fill(error.into())
    }
}

/// What is to be built.
#[derive(Clone, Copy)]
pub struct Target {
    /// The build.
    pub built: Built,
    /// Whether a rebuild of it was begun before.
    pub resumes: bool,
}

/// The build that a rebuild of this read model makes: the one that was begun, or the next generation of the version.
pub async fn target(owner: &PgPool, name: &str, version: Option<i32>) -> Result<Target, RebuildError> {
    let version = version.or_else(|| Registered::newest(name).map(|newest| newest.version)).unwrap_or_default();
    let all = builds::all(&mut *owner.acquire().await?, Some(name)).await?;
    let of_version: Vec<&Known> = all.iter().filter(|known| known.built.build.version == version).collect();
    if let Some(begun) = of_version.iter().find(|known| known.stage == Stage::Filling) {
        return Ok(Target { built: begun.built, resumes: true });
    }
    let waits = |known: &&&Known| known.stage == Stage::Fed && !known.shown && known.shown_until.is_none();
    if let Some(waiting) = of_version.iter().find(waits) {
        return Err(RebuildError::Waits(waiting.built.worker()));
    }
    let generation = of_version.iter().map(|known| known.built.build.generation).max().unwrap_or(0) + 1;
    let built = Build::known(name, version, generation).and_then(Built::of);
    let no_such = || RebuildError::NoSuchVersion(name.to_owned(), version);
    Ok(Target { built: built.ok_or_else(no_such)?, resumes: false })
}

/// What a rebuild came to.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Done {
    /// The build.
    pub build: String,
    /// Events that were read.
    pub events: i64,
    /// Rows that were loaded.
    pub rows: u64,
    /// How long loading took.
    pub fill_seconds: f64,
    /// How long keys and indexes took.
    pub index_seconds: f64,
    /// Partitions of which something was left to the ordinary runner, and why.
    pub left: Vec<String>,
}

/// Makes the build, or goes on with it.
pub async fn run(
    place: &Place,
    target: Target,
    effort: Effort,
    operator: &Operator,
    progress: &Arc<Progress>,
    stop: &CancellationToken,
) -> Result<Done, RebuildError> {
    let Target { built, .. } = target;
    let claim = Claim::take(&place.owner, built, operator).await?;
    begin(place, built, operator).await?;
    let throttle = Throttle::new(effort.parallelism, effort.max_rate);
    let began = Instant::now();
    let filled = {
        let _governing = effort.gives_way.then(|| Governor::new(place, throttle.clone(), Arc::clone(progress)).spawn());
        fill_all(place, built, effort, &throttle, progress, stop).await?
    };
    let fill_seconds = began.elapsed().as_secs_f64();
    progress.enter(Phase::Indexing);
    let began = Instant::now();
    finish_table(&place.owner, built, throttle.helpers()).await?;
    let index_seconds = began.elapsed().as_secs_f64();
    progress.enter(Phase::CatchingUp);
    catch_up(place, built, progress, stop).await?;
    let mut connection = place.owner.acquire().await?;
    let worker = built.worker();
    let subject = Subject::of_build(&worker);
    audit::record(&mut connection, operator, Action::RebuildDone, subject, Some(throttle.events())).await?;
    claim.release().await;
    progress.enter(Phase::Done);
    let left = filled.iter().filter_map(|filled| filled.left.clone()).collect();
    let rows = filled.iter().map(|filled| filled.rows).sum();
    Ok(Done { build: worker, events: throttle.events(), rows, fill_seconds, index_seconds, left })
}

/// An empty table and checkpoints at nothing, in one transaction; nothing where that was done before.
async fn begin(place: &Place, built: Built, operator: &Operator) -> Result<(), RebuildError> {
    let partitions = event_log::partitions(&place.store).await?;
    let mut connection = place.owner.acquire().await?;
    let mut transaction = connection.begin().await?;
    if sql::register(&mut transaction, built.build).await? {
        read_models::create(&mut transaction, built.build).await?;
        sql::seed(&mut transaction, &built.worker(), partitions).await?;
    }
    sql::take_over(&mut transaction, built.build, &operator.name).await?;
    audit::record(&mut transaction, operator, Action::RebuildBegun, Subject::of_build(&built.worker()), None).await?;
    transaction.commit().await?;
    Ok(())
}

/// Loads every partition that has nothing yet, several at once.
async fn fill_all(
    place: &Place,
    built: Built,
    effort: Effort,
    throttle: &Throttle,
    progress: &Arc<Progress>,
    stop: &CancellationToken,
) -> Result<Vec<Filled>, RebuildError> {
    let work = sql::work(place, built.build).await?;
    progress.begin(work.iter().map(|one| one.upto).sum(), throttle.clone());
    let failed = stop.child_token();
    let fills = work.into_iter().map(|work| {
        let fill = Fill {
            store: place.store.clone(),
            read_models: place.read_models.clone(),
            build: built.build,
            partition: work.partition,
            epoch: work.epoch,
            after: 0,
            upto: work.upto,
            next_offset: work.next_offset,
            memory_bytes: effort.memory_bytes / effort.parallelism.max(1),
            throttle: throttle.clone(),
        };
        let (failed, progress) = (failed.clone(), Arc::clone(progress));
        async move {
            let working = fill.throttle.join();
            let filled = tokio::spawn(built.fill(fill, failed.clone())).await;
            drop(working);
            let filled = filled.unwrap_or_else(|error| Err(sqlx::Error::Protocol(error.to_string()).into()));
            match &filled {
                Ok(filled) => progress.partition_done(filled),
                Err(_) => failed.cancel(),
            }
            filled
        }
    });
    let filled: Vec<Result<Filled, FillError>> =
        stream::iter(fills).buffer_unordered(effort.parallelism.max(1)).collect().await;
    first_failure(filled, stop)
}

/// Of several failures the first that is not only the echo of another.
fn first_failure(
    filled: Vec<Result<Filled, FillError>>,
    stop: &CancellationToken,
) -> Result<Vec<Filled>, RebuildError> {
    if stop.is_cancelled() {
        return Err(RebuildError::Stopped);
    }
    let (mut done, mut failure) = (Vec::new(), None);
    for filled in filled {
        match filled {
            Ok(filled) => done.push(filled),
            Err(FillError::Stopped) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(done), |error| Err(error.into()))
}

/// Keys, indexes and statistics; from then on the projectors feed it.
async fn finish_table(owner: &PgPool, built: Built, helpers: usize) -> Result<(), RebuildError> {
    let mut connection = owner.acquire().await?;
    let mut transaction = connection.begin().await?;
    sql::lock_filling(&mut transaction, built.build).await?;
    sql::index(&mut transaction, built.build, helpers).await?;
    sql::analyze(&mut transaction, built.build).await?;
    sql::fed(&mut transaction, built.build).await?;
    transaction.commit().await?;
    Ok(())
}

/// Feeds the build from the store until it has what the log had when this began, besides whoever feeds it already.
async fn catch_up(
    place: &Place,
    built: Built,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<(), RebuildError> {
    let partitions = event_log::partitions(&place.store).await?;
    let all: Vec<i32> = (0..partitions).collect();
    let heads = event_log::heads(&place.store, &all).await?.map(|heads| heads.heads).unwrap_or_default();
    let parts = Parts {
        store: place.store.clone(),
        read_models: place.read_models.clone(),
        build: built.build,
        partitions,
        notices: Notices::nowhere(),
        check: ShownCheck::new(Readiness::new().check("catching up"), false),
        tuning: Tuning::default(),
    };
    let feeding = stop.child_token();
    let task = tokio::spawn({
        let feeding = feeding.clone();
        async move { built.run(parts, Road::Store, feeding).await }
    });
    let reached = loop {
        let behind = sql::behind(&place.read_models, &built.worker(), &heads).await?;
        progress.behind(behind);
        if behind == 0 || stop.run_until_cancelled(sleep(Duration::from_millis(50))).await.is_none() {
            break behind == 0;
        }
    };
    feeding.cancel();
    let _ = task.await;
    if reached { Ok(()) } else { Err(RebuildError::Stopped) }
}
