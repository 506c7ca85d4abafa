//! The statements of read model `totals`.
use fittrack_schemas::read_models::Build;
use sqlx::PgConnection;

use super::{Changes, Key, Sums};
use crate::projections::{CopyRow, columns::column};

pub(super) const COLUMNS: &str = "athlete_id, local_date, sport, workouts, distance_mm, duration_ms, moving_ms, \
                                  elevation_gain_mm, energy_kcal";

const ADD: &str = "
INSERT INTO {schema}.totals AS t (
    athlete_id, local_date, sport, workouts, distance_mm, duration_ms, moving_ms, elevation_gain_mm, energy_kcal)
SELECT * FROM unnest($1::uuid[], $2::date[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::bigint[])
ON CONFLICT (athlete_id, local_date, sport) DO UPDATE SET
    workouts = t.workouts + EXCLUDED.workouts,
    distance_mm = t.distance_mm + EXCLUDED.distance_mm,
    duration_ms = t.duration_ms + EXCLUDED.duration_ms,
    moving_ms = t.moving_ms + EXCLUDED.moving_ms,
    elevation_gain_mm = t.elevation_gain_mm + EXCLUDED.elevation_gain_mm,
    energy_kcal = t.energy_kcal + EXCLUDED.energy_kcal";

/// A day without workouts has no row.
const SWEEP: &str = "
DELETE FROM {schema}.totals t
USING unnest($1::uuid[], $2::date[], $3::text[]) AS touched (athlete_id, local_date, sport)
WHERE t.athlete_id = touched.athlete_id AND t.local_date = touched.local_date AND t.sport = touched.sport
  AND t.workouts = 0";

pub(super) async fn add(connection: &mut PgConnection, build: Build, changes: &Changes) -> Result<(), sqlx::Error> {
    // What a batch adds and takes away again leaves nothing to write.
    let mut rows: Vec<(Key, Sums)> =
        changes.iter().filter(|(_, sums)| **sums != Sums::default()).map(|(key, sums)| (*key, *sums)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_unstable_by_key(|(key, _)| *key);
    let rows = rows.as_slice();
    sqlx::query(&build.sql(ADD))
        .bind(column(rows, |(key, _)| key.athlete_id))
        .bind(column(rows, |(key, _)| key.local_date))
        .bind(column(rows, |(key, _)| key.sport.as_str()))
        .bind(column(rows, |(_, sums)| sums.workouts))
        .bind(column(rows, |(_, sums)| sums.distance_mm))
        .bind(column(rows, |(_, sums)| sums.duration_ms))
        .bind(column(rows, |(_, sums)| sums.moving_ms))
        .bind(column(rows, |(_, sums)| sums.elevation_gain_mm))
        .bind(column(rows, |(_, sums)| sums.energy_kcal))
        .execute(&mut *connection)
        .await?;
    // Only what lost a workout can have come to none.
    let emptied: Vec<Key> = rows.iter().filter(|(_, sums)| sums.workouts < 0).map(|(key, _)| *key).collect();
    if emptied.is_empty() {
        return Ok(());
    }
    sqlx::query(&build.sql(SWEEP))
        .bind(column(&emptied, |key| key.athlete_id))
        .bind(column(&emptied, |key| key.local_date))
        .bind(column(&emptied, |key| key.sport.as_str()))
        .execute(connection)
        .await?;
    Ok(())
}

/// What is left of a whole history.
pub(super) fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> {
    changes.iter().filter(|(_, sums)| sums.workouts != 0).map(|(key, sums)| {
        CopyRow::default()
            .column(key.athlete_id)
            .column(key.local_date)
            .column(key.sport.as_str())
            .column(sums.workouts)
            .column(sums.distance_mm)
            .column(sums.duration_ms)
            .column(sums.moving_ms)
            .column(sums.elevation_gain_mm)
            .column(sums.energy_kcal)
    })
}
