//! The log partition of an owner is the one any Kafka client would send their events to.
//! Compared with what Kafka's own Java client answered; `stored/kafka_partitions.txt` says how.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]
use fittrack_domain::partition::{DEFAULT_PARTITIONS, partition_of};
use uuid::Uuid;

const VECTORS: &str = include_str!("stored/kafka_partitions.txt");

#[test]
fn an_owner_has_the_partition_kafkas_own_client_chooses() {
    let vectors: Vec<(Uuid, i32)> = VECTORS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap())
        .map(|(owner_id, partition)| (owner_id.parse().unwrap(), partition.parse().unwrap()))
        .collect();
    assert!(vectors.len() >= 50, "the vectors are there");
    for (owner_id, partition) in vectors {
        assert_eq!(partition_of(owner_id, DEFAULT_PARTITIONS), partition, "{owner_id}");
    }
}
