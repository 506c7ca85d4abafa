//! The query API over a real Postgres: databases of its own for each test, the real routes, tokens signed by a key of the test.
//! Rows are put in as projectors would leave them; queries run as the role `fittrack_query`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod allowances;
mod caching;
mod changes;
mod codings;
mod consistency;
mod every_route;
#[path = "../../../deploy/runtime/testing/kafka.rs"]
mod given_kafka;
mod imports;
mod leaderboards;
mod measurements;
mod paging;
mod privacy;
mod recordings;
#[path = "../../../deploy/runtime/testing/secrets.rs"]
mod secrets;
mod stage;
mod totals;
mod visibility;
#[path = "../../../deploy/runtime/testing/walk.rs"]
mod walk;
