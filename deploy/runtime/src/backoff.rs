//! Exponential backoff with full jitter and a cap, for everything that waits for a dependency to come back.
//! Full jitter (a uniform draw from zero to the ceiling) keeps a fleet that lost the same database from returning in step.

use std::time::Duration;

use rand::Rng;
use tokio_util::sync::CancellationToken;

/// A growing, jittered pause between attempts.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    attempt: u32,
}

impl Backoff {
    /// The ceiling of the first pause is `base`; it doubles with each attempt up to `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, attempt: 0 }
    }

    /// The next pause: uniform between a tenth of the ceiling (so that nobody spins) and the ceiling.
    pub fn next_delay(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.attempt = self.attempt.saturating_add(1);
        ceiling.mul_f64(rand::rng().random_range(0.1..=1.0))
    }

    /// Call after a success, so that the next failure starts small again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// Attempts since the start or the last reset.
    pub fn attempts(&self) -> u32 {
        self.attempt
    }

    /// Waits for the next pause; `false` when the token was cancelled first.
    pub async fn wait(&mut self, token: &CancellationToken) -> bool {
        let delay = self.next_delay();
        token.run_until_cancelled(tokio::time::sleep(delay)).await.is_some()
    }

    fn ceiling(&self) -> Duration {
        self.base.saturating_mul(1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX)).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_never_exceeds_the_cap_even_after_many_attempts() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(2));
        for _ in 0..200 {
            assert!(backoff.next_delay() <= Duration::from_secs(2));
        }
        assert_eq!(backoff.attempts(), 200);
    }

    #[test]
    fn the_first_pause_after_a_reset_is_within_the_base() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(2));
        for _ in 0..20 {
            backoff.next_delay();
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(10));
    }

    #[tokio::test]
    async fn a_wait_ends_at_once_when_cancelled() {
        let token = CancellationToken::new();
        token.cancel();
        assert!(!Backoff::new(Duration::from_secs(3600), Duration::from_secs(3600)).wait(&token).await);
    }
}
