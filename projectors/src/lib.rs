//! The projectors: events in, read models out. The only writer of the read models.
//!
//! An event comes by [`source`] (Kafka, or the store itself), [`runner`] puts it into order, fills gaps from [`event_log`],
//! folds a batch with a [`projection`] and commits rows and [`checkpoint`] in one transaction, fenced by the lease under
//! which the partition is held. What one owner's event breaks is parked with everything later of that owner ([`parking`]);
//! after the commit [`notices`] tell the query API. Each projection is a worker of its own: none waits for another.
//!
//! # Add a projection
//!
//! 1. Its shape: `schemas/read-models/shapes/<name>_v1.table.sql` and `.indexes.sql`, which say who writes and who reads, and a
//!    line in `fittrack_schemas::read_models::SHAPES`. Schema, view and grants come with it.
//! 2. A folder `src/projections/<name>/`: `mod.rs` implements [`projection::Projection`]. `wants` names the event types,
//!    `fold` adds what an event changes to `Changes` (sums as differences, rows as the latest row), `write` calls `sql.rs`,
//!    which writes the whole batch with one statement over `UNNEST`.
//! 3. A line in [`registry::PROJECTIONS`]. Checkpoints, leases, healing, parking, metrics and `projectors status` come
//!    with it, and it fills itself from the first event on.
//! 4. Tests beside the fold as given events / then changes, and its name in `src/projections/any_split.rs`, which proves
//!    that any cut into batches leaves the same rows.
//!
//! ```
//! use projectors::registry::Built;
//!
//! let newest: Vec<String> = Built::newest().iter().map(Built::worker).collect();
//! let others = ["workouts.v1", "profiles.v1", "totals.v1", "leaderboards.v2", "measurements.v1"];
//! assert_eq!(newest, [&others[..], &["privacy_zones.v1"]].concat());
//! ```
//!
//! # Change a projection: version 2
//!
//! A version that was built anywhere is never edited; a change of its columns or of its fold is the next version, beside it.
//!
//! 1. `<name>_v2.table.sql` and `.indexes.sql`, and a line in `SHAPES` whose `differences` say what is meant to differ: columns, and
//!    for a changed rule the SQL that is true for the pairs of rows it explains. `projectors verify` lets nothing else pass.
//! 2. A second type that implements [`projection::Projection`] with `VERSION` 2, and its line in [`registry::PROJECTIONS`] after
//!    the first. `leaderboards` shows how two versions share a fold.
//! 3. Tests: given events / then changes under both versions, and the new one in `any_split.rs`. `tests/projectors/replay.rs` shows
//!    how a difference is proved to be the intended one.
//! 4. Deploy, then `projectors rebuild`, `verify`, `promote`; a day later `retire`, and with the last installation the old version's
//!    type goes. The runbook `deploy/runbooks/change-a-read-model.md` tells it as the operator sees it.
pub mod audit;
pub mod builds;
pub mod checkpoint;
pub mod cli;
mod erasure;
pub mod event_log;
pub mod explain;
pub mod feeder;
pub mod notices;
pub mod owner;
mod parked;
pub mod parking;
pub mod projection;
pub mod projections;
pub mod proof;
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
