//! The projectors against a real Postgres and a real Kafka.
//! Run through `deploy/fittrack test`, which starts both and says where they are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod any_delivery;
#[path = "../../../domain/tests/support/corpus.rs"]
mod corpus;
mod erasure;
mod fencing;
#[path = "../../src/projections/given.rs"]
mod given;
#[path = "../../../deploy/runtime/testing/kafka.rs"]
mod given_kafka;
mod healing;
mod kafka;
mod notices;
mod owner;
mod parking;
mod proof;
mod replay;
mod scripted;
mod small_disk;
mod store_source;
mod support;
