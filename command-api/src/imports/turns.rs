//! Turns to have an uploaded file in memory: so many in this process and a few for each athlete, so that slow uploads of one
//! keep nobody else out. The next one of an athlete waits for an earlier one to end.
use std::{sync::Arc, time::Duration};

use fittrack_runtime::shares::{Share, Shares};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// How many uploaded files are in memory at once, up to 25 MiB each.
const AT_ONCE: usize = 16;
/// How many of them are one athlete's.
const OF_AN_ATHLETE: usize = 2;
/// How long one more of theirs waits: half of what a command may take, which has begun by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// The turns. Clones share them.
#[derive(Debug, Clone)]
pub struct FileTurns {
    all: Arc<Semaphore>,
    of_athletes: Shares,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct FileTurn {
    _of_athlete: Share,
    _of_all: OwnedSemaphorePermit,
}

/// Why there is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTurn {
    /// The athlete has as many as one may have, and none of them ended in time.
    OfAthlete,
    /// Others have all of them.
    OfAll,
}

impl Default for FileTurns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), of_athletes: Shares::new(OF_AN_ATHLETE) }
    }
}

impl FileTurns {
    /// A turn for this athlete.
    pub async fn take(&self, athlete_id: Uuid) -> Result<FileTurn, NoTurn> {
        let of_athlete = self.of_athletes.take(athlete_id, PATIENCE).await.ok_or(NoTurn::OfAthlete)?;
        let of_all = Arc::clone(&self.all).try_acquire_owned().map_err(|_| NoTurn::OfAll)?;
        Ok(FileTurn { _of_athlete: of_athlete, _of_all: of_all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_athlete_has_a_few_turns_and_others_the_rest() {
        let turns = FileTurns::default();
        let ann = Uuid::nil();
        let (first, _second) = (turns.take(ann).await.unwrap(), turns.take(ann).await.unwrap());
        assert_eq!(turns.take(ann).await.unwrap_err(), NoTurn::OfAthlete);
        let mut others = Vec::new();
        for other in 1..=14 {
            others.push(turns.take(Uuid::from_u128(other)).await.unwrap());
        }
        assert_eq!(turns.take(Uuid::from_u128(15)).await.unwrap_err(), NoTurn::OfAll);
        drop(first);
        assert!(turns.take(ann).await.is_ok());
    }
}
