//! One workout as its last event leaves it, in whole millimetres and milliseconds.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::events::EventRow;

/// A workout, as the read model `workouts` must hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct Workout {
    pub id: Uuid,
    pub athlete_id: Uuid,
    pub version: i64,
    pub sport: String,
    pub started_at: DateTime<Utc>,
    pub time_zone: String,
    pub local_date: NaiveDate,
    pub duration_ms: i64,
    pub moving_ms: Option<i64>,
    pub distance_mm: Option<i64>,
    pub elevation_gain_mm: Option<i64>,
    pub energy_kcal: Option<i64>,
    pub average_heart_rate_bpm: Option<i64>,
    pub max_heart_rate_bpm: Option<i64>,
    pub average_power_w: Option<i64>,
    pub perceived_exertion: Option<i64>,
    pub title: Option<String>,
    pub notes: Option<String>,
    pub visibility: String,
    /// What the import said of the file; nothing for what was logged by hand.
    pub recording: Option<Value>,
}

impl Workout {
    /// The workout after an event that says all of it.
    pub fn of(row: &EventRow) -> Self {
        let details = row.details();
        let text = |name: &str| details[name].as_str().map(str::to_owned);
        let whole = |name: &str| details[name].as_f64().map(|value| units(value, 1.0));
        let thousandths = |name: &str| details[name].as_f64().map(|value| units(value, 1000.0));
        let started_at: DateTime<Utc> = text("started_at").and_then(|at| at.parse().ok()).unwrap_or_default();
        let time_zone = text("time_zone").unwrap_or_default();
        Self {
            id: row.aggregate_id.parse().unwrap_or_default(),
            athlete_id: row.owner_id,
            version: row.sequence,
            sport: text("sport").unwrap_or_default(),
            started_at,
            local_date: local_date(started_at, &time_zone),
            time_zone,
            duration_ms: thousandths("duration_s").unwrap_or_default(),
            moving_ms: thousandths("moving_s"),
            distance_mm: thousandths("distance_m"),
            elevation_gain_mm: thousandths("elevation_gain_m"),
            energy_kcal: whole("energy_kcal"),
            average_heart_rate_bpm: whole("average_heart_rate_bpm"),
            max_heart_rate_bpm: whole("max_heart_rate_bpm"),
            average_power_w: whole("average_power_w"),
            perceived_exertion: whole("perceived_exertion"),
            title: text("title"),
            notes: text("notes"),
            visibility: text("visibility").unwrap_or_default(),
            recording: Some(&row.payload["recording"]).filter(|recording| !recording.is_null()).cloned(),
        }
    }

    /// Whether it counts on boards: shown to everybody, and an effort that can be true.
    pub fn counts(&self) -> bool {
        const TWO_DAYS_MS: i64 = 172_800_000;
        let moving_ms = self.moving_ms.unwrap_or(self.duration_ms);
        // Metres a second, times milliseconds: millimetres.
        let possible_mm = fastest_mps(&self.sport) * moving_ms as f64;
        let possible = self.distance_mm.unwrap_or(0) as f64 <= possible_mm;
        self.visibility == "public" && possible && self.duration_ms <= TWO_DAYS_MS
    }
}

/// The stated limit of a sport. A definition and not a computation: the one thing taken from the domain.
fn fastest_mps(sport: &str) -> f64 {
    fittrack_domain::sport::Sport::parse(sport).map_or(f64::NAN, fittrack_domain::sport::Sport::max_plausible_speed_mps)
}

/// The calendar day an instant is on in a zone.
pub fn local_date(instant: DateTime<Utc>, time_zone: &str) -> NaiveDate {
    match time_zone.parse::<chrono_tz::Tz>() {
        Ok(zone) => instant.with_timezone(&zone).date_naive(),
        Err(_) => NaiveDate::default(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "values of workouts are far below the limits of i64")]
fn units(value: f64, per_unit: f64) -> i64 {
    (value * per_unit).round() as i64
}
