//! What a read model's author writes: a pure fold from events to keyed changes, and the SQL that writes a batch of them.
//! Everything else (reading, order, progress, fencing, parking, notices) is the business of [`crate::runner`].
use std::future::Future;

use fittrack_domain::event::{DecodeError, Event};
use fittrack_schemas::envelope::StoredEvent;
use sqlx::PgConnection;

/// A read model's fold and its SQL.
///
/// The same fold runs live, in catch-up and in a rebuild. Changes are merged in memory by key, and a batch may be cut
/// anywhere: folding two halves and writing both must leave the rows that folding the whole and writing once leaves. Sums
/// are therefore kept as differences, rows as the latest row. A key belongs to one owner, because owners are the unit of
/// order: an event says nothing about the rows of others.
pub trait Projection: Send + Sync + 'static {
    /// The read model's one name: module, schema, worker, metric label.
    const NAME: &'static str;
    /// The version of its shape: rows live in the table `<name>_v<version>.<name>`, whose column `athlete_id` is the owner.
    const VERSION: i32;
    /// What a batch changes, by key.
    type Changes: Default + Send + Sync;

    /// Whether an event of this type changes anything here; others are not even decoded.
    fn wants(event_type: &str) -> bool;

    /// Adds what an event changes. Pure: no clock, no chance, nothing but the arguments.
    fn fold(changes: &mut Self::Changes, stored: &StoredEvent, event: Event) -> Result<(), FoldError>;

    /// Writes the changes in bulk, sorted by key, inside the transaction that also moves the checkpoints.
    fn write(
        connection: &mut PgConnection,
        changes: &Self::Changes,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// The name under which a projection keeps its checkpoints, leases and parked events: `totals.v1`.
pub fn worker_name<P: Projection>() -> String {
    format!("{}.v{}", P::NAME, P::VERSION)
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
