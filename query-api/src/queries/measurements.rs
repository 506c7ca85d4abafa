//! Measurements: dated facts about the caller's body, which nobody else sees.
use chrono::{DateTime, NaiveDate, Utc};
use fittrack_domain::measurement::MeasurementKind;
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

use super::units::thousandths;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct MeasurementRow {
    /// Its kind's name.
    pub kind: String,
    /// The local day.
    pub measured_on: NaiveDate,
    /// How often it was recorded.
    pub version: i64,
    /// Thousandths of the kind's unit.
    pub value_thousandths: i64,
    /// When it was recorded last.
    pub recorded_at: DateTime<Utc>,
}

/// A measurement as its athlete sees it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Measurement {
    /// What was measured; its unit is in its name.
    #[schema(schema_with = crate::queries::units::measurement_kind_schema)]
    pub kind: String,
    /// The local day.
    #[schema(example = "2026-10-31")]
    pub measured_on: NaiveDate,
    /// How much.
    #[schema(example = 71.5)]
    pub value: f64,
    /// How often it was recorded: the `ETag` of the command, `"v<version>"`.
    #[schema(example = 1)]
    pub version: i64,
    /// When it was recorded last.
    pub recorded_at: DateTime<Utc>,
}

impl From<MeasurementRow> for Measurement {
    fn from(row: MeasurementRow) -> Self {
        let MeasurementRow { kind, measured_on, version, value_thousandths, recorded_at } = row;
        Self { kind, measured_on, value: thousandths(value_thousandths), version, recorded_at }
    }
}

/// Which of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<MeasurementKind>,
    /// Not before this day.
    pub from: Option<NaiveDate>,
    /// Not after this day.
    pub to: Option<NaiveDate>,
    /// Behind this one in the list.
    pub after: Option<(NaiveDate, MeasurementKind)>,
}

const LIST: &str = "
SELECT kind, measured_on, version, value_thousandths, recorded_at
  FROM measurements
 WHERE athlete_id = $1
   AND ($2::date IS NULL OR (measured_on, kind) < ($2, $3::text COLLATE \"C\"))
   AND measured_on BETWEEN coalesce($4, '-infinity'::date) AND coalesce($5, 'infinity'::date)
   AND ($6::text IS NULL OR kind = $6)
 ORDER BY measured_on DESC, kind DESC
 LIMIT $7";

/// At most `rows` of the caller's own measurements, newest day first.
pub async fn list(pool: &PgPool, caller: Uuid, filter: Filter, rows: i64) -> Result<Vec<MeasurementRow>, sqlx::Error> {
    sqlx::query_as(LIST)
        .bind(caller)
        .bind(filter.after.map(|(measured_on, _)| measured_on))
        .bind(filter.after.map(|(_, kind)| kind.as_str()))
        .bind(filter.from)
        .bind(filter.to)
        .bind(filter.kind.map(MeasurementKind::as_str))
        .bind(rows)
        .fetch_all(pool)
        .await
}
