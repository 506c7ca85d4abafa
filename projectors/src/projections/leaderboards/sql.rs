//! The statements of read model `leaderboards`.
use sqlx::PgConnection;

use super::{Change, Changes, Key};
use crate::projections::columns::column;

const ADD: &str = "
INSERT INTO leaderboards_v1.leaderboards AS l (
    period, starts_on, sport, athlete_id, distance_mm, duration_ms, elevation_gain_mm, workouts, scored_at)
SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::timestamptz[])
ON CONFLICT (period, starts_on, sport, athlete_id) DO UPDATE SET
    distance_mm = l.distance_mm + EXCLUDED.distance_mm,
    duration_ms = l.duration_ms + EXCLUDED.duration_ms,
    elevation_gain_mm = l.elevation_gain_mm + EXCLUDED.elevation_gain_mm,
    workouts = l.workouts + EXCLUDED.workouts,
    scored_at = EXCLUDED.scored_at";

/// Who has no workout on a board is not on it.
const SWEEP: &str = "
DELETE FROM leaderboards_v1.leaderboards l
USING unnest($1::text[], $2::date[], $3::text[], $4::uuid[]) AS touched (period, starts_on, sport, athlete_id)
WHERE l.period = touched.period AND l.starts_on = touched.starts_on AND l.sport = touched.sport
  AND l.athlete_id = touched.athlete_id AND l.workouts = 0";

pub(super) async fn add(connection: &mut PgConnection, changes: &Changes) -> Result<(), sqlx::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<(Key, Change)> = changes.iter().map(|(key, change)| (*key, *change)).collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    let rows = rows.as_slice();
    sqlx::query(ADD)
        .bind(column(rows, |(key, _)| key.board.period.as_str()))
        .bind(column(rows, |(key, _)| key.board.starts_on))
        .bind(column(rows, |(key, _)| key.board.sport_name()))
        .bind(column(rows, |(key, _)| key.athlete_id))
        .bind(column(rows, |(_, change)| change.difference.distance_mm))
        .bind(column(rows, |(_, change)| change.difference.duration_ms))
        .bind(column(rows, |(_, change)| change.difference.elevation_gain_mm))
        .bind(column(rows, |(_, change)| change.difference.workouts))
        .bind(column(rows, |(_, change)| change.scored_at))
        .execute(&mut *connection)
        .await?;
    // What gained no workout can have come to none, or was nothing before and after.
    let emptied: Vec<Key> =
        rows.iter().filter(|(_, change)| change.difference.workouts <= 0).map(|(key, _)| *key).collect();
    if emptied.is_empty() {
        return Ok(());
    }
    sqlx::query(SWEEP)
        .bind(column(&emptied, |key| key.board.period.as_str()))
        .bind(column(&emptied, |key| key.board.starts_on))
        .bind(column(&emptied, |key| key.board.sport_name()))
        .bind(column(&emptied, |key| key.athlete_id))
        .execute(connection)
        .await?;
    Ok(())
}
