//! The command API: everything that changes something in FitTrack comes in here, and nothing is answered before it is stored.
//!
//! A request meets its route ([`routes`]: raw fields become values of the domain, all refusals at once), the dispatcher
//! ([`dispatch`]: load, decide, append) and the event store ([`store`]: group commit). Who may sign in is kept by
//! [`identity`], whoever leaves is forgotten by [`erasure`], files from devices are taken in by [`imports`] with [`blobs`]
//! underneath, what an athlete takes away is made by [`exports`] (both as [`jobs`] where it takes long), and [`relay`] carries what was
//! stored to Kafka and goes on proving that the log is what was published. [`check`] proves a store's invariants, [`app`]
//! puts the parts together, [`cli`] is the command line, [`admin`] what only operators do
//! to accounts.
//!
//! # Add a route for a command
//!
//! 1. Name the command and its rules in `domain/` first (see the front page of `fittrack_domain`).
//! 2. Write `routes/<resource>/<verb>.rs`: its documentation (`#[utoipa::path]`), its body of raw types with
//!    `deny_unknown_fields`, the conversion that collects every refused field ([`routes::fields::Fields`]), its handler
//!    ([`routes::command::Command`] brings caller, idempotency and `If-Match`).
//! 3. Add it to the table in `routes/mod.rs`, with the class its requests are counted in.
//! 4. Try it as a user would in `tests/http_*.rs`; renew the document with `FITTRACK_BLESS=1 cargo test -p command-api openapi`.
pub mod admin;
pub mod app;
pub mod blobs;
pub mod check;
pub mod cli;
pub mod dispatch;
mod erase_command;
pub mod erasure;
pub mod exports;
pub mod identity;
pub mod imports;
pub mod jobs;
pub mod key_file;
pub mod relay;
pub mod routes;
pub mod serve;
pub mod settings;
pub mod store;
