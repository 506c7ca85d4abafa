//! Deliveries that wait to be taken: a reader adds them while the runner is busy, the runner takes all there are at once.
//! Bounded in events and bytes; a reader that finds it full waits until it was taken.
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::error::KafkaError;
use tokio::sync::Notify;

use super::{Delivered, MAX_BYTES, MAX_EVENTS};

/// What waits, or why nothing comes.
#[derive(Debug, Default)]
pub struct Gathered {
    waiting: Mutex<Waiting>,
    came: Notify,
    taken: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: Vec<Delivered>,
    bytes: usize,
    failure: Option<KafkaError>,
}

/// How much more fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Events.
    pub events: usize,
    /// Bytes of payload.
    pub bytes: usize,
}

impl Gathered {
    /// How much fits; waits while nothing does.
    pub async fn room(&self) -> Room {
        loop {
            let (events, bytes) = {
                let waiting = self.waiting();
                (waiting.events.len(), waiting.bytes)
            };
            if events < MAX_EVENTS && bytes < MAX_BYTES {
                return Room { events: MAX_EVENTS - events, bytes: MAX_BYTES - bytes };
            }
            self.taken.notified().await;
        }
    }

    /// Adds what has come.
    pub fn add(&self, delivered: Vec<Delivered>, bytes: usize) {
        if delivered.is_empty() {
            return;
        }
        let mut waiting = self.waiting();
        waiting.bytes += bytes;
        if waiting.events.is_empty() {
            waiting.events = delivered;
        } else {
            waiting.events.extend(delivered);
        }
        drop(waiting);
        self.came.notify_one();
    }

    /// Says that nothing comes, and why; the next taker is told, once.
    pub fn fail(&self, failure: KafkaError) {
        self.waiting().failure = Some(failure);
        self.came.notify_one();
    }

    /// Everything that waits; waits for the first. An abandoned wait loses nothing.
    pub async fn take(&self) -> Result<Vec<Delivered>, KafkaError> {
        loop {
            let taken = std::mem::take(&mut *self.waiting());
            self.taken.notify_one();
            if let Some(failure) = taken.failure {
                return Err(failure);
            }
            if !taken.events.is_empty() {
                return Ok(taken.events);
            }
            self.came.notified().await;
        }
    }

    /// Drops what waits of these partitions.
    pub fn forget(&self, partitions: &[i32]) {
        let mut waiting = self.waiting();
        waiting.events.retain(|delivered| !partitions.contains(&delivered.event.partition));
        waiting.bytes = waiting.events.iter().map(|delivered| delivered.event.payload.get().len()).sum();
        drop(waiting);
        self.taken.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;
    use crate::projections::given;

    fn delivered(partition: i32, count: usize) -> Vec<Delivered> {
        let event = fittrack_schemas::envelope::StoredEvent { partition, ..given::redacted(1) };
        vec![Delivered { event, next_offset: None }; count]
    }

    #[tokio::test]
    async fn what_came_in_pieces_is_taken_at_once() {
        let gathered = Gathered::default();
        let mut take = Box::pin(gathered.take());
        assert!(poll!(take.as_mut()).is_pending());
        gathered.add(delivered(1, 2), 20);
        gathered.add(delivered(2, 3), 30);
        assert_eq!(take.await.unwrap().len(), 5);
        assert_eq!(gathered.room().await, Room { events: MAX_EVENTS, bytes: MAX_BYTES });
    }

    #[tokio::test]
    async fn a_full_one_has_no_room_until_it_is_taken() {
        for (count, bytes) in [(MAX_EVENTS, 1), (1, MAX_BYTES)] {
            let gathered = Gathered::default();
            gathered.add(delivered(1, count), bytes);
            let mut room = Box::pin(gathered.room());
            assert!(poll!(room.as_mut()).is_pending());
            gathered.take().await.unwrap();
            assert_eq!(room.await, Room { events: MAX_EVENTS, bytes: MAX_BYTES });
        }
    }

    #[tokio::test]
    async fn a_wait_that_is_abandoned_loses_nothing() {
        let gathered = Gathered::default();
        let mut take = Box::pin(gathered.take());
        assert!(poll!(take.as_mut()).is_pending());
        gathered.add(delivered(1, 1), 1);
        drop(take);
        assert_eq!(gathered.take().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn partitions_that_were_let_go_are_forgotten_and_a_failure_is_told_once() {
        let gathered = Gathered::default();
        gathered.add([delivered(1, 2), delivered(2, 1)].concat(), 9);
        gathered.forget(&[1]);
        let left = gathered.take().await.unwrap();
        assert_eq!(left.iter().map(|delivered| delivered.event.partition).collect::<Vec<_>>(), [2]);
        gathered.fail(KafkaError::Canceled);
        assert_eq!(gathered.take().await.unwrap_err(), KafkaError::Canceled);
        gathered.add(delivered(3, 1), 1);
        assert_eq!(gathered.take().await.unwrap().len(), 1);
    }
}
