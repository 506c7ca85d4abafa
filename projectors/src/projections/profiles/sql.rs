//! The statements of read model `profiles`.
use fittrack_domain::{
    athlete::{Sex, Units},
    values::Text,
};
use fittrack_schemas::read_models::Build;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Changes, Row};
use crate::projections::{CopyRow, columns::column};

pub(super) const COLUMNS: &str = "athlete_id, version, display_name, bio, birth_year, sex, height_cm, time_zone, units, \
                                  default_visibility, registered_at, changed_at";

/// A row that is there keeps `registered_at`: an update does not know it.
const PUT: &str = "
INSERT INTO {schema}.profiles (
    athlete_id, version, display_name, bio, birth_year, sex, height_cm, time_zone, units, default_visibility,
    registered_at, changed_at)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::integer[],
                     $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[])
ON CONFLICT (athlete_id) DO UPDATE SET
    version = EXCLUDED.version, display_name = EXCLUDED.display_name, bio = EXCLUDED.bio,
    birth_year = EXCLUDED.birth_year, sex = EXCLUDED.sex, height_cm = EXCLUDED.height_cm,
    time_zone = EXCLUDED.time_zone, units = EXCLUDED.units, default_visibility = EXCLUDED.default_visibility,
    changed_at = EXCLUDED.changed_at";

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
        .bind(column(rows, |(_, row)| row.profile.display_name.as_str()))
        .bind(column(rows, |(_, row)| row.profile.bio.as_ref().map(Text::as_str)))
        .bind(column(rows, |(_, row)| row.profile.birth_year.map(u32::cast_signed)))
        .bind(column(rows, |(_, row)| sex(row.profile.sex)))
        .bind(column(rows, |(_, row)| row.profile.height_cm.map(u32::cast_signed)))
        .bind(column(rows, |(_, row)| row.profile.time_zone.name()))
        .bind(column(rows, |(_, row)| units(row.profile.units)))
        .bind(column(rows, |(_, row)| row.profile.default_visibility.as_str()))
        .bind(column(rows, |(_, row)| row.registered_at.unwrap_or(row.changed_at)))
        .bind(column(rows, |(_, row)| row.changed_at))
        .execute(connection)
        .await?;
    Ok(())
}

/// What is left of a whole history.
pub(super) fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> {
    changes.iter().map(|(athlete_id, row)| {
        let profile = &row.profile;
        CopyRow::default()
            .column(*athlete_id)
            .column(row.version)
            .column(profile.display_name.as_str())
            .column(profile.bio.as_ref().map(Text::as_str))
            .column(profile.birth_year.map(u32::cast_signed))
            .column(sex(profile.sex))
            .column(profile.height_cm.map(u32::cast_signed))
            .column(profile.time_zone.name())
            .column(units(profile.units))
            .column(profile.default_visibility.as_str())
            .column(row.registered_at.unwrap_or(row.changed_at))
            .column(row.changed_at)
    })
}

fn sex(sex: Sex) -> &'static str {
    match sex {
        Sex::Female => "female",
        Sex::Male => "male",
        Sex::Unspecified => "unspecified",
    }
}

fn units(units: Units) -> &'static str {
    match units {
        Units::Metric => "metric",
        Units::Imperial => "imperial",
    }
}
