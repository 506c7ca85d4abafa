//! The statements of read model `measurements`.
use fittrack_schemas::read_models::Build;
use sqlx::PgConnection;

use super::{Changes, Key, Row};
use crate::projections::{CopyRow, columns::column};

pub(super) const COLUMNS: &str = "athlete_id, kind, measured_on, version, value_thousandths, recorded_at";

const PUT: &str = "
INSERT INTO {schema}.measurements (athlete_id, kind, measured_on, version, value_thousandths, recorded_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::date[], $4::bigint[], $5::bigint[], $6::timestamptz[])
ON CONFLICT (athlete_id, measured_on, kind) DO UPDATE SET
    version = EXCLUDED.version, value_thousandths = EXCLUDED.value_thousandths, recorded_at = EXCLUDED.recorded_at";

pub(super) async fn put(connection: &mut PgConnection, build: Build, changes: &Changes) -> Result<(), sqlx::Error> {
    let mut rows: Vec<(Key, Row)> = changes.iter().map(|(key, row)| (*key, *row)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_unstable_by_key(|(key, _)| *key);
    let rows = rows.as_slice();
    sqlx::query(&build.sql(PUT))
        .bind(column(rows, |(key, _)| key.athlete_id))
        .bind(column(rows, |(key, _)| key.kind.as_str()))
        .bind(column(rows, |(key, _)| key.measured_on))
        .bind(column(rows, |(_, row)| row.version))
        .bind(column(rows, |(_, row)| row.value.thousandths()))
        .bind(column(rows, |(_, row)| row.recorded_at))
        .execute(connection)
        .await?;
    Ok(())
}

/// What is left of a whole history.
pub(super) fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> {
    changes.iter().map(|(key, row)| {
        CopyRow::default()
            .column(key.athlete_id)
            .column(key.kind.as_str())
            .column(key.measured_on)
            .column(row.version)
            .column(row.value.thousandths())
            .column(row.recorded_at)
    })
}
