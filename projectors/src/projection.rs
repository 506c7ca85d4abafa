//! What a read model's author writes: a pure fold from events to keyed changes, and the SQL that writes a batch of them.
//! Everything else (reading, order, progress, fencing, parking, notices) is the business of [`crate::runner`], and of
//! [`crate::rebuild`] for a build that is loaded from the whole history.
use std::future::Future;

use chrono::{DateTime, Utc};
use fittrack_domain::event::{DecodeError, Event};
use fittrack_schemas::{envelope::StoredEvent, read_models::Build};
use sqlx::PgConnection;

use crate::projections::CopyRow;

/// A read model's fold and its SQL.
///
/// The same fold runs live, in catch-up and in a rebuild. Changes are merged in memory by key, and a batch may be cut
/// anywhere: folding two halves and writing both must leave the rows that folding the whole and writing once leaves. Sums
/// are therefore kept as differences, rows as the latest row. A key belongs to one owner, because owners are the unit of
/// order: an event says nothing about the rows of others.
pub trait Projection: Send + Sync + 'static {
    /// The read model's one name: module, table, worker, metric label.
    const NAME: &'static str;
    /// The version of its shape and its fold; each build has a schema with the table `NAME`, whose column `athlete_id` is the
    /// owner (see `fittrack_schemas::read_models`).
    const VERSION: i32;
    /// The columns of [`Projection::rows`], in their order.
    const COLUMNS: &'static str;
    /// What a key and its change take in memory, roughly, in bytes.
    const KEY_BYTES: usize;
    /// What a batch changes, by key.
    type Changes: Default + Send + Sync;

    /// Whether an event of this type changes anything here; others are not even decoded.
    fn wants(event_type: &str) -> bool;

    /// Adds what an event changes. Pure: no clock, no chance, nothing but the arguments.
    fn fold(changes: &mut Self::Changes, moment: Moment, event: Event) -> Result<(), FoldError>;

    /// How many keys the changes have.
    fn keys(changes: &Self::Changes) -> usize;

    /// Writes the changes in bulk, sorted by key, inside the transaction that also moves the checkpoints.
    fn write(
        connection: &mut PgConnection,
        build: Build,
        changes: &Self::Changes,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// The rows that the changes of a whole history leave in an empty table.
    fn rows(changes: &Self::Changes) -> impl Iterator<Item = CopyRow> + Send;
}

/// What a fold may know of an event besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Its place in its stream: 1, 2, 3 ...
    pub sequence: i64,
    /// When it was decided.
    pub occurred_at: DateTime<Utc>,
}

impl From<&StoredEvent> for Moment {
    fn from(stored: &StoredEvent) -> Self {
        Self { sequence: stored.sequence, occurred_at: stored.occurred_at }
    }
}

/// Why an event could not be folded; its owner is parked.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The payload does not parse.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A sum would leave the range of its type.
    #[error("a sum of {0} would leave its range")]
    Overflow(&'static str),
    /// A number does not fit into its column.
    #[error("{0} does not fit into its column")]
    DoesNotFit(&'static str),
    /// The fold itself is broken.
    #[error("the fold panicked: {0}")]
    Panicked(String),
}

/// Adds to a sum of `what`, or says that it cannot.
pub(crate) fn add(sum: &mut i64, difference: i64, what: &'static str) -> Result<(), FoldError> {
    *sum = sum.checked_add(difference).ok_or(FoldError::Overflow(what))?;
    Ok(())
}
