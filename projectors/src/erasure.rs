//! What a projection does when an athlete left (`account_erased`): their rows and their parked events go, in the transaction that
//! passes the event. No fold knows of it, because it is the same for every read model: nothing of the owner stays.
use fittrack_domain::event_type::EventType;
use fittrack_schemas::read_models::Build;
use sqlx::PgConnection;
use uuid::Uuid;

/// Whether an event of this type is the last of its owner.
pub(crate) fn is_farewell(event_type: &str) -> bool {
    event_type == EventType::AccountErased.as_str()
}

const DELETE_PARKED: &str = "DELETE FROM parked_events WHERE worker = $1 AND owner_id = ANY($2)";

/// Removes everything a build has of these owners.
pub(crate) async fn erase(connection: &mut PgConnection, build: Build, owners: &[Uuid]) -> Result<(), sqlx::Error> {
    if owners.is_empty() {
        return Ok(());
    }
    delete_rows(connection, build, owners).await?;
    sqlx::query(DELETE_PARKED).bind(build.worker()).bind(owners).execute(connection).await?;
    Ok(())
}

/// Removes the rows of these owners and says how many they were. Where no index begins with the owner, Postgres skips through the one of the key.
pub(crate) async fn delete_rows(
    connection: &mut PgConnection,
    build: Build,
    owners: &[Uuid],
) -> Result<u64, sqlx::Error> {
    let sql = format!("DELETE FROM {} WHERE athlete_id = ANY($1)", build.table());
    let deleted = sqlx::query(&sql).bind(owners).execute(connection).await?;
    Ok(deleted.rows_affected())
}
