//! What every process does: settings, telemetry, shutdown, HTTP server, token check, problem documents, Kafka and Postgres clients.
//! It sits under the three services (`command-api`, `projectors`, `query-api`) and knows nothing of what they decide or store.
//!
//! In reading order: a process reads its settings ([`config`]), starts ([`process`]: [`telemetry`], [`shutdown`], [`private`]), serves
//! ([`server`] behind its [`edge`], with [`client_address`], [`rate_limit`], [`shares`], [`cors`], [`trace`], [`problem`], [`docs`], [`json`], [`auth`] and [`keys`]) and talks to its databases and broker ([`pg`], [`kafka`],
//! [`lease`], [`backoff`]). Time is read in [`clock`] alone.

pub mod auth;
pub mod backoff;
pub mod binary;
pub mod client_address;
pub mod clock;
pub mod coding;
pub mod config;
pub mod cors;
mod crowd;
pub mod deprecation;
pub mod docs;
pub mod edge;
mod http_metrics;
pub mod json;
mod jwks;
pub mod kafka;
pub mod keys;
pub mod lease;
mod linger;
mod log_format;
mod negotiation;
mod patience;
pub mod pg;
pub mod private;
pub mod problem;
pub mod process;
pub mod rate_limit;
pub mod server;
pub mod shares;
pub mod shutdown;
pub mod telemetry;
// Files that tests of several crates include name this one.
#[cfg(test)]
extern crate self as fittrack_runtime;
#[cfg(test)]
mod test_database;
pub mod trace;
mod unreadable;
