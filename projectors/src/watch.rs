//! `projectors status --watch`: the status every second, with the pace of each projection and when it will have caught up.
//! On a terminal the table stays in place; elsewhere one follows the other.
use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use sqlx::PgPool;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::status::{self, Detail, Status};

/// How often the databases are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How much of the pace is that of the last second; the rest is what it was before.
const SHARE_OF_NEW: f64 = 0.3;
/// Clears the terminal and goes to its first line (ECMA-48).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// How fast a projection works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Events it applies.
    pub events_per_second: f64,
    /// Events of its lag that vanish; negative where it falls behind.
    pub closing_per_second: f64,
}

impl Pace {
    /// The pace between two looks, smoothed with what it was before.
    pub fn between(before: &Status, now: &Status, elapsed: Duration, known: Option<Self>) -> Self {
        let per_second = |from: i64, to: i64| (to - from) as f64 / elapsed.as_secs_f64().max(0.001);
        let new = Self {
            events_per_second: per_second(before.position, now.position),
            closing_per_second: per_second(now.lag_events, before.lag_events),
        };
        let mixed = |known: f64, new: f64| known + SHARE_OF_NEW * (new - known);
        known.map_or(new, |known| Self {
            events_per_second: mixed(known.events_per_second, new.events_per_second),
            closing_per_second: mixed(known.closing_per_second, new.closing_per_second),
        })
    }

    /// When a lag will be gone at this pace; nothing where it will not.
    pub fn seconds_left(&self, lag_events: i64) -> Option<f64> {
        (self.closing_per_second > 0.0).then(|| lag_events as f64 / self.closing_per_second)
    }
}

/// Shows the status again and again until Ctrl-C.
pub async fn watch(
    store: &PgPool,
    read_models: &PgPool,
    detail: Detail,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<(Instant, Vec<Status>)> = None;
    let mut paces: Vec<Option<Pace>> = Vec::new();
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
        }
        let (at, statuses) = (Instant::now(), status::read(store, read_models, detail).await?);
        if let Some((then, old)) = &before {
            paces = statuses
                .iter()
                .map(|new| {
                    let place = old.iter().position(|old| old.build() == new.build())?;
                    let known = paces.get(place).copied().flatten();
                    Some(Pace::between(old.get(place)?, new, at - *then, known))
                })
                .collect();
        }
        let mut output = io::stdout().lock();
        if output.is_terminal() {
            output.write_all(CLEAR.as_bytes())?;
        }
        output.write_all(status::table(&statuses, &paces).as_bytes())?;
        output.flush()?;
        before = Some((at, statuses));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(position: i64, lag_events: i64) -> Status {
        Status { position, lag_events, ..Status::example() }
    }

    #[test]
    fn the_pace_is_what_was_applied_and_the_rest_follows_from_the_lag() {
        let second = Duration::from_secs(1);
        // 1,000 applied while 200 came in.
        let pace = Pace::between(&status(0, 5_000), &status(1_000, 4_200), second, None);
        assert_eq!((pace.events_per_second, pace.closing_per_second), (1_000.0, 800.0));
        assert_eq!(pace.seconds_left(4_200), Some(5.25));
        let slower = Pace::between(&status(1_000, 4_200), &status(1_000, 4_400), second, Some(pace));
        assert!(slower.events_per_second < 1_000.0 && slower.events_per_second > 0.0, "{slower:?}");
    }

    #[test]
    fn what_falls_behind_has_no_end_in_sight() {
        let pace = Pace::between(&status(0, 100), &status(10, 190), Duration::from_secs(1), None);
        assert_eq!(pace.seconds_left(190), None);
    }
}
