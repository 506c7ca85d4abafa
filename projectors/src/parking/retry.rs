//! What operators do with parked events: apply them after a fix, or give them up. Both take the partition from its worker
//! for a moment, so that no later event of the owner is parked or passed by in between.
use fittrack_schemas::notice::ChangeNotice;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{Failure, sql};
use crate::{notices::Notices, registry::Registered};

/// Why an owner's events are parked still.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// One of them fails still.
    #[error("{0}")]
    Still(String),
    /// The read models' database.
    #[error("read models: {0}")]
    Database(#[from] sqlx::Error),
}

/// Applies an owner's parked events in order, all or none; how many they were.
pub async fn retry(
    connection: &mut PgConnection,
    projection: Registered,
    partition: i32,
    owner_id: Uuid,
    notices: &Notices,
) -> Result<usize, RetryError> {
    let worker = projection.worker();
    let mut transaction = connection.begin().await?;
    let checkpoints = sql::fence(&mut transaction, &worker, &[partition]).await?;
    let events = sql::of_owner(&mut transaction, &worker, partition, owner_id).await?;
    projection.refold(&mut transaction, &events).await.map_err(|failure| match failure {
        Failure::Database(error) => RetryError::Database(error),
        failure => RetryError::Still(failure.cause()),
    })?;
    sql::delete(&mut transaction, &worker, partition, owner_id).await?;
    transaction.commit().await?;
    notices.give(&ChangeNotice {
        read_model: projection.name.to_owned(),
        version: projection.version,
        checkpoints,
        owners: Some(vec![owner_id]),
    });
    Ok(events.len())
}

/// Gives up an owner's parked events for good; how many they were.
pub async fn discard(
    connection: &mut PgConnection,
    worker: &str,
    partition: i32,
    owner_id: Uuid,
) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sql::fence(&mut transaction, worker, &[partition]).await?;
    let discarded = sql::delete(&mut transaction, worker, partition, owner_id).await?;
    transaction.commit().await?;
    Ok(discarded)
}
