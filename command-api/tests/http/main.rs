//! The command API as its clients see it: its own router over real databases, without a socket.
//! Run through `deploy/fittrack test`, which starts Postgres and says where it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod accounts;
mod allowances;
mod bad_input;
mod every_route;
mod idempotency;
mod imports;
mod measurements;
mod preconditions;
mod profile;
mod support;
mod sweeping;
#[path = "../../../deploy/runtime/testing/walk.rs"]
mod walk;
mod workouts;
