//! The projectors: events in, read models out. The only writer of the read models.
//!
//! An event comes by [`source`] (Kafka, or the store itself), [`runner`] puts it into order, fills gaps from [`event_log`],
//! folds a batch with a [`projection`] and commits rows and [`checkpoint`] in one transaction, fenced by the lease under
//! which the partition is held. What one owner's event breaks is parked with everything later of that owner ([`parking`]);
//! after the commit [`notices`] tell the query API. Each projection is a worker of its own: none waits for another.
//!
//! # Add a projection
//!
//! 1. A migration in `schemas/read-models/`: a schema `<name>_v1`, its table with the index its readers need, a view
//!    `public.<name>` over it, a row in `read_models`, and grants. The migration says who writes and who reads.
//! 2. A folder `src/projections/<name>/`: `mod.rs` implements [`projection::Projection`]. `wants` names the event types,
//!    `fold` adds what an event changes to `Changes` (sums as differences, rows as the latest row), `write` calls `sql.rs`,
//!    which writes the whole batch with one statement over `UNNEST`.
//! 3. A line in [`registry::PROJECTIONS`]. Checkpoints, leases, healing, parking, metrics and `projectors status` come
//!    with it, and it fills itself from the first event on.
//! 4. Tests beside the fold as given events / then changes, and its name in `src/projections/any_split.rs`, which proves
//!    that any cut into batches leaves the same rows.
//!
//! ```
//! use projectors::registry::Registered;
//!
//! let totals = Registered::named("totals").map(|totals| totals.worker());
//! assert_eq!(totals.as_deref(), Some("totals.v1"));
//! ```
pub mod audit;
pub mod builds;
pub mod checkpoint;
pub mod cli;
pub mod event_log;
pub mod explain;
pub mod feeder;
pub mod notices;
pub mod owner;
mod parked;
pub mod parking;
pub mod projection;
pub mod projections;
pub mod rebuild;
pub mod registry;
mod replay;
pub mod runner;
pub mod serve;
pub mod settings;
pub mod source;
pub mod status;
pub mod switch;
pub mod verify;
pub mod watch;
