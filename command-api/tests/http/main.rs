//! The command API as its clients see it: its own router over real databases, without a socket.
//! Run through `deploy/fittrack test`, which starts Postgres and says where it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod accounts;
mod administration;
mod allowances;
mod api_keys;
mod attack_tokens;
mod audit;
mod bad_input;
mod erasure;
mod every_route;
mod exports;
mod idempotency;
mod imports;
mod keys;
mod limits;
mod measurements;
mod preconditions;
mod privacy_zones;
mod profile;
#[path = "../../../deploy/runtime/testing/secrets.rs"]
mod secrets;
mod sessions;
mod support;
mod sweeping;
mod throttling;
#[path = "../../../deploy/runtime/testing/walk.rs"]
mod walk;
mod workouts;
mod zip_imports;
