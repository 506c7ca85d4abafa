//! The statements of read model `privacy_zones`.
use fittrack_schemas::read_models::Build;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{Changes, Row};
use crate::projections::{CopyRow, columns::column};

pub(super) const COLUMNS: &str = "athlete_id, version, zones, changed_at";

const PUT: &str = "
INSERT INTO {schema}.privacy_zones (athlete_id, version, zones, changed_at)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::jsonb[], $4::timestamptz[])
ON CONFLICT (athlete_id) DO UPDATE SET
    version = EXCLUDED.version, zones = EXCLUDED.zones, changed_at = EXCLUDED.changed_at";

pub(super) async fn put(connection: &mut PgConnection, build: Build, changes: &Changes) -> Result<(), sqlx::Error> {
    let mut rows: Vec<(Uuid, &Row)> = changes.iter().map(|(id, row)| (*id, row)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_unstable_by_key(|(id, _)| *id);
    let rows = rows.as_slice();
    sqlx::query(&build.sql(PUT))
        .bind(column(rows, |(id, _)| *id))
        .bind(column(rows, |(_, row)| row.version))
        .bind(column(rows, |(_, row)| Json(&row.zones)))
        .bind(column(rows, |(_, row)| row.changed_at))
        .execute(connection)
        .await?;
    Ok(())
}

/// What is left of a whole history.
pub(super) fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> {
    changes.iter().map(|(athlete_id, row)| {
        CopyRow::default().column(*athlete_id).column(row.version).column(Json(&row.zones)).column(row.changed_at)
    })
}
