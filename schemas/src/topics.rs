//! The Kafka topics, and what each is created with.

/// Every event of the store, key = owner id, partition = log partition.
pub const EVENTS: &str = "fittrack.events.v1";
/// Which owners' rows of which read models have changed.
pub const READ_MODEL_CHANGES: &str = "fittrack.read-model-changes.v1";

/// How a topic is created when it does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSpec {
    /// The topic.
    pub name: &'static str,
    /// How many partitions it has.
    pub partitions: i32,
    /// How long Kafka keeps a message.
    pub retention_ms: i64,
}

/// The events topic of a store with `partitions` log partitions; kept for seven days (the store keeps them for good).
pub const fn events(partitions: i32) -> TopicSpec {
    TopicSpec { name: EVENTS, partitions, retention_ms: 7 * 24 * 3600 * 1000 }
}

/// The notices: one partition, because a notice names several log partitions; kept for an hour.
pub const fn read_model_changes() -> TopicSpec {
    TopicSpec { name: READ_MODEL_CHANGES, partitions: 1, retention_ms: 3600 * 1000 }
}
