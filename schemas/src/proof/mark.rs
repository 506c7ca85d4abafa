//! A place in a partition's log with the proof up to there: what every party keeps. The event store's own is read on from
//! here, a bounded page at a time, to be compared with what the others kept.
use sqlx::PgPool;
use uuid::Uuid;

use super::Proof;

/// A place in a partition's log, and the proof of everything up to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Mark {
    /// The last position that counts; 0 before the first.
    pub position: i64,
    /// Of the events up to there.
    #[sqlx(flatten)]
    pub proof: Proof,
}

/// The log could not be read on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store did not answer.
    #[error("event store: {0}")]
    Store(#[from] sqlx::Error),
    /// There is no event at a position that was given out.
    #[error("partition {partition} has no event at position {position}")]
    Missing {
        /// The partition.
        partition: i32,
        /// The first position without an event.
        position: i64,
    },
}

const READ_ON: &str = "
    SELECT position, event_id FROM events
    WHERE partition = $1 AND position > $2 AND position <= $3
    ORDER BY position LIMIT $4";

impl Mark {
    /// Moves over the next event.
    pub fn pass(&mut self, position: i64, event_id: Uuid) {
        self.position = position;
        self.proof.add(position, event_id);
    }

    /// Reads on in the event store up to position `to`, over at most `at_most` events, in one statement; returns how many
    /// there were. Every position up to `to` must have been given out; one that is absent is an error, before which the
    /// mark stays.
    pub async fn read_on(&mut self, store: &PgPool, partition: i32, to: i64, at_most: i64) -> Result<i64, LogError> {
        let page_end = to.min(self.position.saturating_add(at_most));
        let from = self.position;
        let events: Vec<(i64, Uuid)> =
            sqlx::query_as(READ_ON).bind(partition).bind(from).bind(page_end).bind(at_most).fetch_all(store).await?;
        for (position, event_id) in events {
            if position != self.position + 1 {
                break;
            }
            self.pass(position, event_id);
        }
        if self.position < page_end {
            return Err(LogError::Missing { partition, position: self.position + 1 });
        }
        Ok(self.position - from)
    }
}
