//! Waiting for something to become true, without guessing how long it takes.
//! Every wait polls a condition against a deadline that is far beyond what a slow machine needs.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// How long anything may take before a test calls it broken.
pub const DEADLINE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(20);

/// Polls until `look` gives a value; its last reason for not giving one is the failure.
///
/// # Errors
/// When [`DEADLINE`] passes.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> Result<T> {
    until_within(DEADLINE, what, look).await
}

/// The same with another deadline.
///
/// # Errors
/// When the deadline passes.
pub async fn until_within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let reason = match look().await {
            Ok(found) => return Ok(found),
            Err(reason) => reason,
        };
        if Instant::now() >= deadline {
            return Err(Failure::new(format!("waited {} s in vain until {what}: {reason}", limit.as_secs())));
        }
        tokio::time::sleep(POLL).await;
    }
}
