//! Finishes registrations that a crash left half done. Runs in every command API; two at once do the same harmless work.
use std::time::Duration;

use fittrack_runtime::clock;
use metrics::counter;
use tokio_util::sync::CancellationToken;

use super::{AccountError, accounts, registration::Registration};

const INTERVAL: Duration = Duration::from_secs(30);
/// A pending account this young may still be somebody's request under way.
const GRACE: Duration = Duration::from_secs(30);
/// The most that are finished in one go.
const BATCH: i64 = 100;

/// Sweeps every half minute until cancelled.
pub async fn run(registration: Registration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match sweep(&registration, GRACE).await {
            Ok(0) => {}
            Ok(finished) => tracing::info!(finished, "finished registrations that were left half done"),
            Err(error) => tracing::warn!(error = %chain(&error), "half-done registrations could not be swept"),
        }
    }
}

/// Finishes what has been pending for longer than `grace`; says how many.
pub async fn sweep(registration: &Registration, grace: Duration) -> Result<u32, AccountError> {
    let started = clock::now();
    let mut finished = 0;
    for account in accounts::pending_for(registration.accounts(), grace.as_secs_f64(), BATCH).await? {
        match registration.finish(&account).await {
            Ok(_) => finished += 1,
            // One that cannot be finished must not keep the others waiting.
            Err(error @ (AccountError::Internal(_) | AccountError::Dispatch(_))) => {
                tracing::error!(athlete_id = %account.athlete_id, error = %chain(&error), "a registration cannot be finished");
            }
            Err(error) => return Err(error),
        }
    }
    counter!("fittrack_registrations_swept_total").increment(u64::from(finished));
    tracing::debug!(milliseconds = (clock::now() - started).num_milliseconds(), finished, "swept registrations");
    Ok(finished)
}

fn chain(error: &AccountError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
