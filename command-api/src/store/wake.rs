//! "These partitions have something new": a hint from the lanes to the relay of the same process. Never the truth: a hint
//! that is lost costs the relay's next poll, nothing else.
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A flag per partition and one bell.
#[derive(Debug)]
pub struct Wake {
    dirty: Vec<AtomicBool>,
    bell: Notify,
}

impl Wake {
    /// For a store of so many partitions.
    pub fn new(partitions: i32) -> Self {
        Self { dirty: (0..partitions).map(|_| AtomicBool::new(false)).collect(), bell: Notify::new() }
    }

    /// Says that these partitions have something new.
    pub fn ring(&self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            if let Some(flag) = usize::try_from(partition).ok().and_then(|index| self.dirty.get(index)) {
                flag.store(true, Ordering::Release);
            }
        }
        self.bell.notify_one();
    }

    /// Waits for the next ring, or returns at once when there was one since the last wait.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// The partitions that were named since the last call.
    pub fn take(&self) -> Vec<i32> {
        (0..)
            .zip(&self.dirty)
            .filter(|(_, flag)| flag.swap(false, Ordering::AcqRel))
            .map(|(partition, _)| partition)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_rang_before_the_wait_is_not_lost() {
        let wake = Wake::new(4);
        wake.ring([1, 3, 99, -1]);
        wake.rung().await;
        assert_eq!(wake.take(), [1, 3]);
        assert!(wake.take().is_empty());
    }
}
