//! Turns for long transfers, received or sent, so many at once in this process and one for each athlete: nobody can take the turns
//! of all. An athlete has one, and another one ends it, whose connection may be long dead.
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a new transfer waits for the one it ends to let go.
const PATIENCE: Duration = Duration::from_secs(1);

/// Turns. Clones share them.
#[derive(Debug, Clone)]
pub struct Turns {
    all: Arc<Semaphore>,
    of_athletes: Arc<Mutex<HashMap<Uuid, Held>>>,
}

/// The newest transfer of an athlete.
#[derive(Debug)]
struct Held {
    id: Uuid,
    ended: CancellationToken,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    athlete_id: Uuid,
    id: Uuid,
    ended: CancellationToken,
    turns: Turns,
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    /// So many at once.
    pub fn new(at_once: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(at_once)), of_athletes: Arc::default() }
    }

    /// A turn for this athlete, whose earlier one ends; `None` where others have all of them.
    pub async fn take(&self, athlete_id: Uuid) -> Option<Turn> {
        let earlier = self.held(|held| held.get(&athlete_id).map(|held| held.ended.clone()));
        if let Some(earlier) = earlier {
            earlier.cancel();
        }
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.all).acquire_owned()).await.ok()?.ok()?;
        let (id, ended) = (Uuid::new_v4(), CancellationToken::new());
        // Of two that came at once the later ends the earlier here.
        let earlier = self.held(|held| held.insert(athlete_id, Held { id, ended: ended.clone() }));
        if let Some(earlier) = earlier {
            earlier.ended.cancel();
        }
        Some(Turn { athlete_id, id, ended, turns: self.clone(), _permit: permit })
    }

    fn held<T>(&self, use_it: impl FnOnce(&mut HashMap<Uuid, Held>) -> T) -> T {
        use_it(&mut self.of_athletes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Turn {
    /// What the work comes to; `None` where the athlete began another transfer meanwhile.
    pub async fn unless_ended<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.ended.run_until_cancelled(work).await
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (athlete_id, id) = (self.athlete_id, self.id);
        self.turns.held(|held| {
            if held.get(&athlete_id).is_some_and(|held| held.id == id) {
                held.remove(&athlete_id);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_athlete_has_one_turn_and_others_the_rest() {
        let turns = Turns::new(2);
        let (ann, bob, cid) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let mut transfers = Vec::new();
        for _ in 0..5 {
            let turn = turns.take(ann).await.unwrap();
            transfers.push(tokio::spawn(async move { turn.unless_ended(pending::<()>()).await }));
        }
        let of_bob = turns.take(bob).await.unwrap();
        assert!(turns.take(cid).await.is_none(), "two are under way");
        let last = transfers.pop().unwrap();
        for ended in transfers {
            assert_eq!(ended.await.unwrap(), None);
        }
        assert!(!last.is_finished());
        drop(of_bob);
        assert!(turns.take(cid).await.is_some());
        // Whoever is done leaves nothing behind.
        last.abort();
        assert!(last.await.unwrap_err().is_cancelled());
        assert!(turns.held(|held| held.is_empty()));
    }
}
