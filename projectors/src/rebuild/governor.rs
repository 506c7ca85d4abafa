//! Gives way where there are users: watches what users feel (how far the live read models are behind, how long commands take to be stored) and how the
//! databases answer, halves a rebuild's pace before users notice, and raises it again, step by step, when all is quiet.
use std::{sync::Arc, time::Duration};

use fittrack_schemas::read_models::Build;
use sqlx::PgPool;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{Place, progress::Progress, throttle::Throttle};
use crate::{builds, event_log, status};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// So many quiet looks in a row raise the pace by a step.
const QUIET_LOOKS: u32 = 2;
/// A live read model that has waited for an event this long is behind, in seconds.
const BEHIND_SECONDS: f64 = 1.0;
/// A worker that showed no life for so long is not slowed by us but away, in seconds.
const AWAY_SECONDS: f64 = 5.0;
/// Commands that take this much longer from decision to storage than they usually do are felt: half as long again, and so
/// many seconds.
const FELT_SHARE: f64 = 0.5;
const FELT_SECONDS: f64 = 0.002;
/// A question that a database answers at once when it is well.
const SLOW_ANSWER: Duration = Duration::from_millis(25);
/// A database that does not answer at all.
const NO_ANSWER: Duration = Duration::from_secs(5);

/// Why it is slow although nothing is wrong.
const QUIETLY: &str = "there is live work beside it (--full-speed takes no notice of it)";

/// Watches over one rebuild.
pub struct Governor {
    place: Place,
    throttle: Throttle,
    progress: Arc<Progress>,
    usual_command_seconds: Option<f64>,
}

impl Governor {
    /// A governor of this pace.
    pub fn new(place: &Place, throttle: Throttle, progress: Arc<Progress>) -> Self {
        Self { place: place.clone(), throttle, progress, usual_command_seconds: None }
    }

    /// Watches until the handle is dropped.
    pub fn spawn(self) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(self.watch()))
    }

    async fn watch(mut self) {
        let mut clock = interval(LOOK_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut quiet = 0;
        loop {
            clock.tick().await;
            if !self.throttle.is_beside_users() && beside_users(&self.place).await {
                self.throttle.beside_users();
                self.progress.slowed_by(Some(QUIETLY.to_owned()));
            }
            if let Some(reason) = self.trouble().await {
                quiet = 0;
                self.throttle.slower();
                tracing::info!(share = self.throttle.share(), reason, "the rebuild gives way");
                self.progress.slowed_by(Some(reason));
                continue;
            }
            quiet += 1;
            if quiet >= QUIET_LOOKS {
                quiet = 0;
                self.throttle.faster();
                let quietly = self.throttle.share() < 1.0;
                self.progress.slowed_by(quietly.then(|| QUIETLY.to_owned()));
            }
        }
    }

    /// What users feel, or would soon.
    async fn trouble(&mut self) -> Option<String> {
        match timeout(NO_ANSWER, self.look()).await {
            Err(_) => Some("a database does not answer".to_owned()),
            Ok(Err(error)) => Some(format!("a database answers with an error ({error})")),
            Ok(Ok(reason)) => reason,
        }
    }

    async fn look(&mut self) -> Result<Option<String>, sqlx::Error> {
        if !self.throttle.is_beside_users() {
            return Ok(None);
        }
        for (name, pool) in [("the event store", &self.place.store), ("the read models", &self.place.read_models)] {
            let mut connection = pool.acquire().await?;
            let asked = Instant::now();
            sqlx::query("SELECT 1").execute(&mut *connection).await?;
            if asked.elapsed() > SLOW_ANSWER {
                return Ok(Some(format!("{name} took {} ms to answer", asked.elapsed().as_millis())));
            }
        }
        if let Some(seconds) = command_seconds(&self.place.store).await? {
            let usual = *self.usual_command_seconds.get_or_insert(seconds);
            self.usual_command_seconds = Some(usual.min(seconds));
            if seconds > usual * (1.0 + FELT_SHARE) + FELT_SECONDS {
                return Ok(Some(format!("commands take {:.0} ms longer", (seconds - usual) * 1_000.0)));
            }
        }
        let behind = live_lag(&self.place).await?;
        Ok(behind
            .filter(|(_, seconds)| *seconds > BEHIND_SECONDS)
            .map(|(build, seconds)| format!("{build} is {seconds:.1} s behind")))
    }
}

/// Whether there is anybody to give way to: somebody feeds what is shown, or commands are stored.
pub async fn beside_users(place: &Place) -> bool {
    matches!(live_lag(place).await, Ok(Some(_))) || matches!(command_seconds(&place.store).await, Ok(Some(_)))
}

/// From decision to storage, for the slowest tenth of what was stored in the last two seconds; nothing where nothing was.
const COMMAND_SECONDS: &str = "
SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM e.recorded_at - e.occurred_at)::float8)
FROM generate_series(0, (SELECT partitions FROM store_settings) - 1) AS p (partition)
CROSS JOIN LATERAL (
    SELECT recorded_at, occurred_at FROM events WHERE events.partition = p.partition ORDER BY position DESC LIMIT 10
) e
WHERE e.recorded_at > clock_timestamp() - interval '2 s'";

async fn command_seconds(store: &PgPool) -> Result<Option<f64>, sqlx::Error> {
    sqlx::query_scalar(COMMAND_SECONDS).fetch_one(store).await
}

const POSITIONS: &str = "
SELECT position FROM checkpoints
WHERE worker = $1 AND heartbeat_at > clock_timestamp() - make_interval(secs => $2)
ORDER BY partition";

/// The live build that has waited longest for an event, where somebody feeds it.
async fn live_lag(place: &Place) -> Result<Option<(Build, f64)>, sqlx::Error> {
    let partitions = usize::try_from(event_log::partitions(&place.store).await?).unwrap_or_default();
    let all = builds::all(&mut *place.read_models.acquire().await?, None).await?;
    let mut worst: Option<(Build, f64)> = None;
    for build in all.iter().filter(|known| known.shown).map(|known| known.built.build) {
        let positions: Vec<i64> =
            sqlx::query_scalar(POSITIONS).bind(build.worker()).bind(AWAY_SECONDS).fetch_all(&place.read_models).await?;
        if positions.len() != partitions {
            continue;
        }
        let lag = status::lag(&place.store, &positions).await?;
        let seconds = lag.iter().map(|one| one.lag_seconds).fold(0.0, f64::max);
        if worst.is_none_or(|(_, worst)| seconds > worst) {
            worst = Some((build, seconds));
        }
    }
    Ok(worst)
}
