//! The projections this program has, version by version, and what the command line can do with a build of one without
//! knowing its type.
use std::{error::Error, panic::AssertUnwindSafe, time::Duration};

use fittrack_runtime::{backoff::Backoff, kafka::KafkaAccess};
use fittrack_schemas::{envelope::StoredEvent, notice::ChangeNotice, read_models::Build};
use futures::{FutureExt, future::BoxFuture};
use metrics::{counter, gauge};
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    notices::notice,
    parking::Failure,
    projection::Projection,
    projections::{
        leaderboards::{Leaderboards, LeaderboardsV1},
        measurements::Measurements,
        privacy_zones::PrivacyZones,
        profiles::Profiles,
        totals::Totals,
        workouts::Workouts,
    },
    rebuild::{
        fill::{self, Fill, FillError, Filled},
        sample::{self, Loaded, Sampled},
    },
    runner::{Parts, Runner, batch},
    source::{kafka::KafkaSource, store::StoreSource},
};

/// Every version of every projection, in the order operators see them; the versions of one in ascending order.
pub const PROJECTIONS: [Registered; 7] = [
    Registered::of::<Workouts>(),
    Registered::of::<Profiles>(),
    Registered::of::<Totals>(),
    Registered::of::<LeaderboardsV1>(),
    Registered::of::<Leaderboards>(),
    Registered::of::<Measurements>(),
    Registered::of::<PrivacyZones>(),
];

/// The road events come by.
#[derive(Debug, Clone)]
pub enum Road {
    /// Through Kafka.
    Kafka {
        /// Where it is, and whom it knows this process as.
        access: KafkaAccess,
        /// The topic of events.
        topic: String,
    },
    /// From the event store itself.
    Store,
}

type Refold = for<'a> fn(&'a mut PgConnection, Build, &'a [StoredEvent]) -> BoxFuture<'a, Result<(), Failure>>;

/// One version of a projection, its type forgotten.
#[derive(Clone, Copy)]
pub struct Registered {
    /// The read model's name.
    pub name: &'static str,
    /// The version of its shape and its fold.
    pub version: i32,
    wants: fn(&str) -> bool,
    run: fn(Parts, Road, CancellationToken) -> BoxFuture<'static, ()>,
    refold: Refold,
    fill: fn(Fill, CancellationToken) -> BoxFuture<'static, Result<Filled, FillError>>,
    sample: fn(Fill) -> BoxFuture<'static, Result<Sampled, FillError>>,
    load: for<'a> fn(Fill, &'a mut PgConnection) -> BoxFuture<'a, Result<Loaded, FillError>>,
}

impl Registered {
    const fn of<P: Projection>() -> Self {
        Self {
            name: P::NAME,
            version: P::VERSION,
            wants: P::wants,
            run: supervise::<P>,
            refold: refold::<P>,
            fill: fill::partition::<P>,
            sample: sample::fold::<P>,
            load: sample::load::<P>,
        }
    }

    /// This version of the projection of this name.
    pub fn version(name: &str, version: i32) -> Option<Self> {
        PROJECTIONS.into_iter().find(|projection| projection.name == name && projection.version == version)
    }

    /// The newest version of the projection of this name.
    pub fn newest(name: &str) -> Option<Self> {
        PROJECTIONS.into_iter().rfind(|projection| projection.name == name)
    }
}

/// The name of each projection once.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = PROJECTIONS.iter().map(|projection| projection.name).collect();
    names.dedup();
    names
}

/// A build and the projection that makes it.
#[derive(Clone, Copy)]
pub struct Built {
    /// Which build.
    pub build: Build,
    projection: Registered,
}

impl Built {
    /// The build with its projection, where this program has that version.
    pub fn of(build: Build) -> Option<Self> {
        let projection = Registered::version(build.read_model, build.version)?;
        Some(Self { build, projection })
    }

    /// The build that keeps its checkpoints under this name.
    pub fn of_worker(worker: &str) -> Option<Self> {
        Self::of(Build::of_worker(worker)?)
    }

    /// The first generation of the newest version of each projection: what a new installation has.
    pub fn newest() -> Vec<Self> {
        let newest = names().into_iter().filter_map(Registered::newest);
        newest.filter_map(|projection| Self::of(Build::first(projection.name, projection.version))).collect()
    }

    /// The read model's name.
    pub fn name(&self) -> &'static str {
        self.build.read_model
    }

    /// The name of its checkpoints: `totals.v1`.
    pub fn worker(&self) -> String {
        self.build.worker()
    }

    /// Where its rows are: `totals_v1.totals`.
    pub(crate) fn table(&self) -> String {
        self.build.table()
    }

    /// Whether events of this type change its rows.
    pub(crate) fn wants(&self, event_type: &str) -> bool {
        (self.projection.wants)(event_type)
    }

    /// What readers are told after a commit, while this build is shown.
    pub(crate) fn notice(&self, checkpoints: Vec<(i32, i64)>, owners: Option<Vec<Uuid>>) -> ChangeNotice {
        notice(self.build, checkpoints, owners)
    }

    /// Projects until `stop`; see [`crate::runner`].
    pub async fn run(&self, parts: Parts, road: Road, stop: CancellationToken) {
        (self.projection.run)(Parts { build: self.build, ..parts }, road, stop).await;
    }

    /// Folds these events and writes what they change, in the caller's transaction.
    pub(crate) async fn refold(&self, connection: &mut PgConnection, events: &[StoredEvent]) -> Result<(), Failure> {
        (self.projection.refold)(connection, self.build, events).await
    }

    /// Loads one partition from its whole history; see [`crate::rebuild::fill`].
    pub(crate) fn fill(self, fill: Fill, stop: CancellationToken) -> BoxFuture<'static, Result<Filled, FillError>> {
        (self.projection.fill)(fill, stop)
    }

    /// Measures the folding of a span; see [`crate::rebuild::sample`].
    pub(crate) fn sample(self, fill: Fill) -> BoxFuture<'static, Result<Sampled, FillError>> {
        (self.projection.sample)(fill)
    }

    /// Measures the writing of a span's rows.
    pub(crate) async fn load(&self, fill: Fill, connection: &mut PgConnection) -> Result<Loaded, FillError> {
        (self.projection.load)(fill, connection).await
    }
}

fn refold<'a, P: Projection>(
    connection: &'a mut PgConnection,
    build: Build,
    events: &'a [StoredEvent],
) -> BoxFuture<'a, Result<(), Failure>> {
    async move {
        let changes = batch::fold::<P>(events)?;
        P::write(connection, build, &changes).await?;
        Ok(())
    }
    .boxed()
}

/// Keeps a projection running whatever happens in it, apart from the others. One that must not go on stays stopped, and
/// says so, until the process ends.
fn supervise<P: Projection>(parts: Parts, road: Road, stop: CancellationToken) -> BoxFuture<'static, ()> {
    async move {
        let worker = parts.build.worker();
        let stopped = gauge!("fittrack_projection_stopped", "projection" => P::NAME, "build" => worker.clone());
        let panics = counter!("fittrack_projection_panics_total", "projection" => P::NAME, "build" => worker.clone());
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        stopped.set(0.0);
        while !stop.is_cancelled() {
            match AssertUnwindSafe(run::<P>(parts.clone(), &road, &stop)).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    stopped.set(1.0);
                    tracing::error!(build = worker, %error, "the projection is stopped; the others go on");
                    parts.check.unready(error.to_string());
                    stop.cancelled().await;
                }
                Err(_) => {
                    panics.increment(1);
                    tracing::error!(build = worker, "the projection panicked; starting it again");
                    parts.check.unready("it panicked; starting again");
                    backoff.wait(&stop).await;
                }
            }
        }
    }
    .boxed()
}

async fn run<P: Projection>(
    parts: Parts,
    road: &Road,
    stop: &CancellationToken,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    match road {
        Road::Kafka { access, topic } => {
            let source = KafkaSource::new(access, topic, &parts.build.worker())?;
            Runner::<P, _>::new(parts, source).run(stop).await?;
        }
        Road::Store => {
            let source = StoreSource::new(parts.store.clone());
            Runner::<P, _>::new(parts, source).run(stop).await?;
        }
    }
    Ok(())
}
