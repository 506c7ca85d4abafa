//! What operators do with parked events: apply them after a fix, or give them up. Both take the partition from its worker
//! for a moment, so that no later event of the owner is parked or passed by in between.
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{RefoldError, sql};
use crate::{
    audit::{self, Action, Operator, Subject},
    builds,
    notices::Notices,
    registry::Built,
};

/// Applies an owner's parked events in order, all or none; how many they were.
pub async fn retry(
    connection: &mut PgConnection,
    built: Built,
    partition: i32,
    owner_id: Uuid,
    operator: &Operator,
    notices: &Notices,
) -> Result<usize, RefoldError> {
    let worker = built.worker();
    let mut transaction = connection.begin().await?;
    let checkpoints = sql::fence(&mut transaction, &worker, &[partition]).await?;
    let events = sql::of_owner(&mut transaction, &worker, partition, owner_id).await?;
    built.refold(&mut transaction, &events).await?;
    let deleted = sql::delete(&mut transaction, &worker, partition, owner_id).await?;
    let subject = Subject::of_owner(&worker, partition, owner_id);
    audit::record(&mut transaction, operator, Action::ParkedRetried, subject, Some(deleted)).await?;
    let shown = builds::is_shown(&mut transaction, built.build).await?;
    transaction.commit().await?;
    if shown {
        notices.give(&built.notice(checkpoints, Some(vec![owner_id])));
    }
    Ok(events.len())
}

/// Whether an owner's parked events could be applied now, and how many they are. Everything is rolled back, and nobody is
/// disturbed: nothing else touches the rows of an owner who is parked.
pub async fn dry_run(
    connection: &mut PgConnection,
    built: Built,
    partition: i32,
    owner_id: Uuid,
) -> Result<usize, RefoldError> {
    let mut transaction = connection.begin().await?;
    let events = sql::of_owner(&mut transaction, &built.worker(), partition, owner_id).await?;
    built.refold(&mut transaction, &events).await?;
    transaction.rollback().await?;
    Ok(events.len())
}

/// Gives up an owner's parked events for good; how many they were.
pub async fn discard(
    connection: &mut PgConnection,
    worker: &str,
    partition: i32,
    owner_id: Uuid,
    operator: &Operator,
) -> Result<i64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sql::fence(&mut transaction, worker, &[partition]).await?;
    let discarded = sql::delete(&mut transaction, worker, partition, owner_id).await?;
    let subject = Subject::of_owner(worker, partition, owner_id);
    audit::record(&mut transaction, operator, Action::ParkedDiscarded, subject, Some(discarded)).await?;
    transaction.commit().await?;
    Ok(discarded)
}
