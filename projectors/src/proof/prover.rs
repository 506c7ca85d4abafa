//! Goes on proving while the projectors run: every few seconds the log is read on from where a build was proven last to where it
//! stands, and compared. `fittrack_unproven_events{hop="road_to_projection"}` is 0, or somebody is to be paged.
//!
//! Of several processes one does it, whoever has the lock. It begins at the store's own proof (which `command-api` keeps, and
//! renews for ever over the old log), so that a new process need not read the whole log.
use std::{collections::BTreeMap, time::Duration};

use fittrack_schemas::proof::{LogError, Mark};
use metrics::gauge;
use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Kept, fed, kept};

/// From one round to the next.
const EVERY: Duration = Duration::from_secs(2);
/// What has not been proven for so long is counted.
const GRACE: Duration = Duration::from_secs(10);
/// Events that one statement reads, and one round of all builds.
const PAGE: i64 = 5_000;
const ROUND: i64 = 100_000;
/// One process at a time, as long as its connection lasts: 'FITT' and 'prov'.
const TRY: &str = "SELECT pg_try_advisory_lock(1179210836, 1886547830)";

/// Proves what the builds of this database have passed.
pub struct Prover {
    store: PgPool,
    read_models: PgPool,
    grace: Duration,
    watched: BTreeMap<(String, i32), Watched>,
}

/// One partition of one build.
#[derive(Debug, Clone, Copy)]
struct Watched {
    /// Up to here the log was read, as the build's proof must have it.
    log: Mark,
    /// Up to here the two were the same.
    proven: i64,
    /// What it is compared with next: the build's own proof at some moment, and when that was read.
    claim: Option<(Mark, Instant)>,
    /// Whether the two differed.
    doubted: bool,
}

impl Prover {
    /// Over these databases; what is not proven within `grace` counts.
    pub fn new(store: PgPool, read_models: PgPool, grace: Option<Duration>) -> Self {
        Self { store, read_models, grace: grace.unwrap_or(GRACE), watched: BTreeMap::new() }
    }

    /// Proves until told to stop; whatever fails is tried again.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut clock = interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut lock: Option<PgConnection> = None;
        while stop.run_until_cancelled(clock.tick()).await.is_some() {
            let round = async {
                match &mut lock {
                    Some(_) => {}
                    None => lock = self.take_lock().await?,
                }
                match &mut lock {
                    Some(connection) => self.round(connection).await.map(Some),
                    None => Ok(None),
                }
            };
            match stop.run_until_cancelled(round).await {
                Some(Ok(Some(unproven))) => {
                    gauge!("fittrack_unproven_events", "hop" => "road_to_projection").set(unproven as f64);
                }
                Some(Ok(None)) | None => {}
                Some(Err(error)) => {
                    tracing::warn!(%error, "what the builds have passed cannot be proven now; trying again");
                    lock = None;
                }
            }
        }
    }

    async fn take_lock(&self) -> Result<Option<PgConnection>, sqlx::Error> {
        let mut connection = self.read_models.acquire().await?.detach();
        let taken: bool = sqlx::query_scalar(TRY).fetch_one(&mut connection).await?;
        Ok(taken.then_some(connection))
    }

    /// Reads on and compares; how many events were not proven in time.
    pub async fn round(&mut self, connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
        let workers = fed(connection).await?;
        let kept = kept(connection, &workers).await?;
        let bases = store_marks(&self.store).await?;
        self.watched.retain(|(worker, _), _| workers.contains(worker));
        let (mut budget, mut unproven) = (ROUND, 0);
        for Kept { worker, partition, mark } in kept {
            let base = bases.get(&partition).copied().filter(|base| base.position <= mark.position);
            let watched = self.watched.entry((worker.clone(), partition)).or_insert_with(|| {
                // A build that is behind the store's proof is read from its beginning.
                let log = base.unwrap_or_default();
                Watched { log, proven: log.position, claim: None, doubted: false }
            });
            // Put back (restored, rebuilt under the same name): from the beginning again.
            if mark.position < watched.proven {
                *watched = Watched { log: Mark::default(), proven: 0, claim: None, doubted: false };
            }
            watched.prove(&self.store, &worker, partition, mark, &mut budget).await?;
            unproven += watched.unproven(self.grace);
        }
        Ok(unproven)
    }
}

impl Watched {
    async fn prove(
        &mut self,
        store: &PgPool,
        worker: &str,
        partition: i32,
        now: Mark,
        budget: &mut i64,
    ) -> Result<(), sqlx::Error> {
        if self.doubted {
            return Ok(());
        }
        let (claim, _) = *self.claim.get_or_insert_with(|| (now, Instant::now()));
        while self.log.position < claim.position && *budget > 0 {
            match self.log.read_on(store, partition, claim.position, PAGE.min(*budget)).await {
                Ok(read) => *budget -= read,
                Err(LogError::Missing { position, .. }) => {
                    self.doubt(worker, partition, &format!("the log has no event at {position}"));
                    return Ok(());
                }
                Err(LogError::Store(error)) => return Err(error),
            }
        }
        if self.log.position < claim.position {
            return Ok(());
        }
        if self.log == claim {
            self.proven = claim.position;
            self.claim = None;
        } else {
            self.doubt(worker, partition, "its events are not those of the log");
        }
        Ok(())
    }

    fn doubt(&mut self, worker: &str, partition: i32, why: &str) {
        self.doubted = true;
        tracing::error!(
            build = worker,
            partition,
            proven = self.proven,
            why,
            "a build has not passed what the log has: run `projectors check` and `command-api check`"
        );
    }

    /// What a claim that was made some time ago has more than what is proven.
    fn unproven(&self, grace: Duration) -> i64 {
        match self.claim {
            Some((claim, since)) if self.doubted || since.elapsed() > grace => (claim.position - self.proven).max(1),
            _ => 0,
        }
    }
}

const STORE_MARKS: &str =
    "SELECT partition, position, proof_events, proof_hash FROM checkpoints WHERE worker = 'store'";

#[derive(sqlx::FromRow)]
struct StoreMark {
    partition: i32,
    #[sqlx(flatten)]
    mark: Mark,
}

/// What the store's own prover vouches for.
async fn store_marks(store: &PgPool) -> Result<BTreeMap<i32, Mark>, sqlx::Error> {
    let marks: Vec<StoreMark> = sqlx::query_as(STORE_MARKS).fetch_all(store).await?;
    Ok(marks.into_iter().map(|StoreMark { partition, mark }| (partition, mark)).collect())
}
