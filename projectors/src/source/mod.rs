//! Where events come from: Kafka, or the event store itself for the smallest installations.
//! A source is trusted with speed, never with truth: what it repeats is skipped, what it leaves out is read from the store.
mod gathered;
pub mod kafka;
pub mod store;

use std::future::Future;

use fittrack_schemas::envelope::StoredEvent;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::checkpoint::Start;

/// A delivery has at most so many events; it is handed over with what has arrived, never filled up by waiting.
pub const MAX_EVENTS: usize = 10_000;
/// A delivery stops growing at so many bytes of payload.
pub const MAX_BYTES: usize = 8 << 20;

/// One event as it came.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The event.
    pub event: StoredEvent,
    /// Kafka's offset behind it, where it came through Kafka.
    pub next_offset: Option<i64>,
}

/// Why nothing comes.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The event store does not answer.
    #[error("event store: {0}")]
    Store(#[from] sqlx::Error),
    /// The Kafka client refuses.
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
}

/// Delivers the events of the partitions it is told to hold, each partition's in order of position.
pub trait Source: Send {
    /// Begins to deliver these partitions, each after its position; one that is held already begins there anew.
    fn hold(&mut self, starts: &[Start]) -> Result<(), SourceError>;

    /// Delivers these partitions no more.
    fn let_go(&mut self, partitions: &[i32]) -> Result<(), SourceError>;

    /// What has arrived, as soon as anything has; nothing at `until`, or when told to stop.
    fn next(
        &mut self,
        until: Instant,
        stop: &CancellationToken,
    ) -> impl Future<Output = Result<Vec<Delivered>, SourceError>> + Send;
}
