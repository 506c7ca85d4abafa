//! The worker that carries erasures out: takes one, does its next step, writes down that it is done, and goes on. It runs in every
//! command API that has the eraser's roles; a lease keeps two from the same one, and two on the same one would do no harm.
//! What cannot be done now (a database is away, a projection is behind) is tried again, for as long as it takes.
use std::time::Duration;

use fittrack_domain::{ids::AthleteId, partition::partition_of};
use metrics::gauge;
use sqlx::{PgConnection, PgPool, types::Json};
use tokio_util::sync::CancellationToken;

use super::{Erasure, Step, places};
use crate::imports::claims;

/// How often new erasures are looked for.
const INTERVAL: Duration = Duration::from_secs(1);
/// No step takes longer, in seconds; a crashed eraser's work is taken over after it.
const LEASE_S: f64 = 60.0;
/// When a read model that is behind is asked again, in seconds.
const ASK_AGAIN_S: f64 = 1.0;
/// When a step that failed is tried again, in seconds.
const TRY_AGAIN_S: f64 = 10.0;

/// Carries erasures out. Each pool is of the role it says.
#[derive(Clone)]
pub struct Eraser {
    /// Identity, as `fittrack_command`.
    pub identity: PgPool,
    /// The event store, as `fittrack_command`: import claims, and what events name.
    pub event_store: PgPool,
    /// The recordings, as `fittrack_command`.
    pub recordings: PgPool,
    /// The event store, as `fittrack_eraser`: the events.
    pub log: PgPool,
    /// The read models, as `fittrack_eraser`.
    pub read_models: PgPool,
    /// How many log partitions there are.
    pub partitions: i32,
}

/// What a step came to.
enum Progress {
    /// The erasure as it is now; it may be the same step again.
    Further(Erasure),
    /// Something else has to happen first.
    Waits(String),
}

const TAKE: &str = "
    UPDATE erasures SET lease_expires_at = clock_timestamp() + make_interval(secs => $1)
    WHERE erasure_id = (
        SELECT erasure_id FROM erasures
        WHERE finished_at IS NULL AND (lease_expires_at IS NULL OR lease_expires_at < clock_timestamp())
        ORDER BY requested_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING erasure_id, athlete_id, requested_at, requested_by, next_step, farewell, redacted_upto, removed, waits_for,
              finished_at";

/// Saves a step and keeps the lease.
const SAVE: &str = "
    UPDATE erasures SET next_step = $2, farewell = $3, redacted_upto = $4, removed = $5, waits_for = NULL,
           finished_at = CASE WHEN $2 = 'done' THEN clock_timestamp() END,
           lease_expires_at = CASE WHEN $2 <> 'done' THEN clock_timestamp() + make_interval(secs => $6) END
    WHERE erasure_id = $1";

const PUT_OFF: &str = "
    UPDATE erasures SET waits_for = $2, lease_expires_at = clock_timestamp() + make_interval(secs => $3)
    WHERE erasure_id = $1";

const UNFINISHED: &str = "
    SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(requested_at)), 0)::float8
    FROM erasures WHERE finished_at IS NULL";

impl Eraser {
    /// Works until cancelled. A step under way is ended, not finished: it is done again.
    pub async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Some(Err(error)) = stop.run_until_cancelled(self.work()).await {
                tracing::warn!(%error, "erasures could not be looked for");
            }
        }
    }

    /// Does everything that can be done now.
    pub async fn work(&self) -> Result<(), sqlx::Error> {
        while let Some(erasure) = sqlx::query_as(TAKE).bind(LEASE_S).fetch_optional(&self.identity).await? {
            self.carry_out(erasure).await?;
        }
        let (unfinished, oldest_s): (i64, f64) = sqlx::query_as(UNFINISHED).fetch_one(&self.identity).await?;
        gauge!("fittrack_erasures_unfinished").set(unfinished as f64);
        gauge!("fittrack_erasures_oldest_age_seconds").set(oldest_s);
        Ok(())
    }

    async fn carry_out(&self, mut erasure: Erasure) -> Result<(), sqlx::Error> {
        let erasure_id = erasure.erasure_id;
        while erasure.next_step != Step::Done {
            let (waits_for, again_s) = match self.step(erasure.clone()).await {
                Ok(Progress::Further(further)) => {
                    erasure = further;
                    continue;
                }
                Ok(Progress::Waits(waits_for)) => (waits_for, ASK_AGAIN_S),
                Err(error) => {
                    tracing::warn!(%error, %erasure_id, step = erasure.next_step.as_str(), "a step of an erasure failed; trying again");
                    (format!("{}: {error}", erasure.next_step.as_str()), TRY_AGAIN_S)
                }
            };
            sqlx::query(PUT_OFF).bind(erasure_id).bind(waits_for).bind(again_s).execute(&self.identity).await?;
            return Ok(());
        }
        tracing::info!(%erasure_id, "an account is erased");
        Ok(())
    }

    async fn step(&self, mut erasure: Erasure) -> Result<Progress, sqlx::Error> {
        let athlete_id = erasure.athlete_id;
        let partition = partition_of(athlete_id, self.partitions);
        match erasure.next_step {
            Step::CloseLog => {
                let farewell = places::close_log(&self.log, athlete_id, partition, erasure.erasure_id).await?;
                erasure.farewell = Some(farewell);
                erasure.removed.remove(EVENTS);
                erasure.next_step = Step::RedactEvents;
            }
            Step::RedactEvents => {
                let (after, end) = (erasure.redacted_upto, erasure.farewell.unwrap_or_default());
                let owner = AthleteId(athlete_id);
                let span = places::next_span(&self.event_store, owner, partition, after, end).await?;
                // The events are what tells of files whose claims are gone, so the files go first.
                places::remove_blobs(&self.event_store, &self.recordings, owner, &span.blobs, &mut erasure.removed)
                    .await?;
                let redacted = places::redact_events(&self.log, athlete_id, partition, after, span.upto).await?;
                *erasure.removed.entry(EVENTS.to_owned()).or_default() += redacted;
                erasure.redacted_upto = span.upto;
                if span.upto >= end {
                    erasure.next_step = Step::RemoveRecordings;
                }
            }
            Step::RemoveRecordings => {
                claims::wait_for_those_under_way(&self.event_store, AthleteId(athlete_id)).await?;
                let more = places::remove_claims(
                    &self.event_store,
                    &self.recordings,
                    AthleteId(athlete_id),
                    &mut erasure.removed,
                );
                if !more.await? {
                    places::remove_answers(&self.event_store, athlete_id, &mut erasure.removed).await?;
                    places::remove_jobs(&self.recordings, athlete_id, &mut erasure.removed).await?;
                    erasure.next_step = Step::RemoveAccount;
                }
            }
            Step::RemoveAccount => {
                erasure.next_step = Step::AwaitReadModels;
                let mut transaction = self.identity.begin().await?;
                places::remove_account(&mut transaction, athlete_id, &mut erasure.removed).await?;
                save(&mut transaction, &erasure).await?;
                transaction.commit().await?;
                return Ok(Progress::Further(erasure));
            }
            Step::AwaitReadModels => {
                let left = places::rows_of_owner(&self.read_models, athlete_id, partition).await?;
                let farewell = erasure.farewell.unwrap_or_default();
                let behind = left.iter().find(|left| left.position < farewell || left.rows + left.parked > 0);
                if let Some(behind) = behind {
                    let (worker, position) = (&behind.worker, behind.position);
                    return Ok(Progress::Waits(format!("{worker} at position {position} of {farewell}")));
                }
                erasure.removed.insert("read_models.builds".to_owned(), i64::try_from(left.len()).unwrap_or(i64::MAX));
                erasure.next_step = Step::Done;
            }
            Step::Done => {}
        }
        save(&mut *self.identity.acquire().await?, &erasure).await?;
        Ok(Progress::Further(erasure))
    }
}

const EVENTS: &str = "event_store.events";

async fn save(connection: &mut PgConnection, erasure: &Erasure) -> Result<(), sqlx::Error> {
    sqlx::query(SAVE)
        .bind(erasure.erasure_id)
        .bind(erasure.next_step)
        .bind(erasure.farewell)
        .bind(erasure.redacted_upto)
        .bind(Json(&erasure.removed.0))
        .bind(LEASE_S)
        .execute(connection)
        .await
        .map(|_| ())
}
