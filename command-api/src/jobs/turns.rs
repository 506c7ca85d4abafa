//! Turns for transfers, received or sent, so many at once in this process and few for each athlete: nobody can take the turns
//! of all. Of long ones an athlete has one, and another one ends it, whose connection may be long dead; of short ones
//! ([`Shares`]) a few, and the next waits.
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a new transfer waits for the one it ends to let go.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a short transfer waits for another one of the same athlete.
const PATIENCE_WITH_ONESELF: Duration = Duration::from_secs(10);

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

/// Turns for short transfers. Clones share them.
#[derive(Debug, Clone)]
pub struct Shares {
    all: Arc<Semaphore>,
    each: usize,
    of_athletes: Arc<Mutex<HashMap<Uuid, Weak<Semaphore>>>>,
}

/// A turn for a short transfer, until it is dropped.
#[derive(Debug)]
pub struct Share {
    _of_athlete: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// Why there is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoShare {
    /// The athlete has as many as one may have, and none of them ended.
    OfAthlete,
    /// Others have all of them.
    OfAll,
}

impl Shares {
    /// So many at once, and so many of them for each athlete.
    pub fn new(at_once: usize, each: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(at_once)), each, of_athletes: Arc::default() }
    }

    /// A turn for this athlete.
    pub async fn take(&self, athlete_id: Uuid) -> Result<Share, NoShare> {
        let own = tokio::time::timeout(PATIENCE_WITH_ONESELF, self.own(athlete_id).acquire_owned()).await;
        let of_athlete = own.ok().and_then(Result::ok).ok_or(NoShare::OfAthlete)?;
        let of_all = Arc::clone(&self.all).try_acquire_owned().map_err(|_| NoShare::OfAll)?;
        Ok(Share { _of_athlete: of_athlete, _of_all: of_all })
    }

    /// Kept for as long as somebody holds or waits for one of its turns.
    fn own(&self, athlete_id: Uuid) -> Arc<Semaphore> {
        let mut of_athletes = self.of_athletes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = of_athletes.get(&athlete_id).and_then(Weak::upgrade) {
            return own;
        }
        of_athletes.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.each));
        of_athletes.insert(athlete_id, Arc::downgrade(&own));
        own
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

    #[tokio::test(start_paused = true)]
    async fn an_athlete_has_a_few_short_turns_and_the_next_waits_for_one() {
        let shares = Shares::new(3, 2);
        let (ann, bob, cid) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let (first, _second) = (shares.take(ann).await.unwrap(), shares.take(ann).await.unwrap());
        assert_eq!(shares.take(ann).await.unwrap_err(), NoShare::OfAthlete);
        let of_bob = shares.take(bob).await.unwrap();
        assert_eq!(shares.take(cid).await.unwrap_err(), NoShare::OfAll);
        let waiting = tokio::spawn({
            let shares = shares.clone();
            async move { shares.take(ann).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
        // Whoever is done leaves nothing behind.
        drop(of_bob);
        drop(shares.take(cid).await.unwrap());
        assert_eq!(shares.of_athletes.lock().unwrap().len(), 2, "ann's, and cid's until the next comes");
    }
}
