//! Feeds every build of one projection that is not retired, each by a runner with connections of its own: the one readers see,
//! the one it may go back to, and the one that may follow. Which they are, it looks up every second.
use std::{collections::BTreeMap, time::Duration};

use fittrack_runtime::private::Check;
use fittrack_schemas::read_models::Build;
use sqlx::PgPool;
use tokio::{runtime::Handle, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    builds::{self, Known, Stage},
    notices::Notices,
    registry::Road,
    runner::{Parts, ShownCheck, Tuning},
    serve,
    settings::Databases,
};

/// How soon a build that was promoted, loaded or retired is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// One for the batch, one for leases.
const READ_MODEL_CONNECTIONS: u32 = 2;
/// One for reading, one for listening, one to spare.
const EVENT_STORE_CONNECTIONS: u32 = 3;

/// What a feeder works with.
pub struct Feeder {
    /// The read model.
    pub name: &'static str,
    /// Where builds are looked up.
    pub read_models: PgPool,
    /// Where each runner connects to.
    pub databases: Databases,
    /// How many log partitions there are.
    pub partitions: i32,
    /// Where commits are told.
    pub notices: Notices,
    /// Whether what readers see is kept up to date.
    pub check: Check,
    /// How events come.
    pub road: Road,
}

struct Feeding {
    check: ShownCheck,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Feeder {
    /// Feeds until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut feeding: BTreeMap<Build, Feeding> = BTreeMap::new();
        while !stop.is_cancelled() {
            match self.fed().await {
                Ok(fed) => self.follow(&mut feeding, &fed, &stop).await,
                Err(error) if feeding.is_empty() => self.check.unready(error.to_string()),
                Err(error) => tracing::debug!(projection = self.name, %error, "its builds cannot be looked up"),
            }
            let _ = stop.run_until_cancelled(sleep(LOOK_EVERY)).await;
        }
        for (_, feeding) in feeding {
            finish(feeding).await;
        }
    }

    async fn fed(&self) -> Result<Vec<Known>, sqlx::Error> {
        let mut connection = self.read_models.acquire().await?;
        let known = builds::all(&mut connection, Some(self.name)).await?;
        Ok(known.into_iter().filter(|known| known.stage == Stage::Fed).collect())
    }

    /// Ends what is not to be fed any more, and begins what is not fed yet.
    async fn follow(&self, feeding: &mut BTreeMap<Build, Feeding>, fed: &[Known], stop: &CancellationToken) {
        let is_fed = |build: &Build| fed.iter().any(|known| known.built.build == *build);
        let ended: Vec<Build> = feeding.keys().filter(|build| !is_fed(build)).copied().collect();
        for build in ended {
            if let Some(feeding) = feeding.remove(&build) {
                finish(feeding).await;
            }
        }
        for known in fed {
            if let Some(feeding) = feeding.get(&known.built.build) {
                feeding.check.set_shown(known.shown);
                continue;
            }
            match self.begin(known, stop.child_token()) {
                Ok(begun) => {
                    feeding.insert(known.built.build, begun);
                }
                Err(error) => self.check.unready(error.to_string()),
            }
        }
    }

    fn begin(&self, known: &Known, stop: CancellationToken) -> Result<Feeding, sqlx::Error> {
        let (built, shown) = (known.built, known.shown);
        let worker = built.worker();
        let (store, read_models) =
            serve::pools(&self.databases, &worker, EVENT_STORE_CONNECTIONS, READ_MODEL_CONNECTIONS)?;
        tracing::info!(build = worker, shown, "feeding");
        let check = ShownCheck::new(self.check.clone(), shown);
        let parts = Parts {
            store,
            read_models,
            build: built.build,
            partitions: self.partitions,
            notices: self.notices.clone(),
            check: check.clone(),
            tuning: Tuning::default(),
        };
        let (road, stopped) = (self.road.clone(), stop.clone());
        let task = tokio::spawn(async move {
            // A pool that is only dropped would be kept by its database, to be told of new logins.
            let _closed = [Closed(parts.store.clone()), Closed(parts.read_models.clone())];
            built.run(parts, road, stopped).await;
        });
        Ok(Feeding { check, stop, task })
    }
}

/// Closes a pool and its connections when it is dropped, however the runner ends.
struct Closed(PgPool);

impl Drop for Closed {
    fn drop(&mut self) {
        let pool = self.0.clone();
        // Its connections are closed by whoever waits for that.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { pool.close().await });
        }
    }
}

async fn finish(feeding: Feeding) {
    feeding.stop.cancel();
    if let Err(error) = feeding.task.await {
        tracing::error!(%error, "a runner did not end by itself");
    }
}
