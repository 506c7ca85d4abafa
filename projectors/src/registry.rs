//! The projections this program has, and what the command line can do with each without knowing its type.
use std::{error::Error, panic::AssertUnwindSafe, time::Duration};

use fittrack_runtime::backoff::Backoff;
use fittrack_schemas::envelope::StoredEvent;
use futures::{FutureExt, future::BoxFuture};
use metrics::{counter, gauge};
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use crate::{
    parking::Failure,
    projection::Projection,
    projections::{leaderboards::Leaderboards, profiles::Profiles, totals::Totals, workouts::Workouts},
    runner::{Parts, Runner, batch},
    source::{kafka::KafkaSource, store::StoreSource},
};

/// Every projection, in the order operators see them.
pub const PROJECTIONS: [Registered; 4] = [
    Registered::of::<Workouts>(),
    Registered::of::<Profiles>(),
    Registered::of::<Totals>(),
    Registered::of::<Leaderboards>(),
];

/// The road events come by.
#[derive(Debug, Clone)]
pub enum Road {
    /// Through Kafka.
    Kafka {
        /// The brokers.
        brokers: String,
        /// The topic of events.
        topic: String,
    },
    /// From the event store itself.
    Store,
}

type Refold = for<'a> fn(&'a mut PgConnection, &'a [StoredEvent]) -> BoxFuture<'a, Result<(), Failure>>;

/// One projection, its type forgotten.
#[derive(Clone, Copy)]
pub struct Registered {
    /// The read model's name.
    pub name: &'static str,
    /// The version of its shape.
    pub version: i32,
    wants: fn(&str) -> bool,
    run: fn(Parts, Road, CancellationToken) -> BoxFuture<'static, ()>,
    refold: Refold,
}

impl Registered {
    const fn of<P: Projection>() -> Self {
        Self { name: P::NAME, version: P::VERSION, wants: P::wants, run: supervise::<P>, refold: refold::<P> }
    }

    /// The projection of this name.
    pub fn named(name: &str) -> Option<Self> {
        PROJECTIONS.into_iter().find(|projection| projection.name == name)
    }

    /// The projection that keeps its checkpoints under this name.
    pub fn of_worker(worker: &str) -> Option<Self> {
        PROJECTIONS.into_iter().find(|projection| projection.worker() == worker)
    }

    /// The name of its checkpoints: `totals.v1`.
    pub fn worker(&self) -> String {
        format!("{}.v{}", self.name, self.version)
    }

    /// Where its rows are: `totals_v1.totals`.
    pub(crate) fn table(&self) -> String {
        format!("{0}_v{1}.{0}", self.name, self.version)
    }

    /// Whether events of this type change its rows.
    pub(crate) fn wants(&self, event_type: &str) -> bool {
        (self.wants)(event_type)
    }

    /// Projects until `stop`; see [`crate::runner`].
    pub async fn run(&self, parts: Parts, road: Road, stop: CancellationToken) {
        (self.run)(parts, road, stop).await;
    }

    /// Folds these events and writes what they change, in the caller's transaction.
    pub(crate) async fn refold(&self, connection: &mut PgConnection, events: &[StoredEvent]) -> Result<(), Failure> {
        (self.refold)(connection, events).await
    }
}

fn refold<'a, P: Projection>(
    connection: &'a mut PgConnection,
    events: &'a [StoredEvent],
) -> BoxFuture<'a, Result<(), Failure>> {
    async move {
        let changes = batch::fold::<P>(events)?;
        P::write(connection, &changes).await?;
        Ok(())
    }
    .boxed()
}

/// Keeps a projection running whatever happens in it, apart from the others. One that must not go on stays stopped, and
/// says so, until the process ends.
fn supervise<P: Projection>(parts: Parts, road: Road, stop: CancellationToken) -> BoxFuture<'static, ()> {
    async move {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        gauge!("fittrack_projection_stopped", "projection" => P::NAME).set(0.0);
        while !stop.is_cancelled() {
            match AssertUnwindSafe(run::<P>(parts.clone(), &road, &stop)).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    gauge!("fittrack_projection_stopped", "projection" => P::NAME).set(1.0);
                    tracing::error!(projection = P::NAME, %error, "the projection is stopped; the others go on");
                    parts.check.unready(error.to_string());
                    stop.cancelled().await;
                }
                Err(_) => {
                    counter!("fittrack_projection_panics_total", "projection" => P::NAME).increment(1);
                    tracing::error!(projection = P::NAME, "the projection panicked; starting it again");
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
        Road::Kafka { brokers, topic } => {
            let source = KafkaSource::new(brokers, topic, P::NAME)?;
            Runner::<P, _>::new(parts, source).run(stop).await?;
        }
        Road::Store => {
            let source = StoreSource::new(parts.store.clone());
            Runner::<P, _>::new(parts, source).run(stop).await?;
        }
    }
    Ok(())
}
