//! The parking lot (decision 9, R-8): an event that a projection cannot take waits there with every later event of its
//! owner, in order, while everybody else goes on. An operator retries or discards after a fix.
pub(crate) mod isolate;
pub mod list;
pub mod retry;
pub mod show;
pub(crate) mod sql;

use std::{
    collections::{HashSet, VecDeque},
    error::Error as _,
    time::Duration,
};

use fittrack_runtime::pg;
use fittrack_schemas::envelope::StoredEvent;
use tokio::time::Instant;
use uuid::Uuid;

use crate::projection::FoldError;

/// An event on its way into the parking lot.
#[derive(Debug, Clone)]
pub struct Parked {
    /// The event as it was read.
    pub event: StoredEvent,
    /// What failed; `None` on those that wait behind the one that did.
    pub error: Option<String>,
}

/// Why some events could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database is away, overloaded, stopping or not as this program expects it: no event's fault.
    #[error("read models: {0}")]
    Database(sqlx::Error),
    /// The rows could not be written, and the database is well.
    #[error("the rows could not be written: {0}")]
    Write(sqlx::Error),
    /// The fold refused.
    #[error(transparent)]
    Fold(#[from] FoldError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if blames_the_event(&error) { Self::Write(error) } else { Self::Database(error) }
    }
}

impl Failure {
    /// The failure in one line, for the parking lot.
    pub fn cause(&self) -> String {
        match self {
            Self::Fold(error) => match error.source() {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            },
            Self::Write(error) | Self::Database(error) => error.to_string(),
        }
    }

    /// The kind of failure, without anything of the event's content: logs name no persons.
    pub fn kind(&self) -> String {
        match self {
            Self::Fold(FoldError::Panicked(_)) => "the fold panicked".to_owned(),
            Self::Fold(error) => error.to_string(),
            Self::Write(error) | Self::Database(error) => match error.as_database_error() {
                Some(error) => format!("database error {}", error.code().as_deref().unwrap_or("without a code")),
                None => "database error".to_owned(),
            },
        }
    }
}

/// Why an owner's events could not be folded at an operator's order.
#[derive(Debug, thiserror::Error)]
pub enum RefoldError {
    /// One of them fails still.
    #[error("{0}")]
    Still(String),
    /// A database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Failure> for RefoldError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Database(error) => Self::Database(error),
            failure => Self::Still(failure.cause()),
        }
    }
}

/// Whether the data are to blame. Not for connections, resources, operators, deadlocks, read-only standbys or a schema that
/// was not migrated yet: those pass, or concern everybody.
fn blames_the_event(error: &sqlx::Error) -> bool {
    const OF_THE_SURROUNDINGS: [&str; 8] = ["0A", "25", "28", "3D", "3F", "40", "42", "55"];
    match error {
        sqlx::Error::Encode(_) => true,
        sqlx::Error::Database(database) => {
            !pg::is_unavailable(error)
                && database.code().is_some_and(|code| !OF_THE_SURROUNDINGS.iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

/// Watches how many owners are parked in a short time: a flood of them is a broken projection, not broken events.
#[derive(Debug)]
pub struct Storm {
    limit: usize,
    recent: VecDeque<(Instant, Uuid)>,
}

impl Storm {
    /// The span within which poison is counted.
    pub const SPAN: Duration = Duration::from_secs(60);

    /// More than `limit` owners within a minute are a storm.
    pub fn new(limit: usize) -> Self {
        Self { limit, recent: VecDeque::new() }
    }

    /// Whether parking these owners at `now` would be a storm; if not, they are remembered.
    pub fn breaks_out(&mut self, owners: &[Uuid], now: Instant) -> bool {
        while self.recent.front().is_some_and(|(at, _)| now.duration_since(*at) > Self::SPAN) {
            self.recent.pop_front();
        }
        let distinct: HashSet<Uuid> =
            self.recent.iter().map(|(_, owner)| *owner).chain(owners.iter().copied()).collect();
        if distinct.len() > self.limit {
            return true;
        }
        self.recent.extend(owners.iter().map(|owner| (now, *owner)));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(numbers: std::ops::Range<u128>) -> Vec<Uuid> {
        numbers.map(Uuid::from_u128).collect()
    }

    #[test]
    fn many_owners_in_a_minute_are_a_storm_and_the_same_owner_again_is_not() {
        let (mut storm, now) = (Storm::new(20), Instant::now());
        assert!(!storm.breaks_out(&owners(0..20), now));
        assert!(!storm.breaks_out(&owners(0..20), now));
        assert!(storm.breaks_out(&owners(20..21), now));
    }

    #[test]
    fn what_was_parked_long_ago_is_no_storm() {
        let (mut storm, now) = (Storm::new(20), Instant::now());
        assert!(!storm.breaks_out(&owners(0..20), now));
        assert!(!storm.breaks_out(&owners(20..40), now + Storm::SPAN + Duration::from_secs(1)));
    }

    #[test]
    fn a_database_that_is_away_blames_no_event() {
        assert!(matches!(Failure::from(sqlx::Error::PoolTimedOut), Failure::Database(_)));
        assert!(matches!(Failure::from(sqlx::Error::Encode("too long".into())), Failure::Write(_)));
    }
}
