//! The statements of `parked_events`.
use fittrack_schemas::envelope::StoredEvent;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Parked;

const INSERT: &str = "
INSERT INTO parked_events (worker, owner_id, partition, position, event, error)
SELECT $1, owner_id, partition, position, event::json, error
FROM unnest($2::uuid[], $3::integer[], $4::bigint[], $5::text[], $6::text[])
     AS parked (owner_id, partition, position, event, error)";

/// Parks events; part of the transaction that moves the checkpoint over them.
pub(crate) async fn insert(connection: &mut PgConnection, worker: &str, parked: &[Parked]) -> Result<(), sqlx::Error> {
    if parked.is_empty() {
        return Ok(());
    }
    let envelopes: Result<Vec<String>, _> = parked.iter().map(|parked| serde_json::to_string(&parked.event)).collect();
    let errors = parked.iter().map(|parked| parked.error.as_ref().map(|error| error.replace('\0', "\u{fffd}")));
    sqlx::query(INSERT)
        .bind(worker)
        .bind(parked.iter().map(|parked| parked.event.owner_id).collect::<Vec<_>>())
        .bind(parked.iter().map(|parked| parked.event.partition).collect::<Vec<_>>())
        .bind(parked.iter().map(|parked| parked.event.position).collect::<Vec<_>>())
        .bind(envelopes.map_err(|error| sqlx::Error::Encode(error.into()))?)
        .bind(errors.collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

const OWNERS: &str = "SELECT DISTINCT partition, owner_id FROM parked_events WHERE worker = $1 AND partition = ANY($2)";

/// The owners that are parked in these partitions.
pub(crate) async fn owners(
    connection: &mut PgConnection,
    worker: &str,
    partitions: &[i32],
) -> Result<Vec<(i32, Uuid)>, sqlx::Error> {
    sqlx::query_as(OWNERS).bind(worker).bind(partitions).fetch_all(connection).await
}

const FENCE: &str = "
UPDATE checkpoints SET epoch = epoch + 1, holder = NULL, lease_expires_at = NULL
WHERE worker = $1 AND partition = ANY($2)
RETURNING partition, position";

/// Takes these partitions from whoever holds them, until the end of the transaction: what is under way there will not
/// commit, and the next holder reads the parked events anew.
pub(crate) async fn fence(
    connection: &mut PgConnection,
    worker: &str,
    partitions: &[i32],
) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    sqlx::query_as(FENCE).bind(worker).bind(partitions).fetch_all(connection).await
}

const OF_OWNER: &str =
    "SELECT event FROM parked_events WHERE worker = $1 AND partition = $2 AND owner_id = $3 ORDER BY position";

/// An owner's parked events, in order.
pub(crate) async fn of_owner(
    connection: &mut PgConnection,
    worker: &str,
    partition: i32,
    owner_id: Uuid,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    let events: Vec<sqlx::types::Json<StoredEvent>> =
        sqlx::query_scalar(OF_OWNER).bind(worker).bind(partition).bind(owner_id).fetch_all(connection).await?;
    Ok(events.into_iter().map(|event| event.0).collect())
}

const KEYS: &str = "
SELECT DISTINCT worker, partition, owner_id FROM parked_events
WHERE ($1::text IS NULL OR split_part(worker, '.', 1) = $1) AND ($2::uuid IS NULL OR owner_id = $2)
ORDER BY worker, partition, owner_id";

/// What is parked, by worker, partition and owner; of one projection's builds or one owner where asked.
pub(crate) async fn keys(
    connection: &mut PgConnection,
    projection: Option<&str>,
    owner_id: Option<Uuid>,
) -> Result<Vec<(String, i32, Uuid)>, sqlx::Error> {
    sqlx::query_as(KEYS).bind(projection).bind(owner_id).fetch_all(connection).await
}

const DELETE: &str = "DELETE FROM parked_events WHERE worker = $1 AND partition = $2 AND owner_id = $3";

/// Removes an owner's parked events; how many they were.
pub(crate) async fn delete(
    connection: &mut PgConnection,
    worker: &str,
    partition: i32,
    owner_id: Uuid,
) -> Result<i64, sqlx::Error> {
    let deleted = sqlx::query(DELETE).bind(worker).bind(partition).bind(owner_id).execute(connection).await?;
    Ok(deleted.rows_affected().cast_signed())
}
