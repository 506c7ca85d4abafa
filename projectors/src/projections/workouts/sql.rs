//! The statements of read model `workouts`.
use fittrack_domain::values::{Distance, Duration, Energy, Exertion, HeartRate, Power, Text};
use fittrack_schemas::read_models::Build;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{Changes, Row};
use crate::projections::{CopyRow, columns::column};

pub(super) const COLUMNS: &str = "workout_id, athlete_id, version, sport, started_at, time_zone, local_date, duration_ms, \
                                  moving_ms, distance_mm, elevation_gain_mm, energy_kcal, average_heart_rate_bpm, \
                                  max_heart_rate_bpm, average_power_w, perceived_exertion, title, notes, visibility, \
                                  gear_id, sets, recording, logged_at, changed_at";

/// A row that is there keeps `recording` and `logged_at`: an edit does not know them.
const PUT: &str = "
INSERT INTO {schema}.workouts AS w (
    workout_id, athlete_id, version, sport, started_at, time_zone, local_date, duration_ms, moving_ms, distance_mm,
    elevation_gain_mm, energy_kcal, average_heart_rate_bpm, max_heart_rate_bpm, average_power_w, perceived_exertion,
    title, notes, visibility, gear_id, sets, recording, logged_at, changed_at)
SELECT workout_id, athlete_id, version, sport, started_at, time_zone, local_date, duration_ms, moving_ms, distance_mm,
       elevation_gain_mm, energy_kcal, average_heart_rate_bpm, max_heart_rate_bpm, average_power_w, perceived_exertion,
       title, notes, visibility, gear_id, sets::jsonb, recording::jsonb, logged_at, changed_at
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::text[], $7::date[], $8::bigint[],
            $9::bigint[], $10::bigint[], $11::bigint[], $12::integer[], $13::integer[], $14::integer[], $15::integer[],
            $16::integer[], $17::text[], $18::text[], $19::text[], $20::uuid[], $21::text[], $22::text[],
            $23::timestamptz[], $24::timestamptz[])
     AS new (workout_id, athlete_id, version, sport, started_at, time_zone, local_date, duration_ms, moving_ms,
             distance_mm, elevation_gain_mm, energy_kcal, average_heart_rate_bpm, max_heart_rate_bpm, average_power_w,
             perceived_exertion, title, notes, visibility, gear_id, sets, recording, logged_at, changed_at)
ON CONFLICT (workout_id) DO UPDATE SET
    version = EXCLUDED.version, sport = EXCLUDED.sport, started_at = EXCLUDED.started_at,
    time_zone = EXCLUDED.time_zone, local_date = EXCLUDED.local_date, duration_ms = EXCLUDED.duration_ms,
    moving_ms = EXCLUDED.moving_ms, distance_mm = EXCLUDED.distance_mm,
    elevation_gain_mm = EXCLUDED.elevation_gain_mm, energy_kcal = EXCLUDED.energy_kcal,
    average_heart_rate_bpm = EXCLUDED.average_heart_rate_bpm, max_heart_rate_bpm = EXCLUDED.max_heart_rate_bpm,
    average_power_w = EXCLUDED.average_power_w, perceived_exertion = EXCLUDED.perceived_exertion,
    title = EXCLUDED.title, notes = EXCLUDED.notes, visibility = EXCLUDED.visibility, gear_id = EXCLUDED.gear_id,
    sets = EXCLUDED.sets, changed_at = EXCLUDED.changed_at";

const DELETE: &str = "DELETE FROM {schema}.workouts WHERE workout_id = ANY($1)";

pub(super) async fn put(connection: &mut PgConnection, build: Build, changes: &Changes) -> Result<(), sqlx::Error> {
    let mut rows: Vec<(Uuid, &Row)> = changes.iter().filter_map(|(id, row)| Some((*id, row.as_ref()?))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_unstable_by_key(|(id, _)| *id);
    let rows = rows.as_slice();
    sqlx::query(&build.sql(PUT))
        .bind(column(rows, |(id, _)| *id))
        .bind(column(rows, |(_, row)| row.athlete_id))
        .bind(column(rows, |(_, row)| row.version))
        .bind(column(rows, |(_, row)| row.details.sport.as_str()))
        .bind(column(rows, |(_, row)| row.details.started_at))
        .bind(column(rows, |(_, row)| row.details.time_zone.name()))
        .bind(column(rows, |(_, row)| row.details.local_date))
        .bind(column(rows, |(_, row)| row.details.duration_s.milliseconds()))
        .bind(column(rows, |(_, row)| row.details.moving_s.map(Duration::milliseconds)))
        .bind(column(rows, |(_, row)| row.details.distance_m.map(Distance::millimetres)))
        .bind(column(rows, |(_, row)| row.details.elevation_gain_m.map(Distance::millimetres)))
        .bind(column(rows, |(_, row)| row.details.energy_kcal.map(Energy::kcal).map(u32::cast_signed)))
        .bind(column(rows, |(_, row)| row.details.average_heart_rate_bpm.map(HeartRate::bpm).map(u32::cast_signed)))
        .bind(column(rows, |(_, row)| row.details.max_heart_rate_bpm.map(HeartRate::bpm).map(u32::cast_signed)))
        .bind(column(rows, |(_, row)| row.details.average_power_w.map(Power::watts).map(u32::cast_signed)))
        .bind(column(rows, |(_, row)| row.details.perceived_exertion.map(Exertion::value).map(u32::cast_signed)))
        .bind(column(rows, |(_, row)| row.details.title.as_ref().map(Text::as_str)))
        .bind(column(rows, |(_, row)| row.details.notes.as_ref().map(Text::as_str)))
        .bind(column(rows, |(_, row)| row.details.visibility.as_str()))
        .bind(column(rows, |(_, row)| row.details.gear_id))
        .bind(column(rows, |(_, row)| sets(row)))
        .bind(column(rows, |(_, row)| recording(row)))
        .bind(column(rows, |(_, row)| row.logged.as_ref().map_or(row.changed_at, |logged| logged.at)))
        .bind(column(rows, |(_, row)| row.changed_at))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn delete(connection: &mut PgConnection, build: Build, changes: &Changes) -> Result<(), sqlx::Error> {
    let mut deleted: Vec<Uuid> = changes.iter().filter(|(_, row)| row.is_none()).map(|(id, _)| *id).collect();
    if deleted.is_empty() {
        return Ok(());
    }
    deleted.sort_unstable();
    sqlx::query(&build.sql(DELETE)).bind(deleted).execute(connection).await?;
    Ok(())
}

/// What is left of a whole history.
pub(super) fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> {
    changes.iter().filter_map(|(id, row)| {
        let row = row.as_ref()?;
        let details = &row.details;
        let filled = CopyRow::default()
            .column(*id)
            .column(row.athlete_id)
            .column(row.version)
            .column(details.sport.as_str())
            .column(details.started_at)
            .column(details.time_zone.name())
            .column(details.local_date)
            .column(details.duration_s.milliseconds())
            .column(details.moving_s.map(Duration::milliseconds))
            .column(details.distance_m.map(Distance::millimetres))
            .column(details.elevation_gain_m.map(Distance::millimetres))
            .column(details.energy_kcal.map(Energy::kcal).map(u32::cast_signed))
            .column(details.average_heart_rate_bpm.map(HeartRate::bpm).map(u32::cast_signed))
            .column(details.max_heart_rate_bpm.map(HeartRate::bpm).map(u32::cast_signed))
            .column(details.average_power_w.map(Power::watts).map(u32::cast_signed))
            .column(details.perceived_exertion.map(Exertion::value).map(u32::cast_signed))
            .column(details.title.as_ref().map(Text::as_str))
            .column(details.notes.as_ref().map(Text::as_str))
            .column(details.visibility.as_str())
            .column(details.gear_id)
            .column(Some(&details.sets).filter(|sets| !sets.is_empty()).map(Json))
            .column(row.logged.as_ref().and_then(|logged| logged.recording.as_ref()).map(Json))
            .column(row.logged.as_ref().map_or(row.changed_at, |logged| logged.at))
            .column(row.changed_at);
        Some(filled)
    })
}

/// As in the event; nothing where there are none.
fn sets(row: &Row) -> Option<String> {
    if row.details.sets.is_empty() { None } else { serde_json::to_string(&row.details.sets).ok() }
}

fn recording(row: &Row) -> Option<String> {
    row.logged.as_ref()?.recording.as_ref().and_then(|recording| serde_json::to_string(recording).ok())
}
