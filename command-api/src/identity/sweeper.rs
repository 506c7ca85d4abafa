//! Finishes registrations that a crash left half done, and removes what is long over. Runs in every command API; two at once
//! do the same harmless work.
use std::time::Duration;

use fittrack_runtime::clock;
use metrics::counter;
use tokio_util::sync::CancellationToken;

use super::{
    AccountError, accounts, api_keys::ApiKeys, audit, registration::Registration, sessions, throttle::Throttle,
};

const INTERVAL: Duration = Duration::from_secs(30);
/// A pending account this young may still be somebody's request under way.
const GRACE: Duration = Duration::from_secs(30);
/// The most that are finished in one go.
const BATCH: i64 = 100;

/// Sweeps every half minute until cancelled.
pub async fn run(registration: Registration, stop: CancellationToken) {
    let throttle = Throttle::new(registration.accounts().clone());
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match sweep(&registration, GRACE).await {
            Ok(0) => {}
            Ok(finished) => tracing::info!(finished, "finished registrations that were left half done"),
            Err(error) => tracing::warn!(error = %chain(&error), "half-done registrations could not be swept"),
        }
        match sessions::sweep::sweep(registration.accounts()).await {
            Ok(removed) => counter!("fittrack_sessions_swept_total").increment(removed),
            Err(error) => tracing::warn!(%error, "sessions that are over could not be swept"),
        }
        if let Err(error) = ApiKeys::sweep(registration.accounts()).await {
            tracing::warn!(%error, "ended API keys could not be swept");
        }
        if let Err(error) = audit::forget_origins(registration.accounts()).await {
            tracing::warn!(%error, "where old requests came from could not be forgotten");
        }
        if let Err(error) = registration.store().sweep_answers().await {
            tracing::warn!(%error, "old answers could not be swept");
        }
        if let Err(error) = throttle.sweep().await {
            tracing::warn!(%error, "forgotten tries could not be swept");
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
            // Its key had made another athlete; the account is gone again.
            Err(AccountError::KeyReused) => {}
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
