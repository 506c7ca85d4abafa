//! The event store, the dispatcher and the relay against a real Postgres and a real Kafka.
//! Run through `deploy/fittrack test`, which starts both and says where they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod append;
mod dispatch;
mod erasure;
mod framework;
#[path = "../../../deploy/runtime/testing/kafka.rs"]
mod given_kafka;
mod lanes;
mod proof;
mod relay;
mod road;
mod support;
mod versions;
