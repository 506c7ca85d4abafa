//! Workouts: an athlete's list, one workout, and where its recording is.
//! A list shows its owner's; one workout shows to its owner, and to everybody signed in where it is public.
use chrono::{DateTime, NaiveDate, Utc};
use fittrack_domain::sport::Sport;
use fittrack_domain::workout::{RecordingRef, StrengthSet};
use serde::Serialize;
use sqlx::PgPool;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::units::thousandths;

/// A workout as a list shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct WorkoutItem {
    /// Which.
    pub id: Uuid,
    /// The version: also the `ETag` of the workout, `"v<version>"`.
    #[schema(example = 1)]
    pub version: i64,
    /// What was done.
    #[schema(schema_with = crate::queries::units::sport_schema)]
    pub sport: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// The IANA zone it is counted in.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    /// The calendar day it began on in that zone.
    pub local_date: NaiveDate,
    /// Seconds from start to end, pauses included.
    #[schema(example = 2730.5)]
    pub duration_s: f64,
    /// Seconds without pauses.
    #[schema(example = 2700.0)]
    pub moving_s: Option<f64>,
    /// Metres.
    #[schema(example = 10_012.4)]
    pub distance_m: Option<f64>,
    /// Metres climbed.
    #[schema(example = 84.0)]
    pub elevation_gain_m: Option<f64>,
    /// Kilocalories.
    #[schema(example = 640)]
    pub energy_kcal: Option<i32>,
    /// Beats a minute, on average.
    #[schema(example = 148)]
    pub average_heart_rate_bpm: Option<i32>,
    /// Beats a minute, at most.
    #[schema(example = 171)]
    pub max_heart_rate_bpm: Option<i32>,
    /// Watts, on average.
    pub average_power_w: Option<i32>,
    /// What its owner calls it.
    #[schema(example = "Morning run")]
    pub title: Option<String>,
    /// Who may see it.
    #[schema(schema_with = crate::queries::units::visibility_schema)]
    pub visibility: String,
    /// Whether it came from a recording.
    pub has_recording: bool,
}

/// A row of the list; millimetres and milliseconds.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "each column is that of the read model")]
pub struct ItemRow {
    pub workout_id: Uuid,
    pub version: i64,
    pub sport: String,
    pub started_at: DateTime<Utc>,
    pub time_zone: String,
    pub local_date: NaiveDate,
    pub duration_ms: i64,
    pub moving_ms: Option<i64>,
    pub distance_mm: Option<i64>,
    pub elevation_gain_mm: Option<i64>,
    pub energy_kcal: Option<i32>,
    pub average_heart_rate_bpm: Option<i32>,
    pub max_heart_rate_bpm: Option<i32>,
    pub average_power_w: Option<i32>,
    pub title: Option<String>,
    pub visibility: String,
    pub has_recording: bool,
}

impl From<ItemRow> for WorkoutItem {
    fn from(row: ItemRow) -> Self {
        Self {
            id: row.workout_id,
            version: row.version,
            sport: row.sport,
            started_at: row.started_at,
            time_zone: row.time_zone,
            local_date: row.local_date,
            duration_s: thousandths(row.duration_ms),
            moving_s: row.moving_ms.map(thousandths),
            distance_m: row.distance_mm.map(thousandths),
            elevation_gain_m: row.elevation_gain_mm.map(thousandths),
            energy_kcal: row.energy_kcal,
            average_heart_rate_bpm: row.average_heart_rate_bpm,
            max_heart_rate_bpm: row.max_heart_rate_bpm,
            average_power_w: row.average_power_w,
            title: row.title,
            visibility: row.visibility,
            has_recording: row.has_recording,
        }
    }
}

/// Which workouts of the list, and from where on.
#[derive(Debug, Clone, Default)]
pub struct Filter<'a> {
    /// First local day.
    pub from_day: Option<NaiveDate>,
    /// Last local day.
    pub to_day: Option<NaiveDate>,
    /// Not before this instant.
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    pub to: Option<DateTime<Utc>>,
    /// Of this sport.
    pub sport: Option<Sport>,
    /// With this text in title or notes, whatever its case.
    pub text: Option<&'a str>,
    /// After this place of the list.
    pub after: Option<(DateTime<Utc>, Uuid)>,
}

// The row comparison is written so that it is always a condition of the index workouts_newest.
const LIST: &str = "
SELECT workout_id, version, sport, started_at, time_zone, local_date, duration_ms, moving_ms, distance_mm,
       elevation_gain_mm, energy_kcal, average_heart_rate_bpm, max_heart_rate_bpm, average_power_w, title, visibility,
       recording IS NOT NULL AS has_recording
  FROM workouts
 WHERE athlete_id = $1
   AND (started_at, workout_id) < (coalesce($2, 'infinity'::timestamptz),
                                   coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
   AND started_at >= coalesce($4, '-infinity'::timestamptz)
   AND started_at < coalesce($5, 'infinity'::timestamptz)
   AND local_date BETWEEN coalesce($6, '-infinity'::date) AND coalesce($7, 'infinity'::date)
   AND ($8::text IS NULL OR sport = $8)
   AND ($9::text IS NULL OR strpos(lower(concat_ws(E'\\n', title, notes)), lower($9)) > 0)
 ORDER BY started_at DESC, workout_id DESC
 LIMIT $10";

/// At most `rows` of the caller's own workouts, newest first.
pub async fn list(pool: &PgPool, caller: Uuid, filter: &Filter<'_>, rows: i64) -> Result<Vec<ItemRow>, sqlx::Error> {
    sqlx::query_as(LIST)
        .bind(caller)
        .bind(filter.after.map(|(started_at, _)| started_at))
        .bind(filter.after.map(|(_, id)| id))
        .bind(filter.from)
        .bind(filter.to)
        .bind(filter.from_day)
        .bind(filter.to_day)
        .bind(filter.sport.map(Sport::as_str))
        .bind(filter.text)
        .bind(rows)
        .fetch_all(pool)
        .await
}

/// Everything about one workout that its own page shows and the list does not.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct WorkoutRow {
    /// What the list shows.
    #[sqlx(flatten)]
    pub item: ItemRow,
    /// Whose it is.
    pub athlete_id: Uuid,
    /// Its owner's, null to others.
    pub perceived_exertion: Option<i32>,
    /// Its owner's, null to others.
    pub notes: Option<String>,
    /// Its owner's, null to others.
    pub gear_id: Option<Uuid>,
    /// Strength sets.
    pub sets: Option<Json<Vec<StrengthSet>>>,
    /// Where its recording is.
    pub recording: Option<Json<RecordingRef>>,
    /// When it was logged or imported.
    pub logged_at: DateTime<Utc>,
    /// When it was last changed.
    pub changed_at: DateTime<Utc>,
}

const ONE: &str = "
SELECT workout_id, version, sport, started_at, time_zone, local_date, duration_ms, moving_ms, distance_mm,
       elevation_gain_mm, energy_kcal, average_heart_rate_bpm, max_heart_rate_bpm, average_power_w, title, visibility,
       recording IS NOT NULL AS has_recording, athlete_id,
       CASE WHEN athlete_id = $2 THEN perceived_exertion END AS perceived_exertion,
       CASE WHEN athlete_id = $2 THEN notes END AS notes,
       CASE WHEN athlete_id = $2 THEN gear_id END AS gear_id,
       sets, recording, logged_at, changed_at
  FROM workouts
 WHERE workout_id = $1
   AND (athlete_id = $2 OR visibility = 'public')";

/// One workout, where the caller may see it.
pub async fn one(pool: &PgPool, workout: Uuid, caller: Uuid) -> Result<Option<WorkoutRow>, sqlx::Error> {
    sqlx::query_as(ONE).bind(workout).bind(caller).fetch_optional(pool).await
}

/// Where a workout's recording is.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RecordingRow {
    /// Whose it is.
    pub athlete_id: Uuid,
    /// Null where the workout was logged by hand.
    pub recording: Option<Json<RecordingRef>>,
}

const RECORDING: &str = "
SELECT athlete_id, recording
  FROM workouts
 WHERE workout_id = $1
   AND (athlete_id = $2 OR visibility = 'public')";

/// The recording of a workout the caller may see.
pub async fn recording(pool: &PgPool, workout: Uuid, caller: Uuid) -> Result<Option<RecordingRow>, sqlx::Error> {
    sqlx::query_as(RECORDING).bind(workout).bind(caller).fetch_optional(pool).await
}

const ORIGINAL: &str = "
SELECT athlete_id, recording
  FROM workouts
 WHERE workout_id = $1
   AND athlete_id = $2";

/// The recording of the caller's own workout: its original may hold more than is shown to others.
pub async fn original(pool: &PgPool, workout: Uuid, caller: Uuid) -> Result<Option<RecordingRow>, sqlx::Error> {
    sqlx::query_as(ORIGINAL).bind(workout).bind(caller).fetch_optional(pool).await
}
