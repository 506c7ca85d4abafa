//! The statements of read model `leaderboards`, for both of its versions.
use fittrack_schemas::read_models::Build;
use sqlx::PgConnection;

use super::{Change, Changes, Key};
use crate::projections::{CopyRow, columns::column};

/// What the versions differ in.
pub(super) struct Version {
    pub columns: &'static str,
    add: &'static str,
    has_moving_ms: bool,
}

pub(super) const V1: Version = Version {
    columns: "period, starts_on, sport, athlete_id, distance_mm, duration_ms, elevation_gain_mm, workouts, scored_at",
    add: "
INSERT INTO {schema}.leaderboards AS l (
    period, starts_on, sport, athlete_id, distance_mm, duration_ms, elevation_gain_mm, workouts, scored_at)
SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::timestamptz[])
ON CONFLICT (period, starts_on, sport, athlete_id) DO UPDATE SET
    distance_mm = l.distance_mm + EXCLUDED.distance_mm,
    duration_ms = l.duration_ms + EXCLUDED.duration_ms,
    elevation_gain_mm = l.elevation_gain_mm + EXCLUDED.elevation_gain_mm,
    workouts = l.workouts + EXCLUDED.workouts,
    scored_at = EXCLUDED.scored_at",
    has_moving_ms: false,
};

pub(super) const V2: Version = Version {
    columns: "period, starts_on, sport, athlete_id, distance_mm, duration_ms, elevation_gain_mm, workouts, scored_at, \
              moving_ms",
    add: "
INSERT INTO {schema}.leaderboards AS l (
    period, starts_on, sport, athlete_id, distance_mm, duration_ms, elevation_gain_mm, workouts, scored_at, moving_ms)
SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::timestamptz[], $10::bigint[])
ON CONFLICT (period, starts_on, sport, athlete_id) DO UPDATE SET
    distance_mm = l.distance_mm + EXCLUDED.distance_mm,
    duration_ms = l.duration_ms + EXCLUDED.duration_ms,
    moving_ms = l.moving_ms + EXCLUDED.moving_ms,
    elevation_gain_mm = l.elevation_gain_mm + EXCLUDED.elevation_gain_mm,
    workouts = l.workouts + EXCLUDED.workouts,
    scored_at = EXCLUDED.scored_at",
    has_moving_ms: true,
};

/// Who has no workout on a board is not on it.
const SWEEP: &str = "
DELETE FROM {schema}.leaderboards l
USING unnest($1::text[], $2::date[], $3::text[], $4::uuid[]) AS touched (period, starts_on, sport, athlete_id)
WHERE l.period = touched.period AND l.starts_on = touched.starts_on AND l.sport = touched.sport
  AND l.athlete_id = touched.athlete_id AND l.workouts = 0";

impl Version {
    pub(super) async fn add(
        &self,
        connection: &mut PgConnection,
        build: Build,
        changes: &Changes,
    ) -> Result<(), sqlx::Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut rows: Vec<(Key, Change)> = changes.iter().map(|(key, change)| (*key, *change)).collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        let rows = rows.as_slice();
        let statement = build.sql(self.add);
        let mut add = sqlx::query(&statement)
            .bind(column(rows, |(key, _)| key.board.period.as_str()))
            .bind(column(rows, |(key, _)| key.board.starts_on))
            .bind(column(rows, |(key, _)| key.board.sport_name()))
            .bind(column(rows, |(key, _)| key.athlete_id))
            .bind(column(rows, |(_, change)| change.difference.distance_mm))
            .bind(column(rows, |(_, change)| change.difference.duration_ms))
            .bind(column(rows, |(_, change)| change.difference.elevation_gain_mm))
            .bind(column(rows, |(_, change)| change.difference.workouts))
            .bind(column(rows, |(_, change)| change.scored_at));
        if self.has_moving_ms {
            add = add.bind(column(rows, |(_, change)| change.difference.moving_ms));
        }
        add.execute(&mut *connection).await?;
        sweep(connection, build, rows).await
    }

    /// What is left of a whole history.
    pub(super) fn rows(&self, changes: &Changes) -> impl Iterator<Item = CopyRow> {
        let has_moving_ms = self.has_moving_ms;
        changes.iter().filter(|(_, change)| change.difference.workouts != 0).map(move |(key, change)| {
            let row = CopyRow::default()
                .column(key.board.period.as_str())
                .column(key.board.starts_on)
                .column(key.board.sport_name())
                .column(key.athlete_id)
                .column(change.difference.distance_mm)
                .column(change.difference.duration_ms)
                .column(change.difference.elevation_gain_mm)
                .column(change.difference.workouts)
                .column(change.scored_at);
            if has_moving_ms { row.column(change.difference.moving_ms) } else { row }
        })
    }
}

/// What gained no workout can have come to none, or was nothing before and after.
async fn sweep(connection: &mut PgConnection, build: Build, rows: &[(Key, Change)]) -> Result<(), sqlx::Error> {
    let emptied: Vec<Key> =
        rows.iter().filter(|(_, change)| change.difference.workouts <= 0).map(|(key, _)| *key).collect();
    if emptied.is_empty() {
        return Ok(());
    }
    sqlx::query(&build.sql(SWEEP))
        .bind(column(&emptied, |key| key.board.period.as_str()))
        .bind(column(&emptied, |key| key.board.starts_on))
        .bind(column(&emptied, |key| key.board.sport_name()))
        .bind(column(&emptied, |key| key.athlete_id))
        .execute(connection)
        .await?;
    Ok(())
}
