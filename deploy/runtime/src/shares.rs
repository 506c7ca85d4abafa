//! So many of something at once for each athlete, so that nobody can take the places of all.
//! Only athletes who hold one or wait for one are remembered.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use uuid::Uuid;

/// The places of all athletes. Clones share them.
#[derive(Debug, Clone)]
pub struct Shares {
    each: usize,
    of_athletes: Arc<Mutex<HashMap<Uuid, Arc<Semaphore>>>>,
}

/// One of an athlete's places; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    athlete: Uuid,
    permit: Option<OwnedSemaphorePermit>,
}

impl Shares {
    /// So many at once for each.
    pub fn new(each: usize) -> Self {
        Self { each, of_athletes: Arc::default() }
    }

    /// A place of this athlete's; `None` where none gets free in time.
    pub async fn take(&self, athlete: Uuid, patience: Duration) -> Option<Share> {
        // Made before it is filled: whoever stops waiting is forgotten too.
        let mut share = self.empty(athlete);
        share.permit = Some(timeout(patience, self.places_of(athlete).acquire_owned()).await.ok()?.ok()?);
        Some(share)
    }

    /// A place of this athlete's that is free now.
    pub fn take_now(&self, athlete: Uuid) -> Option<Share> {
        let mut share = self.empty(athlete);
        share.permit = Some(self.places_of(athlete).try_acquire_owned().ok()?);
        Some(share)
    }

    fn empty(&self, athlete: Uuid) -> Share {
        Share { shares: self.clone(), athlete, permit: None }
    }

    fn places_of(&self, athlete: Uuid) -> Arc<Semaphore> {
        let places = || Arc::new(Semaphore::new(self.each));
        self.held(|held| Arc::clone(held.entry(athlete).or_insert_with(places)))
    }

    fn held<T>(&self, use_it: impl FnOnce(&mut HashMap<Uuid, Arc<Semaphore>>) -> T) -> T {
        use_it(&mut self.of_athletes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.permit = None;
        self.shares.held(|held| {
            // Every place that is held or waited for holds the semaphore once.
            if held.get(&self.athlete).is_some_and(|places| Arc::strong_count(places) == 1) {
                held.remove(&self.athlete);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_athlete_has_so_many_places_whatever_others_hold() {
        let shares = Shares::new(2);
        let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (first, second) = (shares.take_now(ann).unwrap(), shares.take_now(ann).unwrap());
        assert!(shares.take_now(ann).is_none());
        assert!(shares.take(ann, Duration::from_secs(3)).await.is_none());
        assert!(shares.take_now(bob).is_some());
        let waiting = tokio::spawn({
            let shares = shares.clone();
            async move { shares.take(ann, Duration::from_secs(3)).await }
        });
        tokio::task::yield_now().await;
        drop(first);
        let third = waiting.await.unwrap();
        assert!(third.is_some());
        drop((second, third));
        assert!(shares.held(|held| held.is_empty()), "who holds nothing is forgotten");
    }

    #[tokio::test]
    async fn who_stops_waiting_is_forgotten() {
        let shares = Shares::new(1);
        let ann = Uuid::from_u128(1);
        let only = shares.take_now(ann).unwrap();
        let waiting = tokio::spawn({
            let shares = shares.clone();
            async move { shares.take(ann, Duration::from_secs(600)).await }
        });
        tokio::task::yield_now().await;
        drop(only);
        waiting.abort();
        drop(waiting.await);
        assert!(shares.held(|held| held.is_empty()));
    }
}
