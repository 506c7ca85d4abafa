//! What a workout says, in three sizes: everything, the facts that are counted, and where its recording is.
use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    recording::Format,
    sport::Sport,
    values::{
        Distance, Duration, Energy, ExerciseName, Exertion, HeartRate, Notes, Power, TimeZone, Title, Visibility,
    },
};

/// Everything a workout says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkoutDetails {
    /// What was done.
    pub sport: Sport,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// The zone it was counted in.
    pub time_zone: TimeZone,
    /// The calendar day it began on in that zone.
    pub local_date: NaiveDate,
    /// From start to end, pauses included.
    pub duration_s: Duration,
    /// Without pauses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_s: Option<Duration>,
    /// How far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_m: Option<Distance>,
    /// How much was climbed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elevation_gain_m: Option<Distance>,
    /// Energy spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_kcal: Option<Energy>,
    /// Mean heart rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_heart_rate_bpm: Option<HeartRate>,
    /// Highest heart rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_heart_rate_bpm: Option<HeartRate>,
    /// Mean power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_power_w: Option<Power>,
    /// How hard it felt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perceived_exertion: Option<Exertion>,
    /// What its owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    /// Its owner's notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Notes>,
    /// Who may see it.
    pub visibility: Visibility,
    /// The shoes or the bike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gear_id: Option<Uuid>,
    /// Strength sets, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<StrengthSet>,
}

/// The facts of a workout that are counted: what totals and leaderboards add and take away.
///
/// `WorkoutEdited` and `WorkoutDeleted` carry those from before, so that a sum can be corrected by its difference alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "each field is the field of WorkoutDetails")]
pub struct WorkoutFacts {
    pub sport: Sport,
    pub started_at: DateTime<Utc>,
    pub local_date: NaiveDate,
    pub duration_s: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_s: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_m: Option<Distance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elevation_gain_m: Option<Distance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_kcal: Option<Energy>,
    pub visibility: Visibility,
}

impl WorkoutDetails {
    /// The facts that are counted.
    pub fn facts(&self) -> WorkoutFacts {
        WorkoutFacts {
            sport: self.sport,
            started_at: self.started_at,
            local_date: self.local_date,
            duration_s: self.duration_s,
            moving_s: self.moving_s,
            distance_m: self.distance_m,
            elevation_gain_m: self.elevation_gain_m,
            energy_kcal: self.energy_kcal,
            visibility: self.visibility,
        }
    }
}

/// One set of a strength exercise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StrengthSet {
    /// The exercise.
    pub exercise: ExerciseName,
    /// How often, 1 to 10,000.
    pub repetitions: u32,
    /// The load in kilograms, 0 to 2,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mass_kg: Option<f64>,
    /// How long it took or was held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<Duration>,
    /// How many more would have gone, 0 to 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reps_in_reserve: Option<u32>,
    /// What the set was for.
    #[serde(default)]
    pub kind: SetKind,
}

impl StrengthSet {
    /// Whether every number is within the bounds its field names.
    pub fn is_within_bounds(&self) -> bool {
        (1..=10_000).contains(&self.repetitions)
            && self.mass_kg.is_none_or(|mass_kg| (0.0..=2_000.0).contains(&mass_kg))
            && self.reps_in_reserve.is_none_or(|reserve| reserve <= 20)
    }
}

/// What a set was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the field's words")]
pub enum SetKind {
    WarmUp,
    #[default]
    Working,
    Drop,
    Failure,
}

/// Where a workout's recording is: content-addressed blobs, stored before the event that names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingRef {
    /// The form of the uploaded file.
    pub format: Format,
    /// SHA-256 of the uploaded file, in hexadecimal.
    pub original_sha256: String,
    /// SHA-256 of the encoded recording, in hexadecimal.
    pub recording_sha256: String,
    /// How many samples it has.
    pub samples: u32,
    /// Which leg of a multisport file this is, from 0.
    pub leg: u32,
    /// Common to all workouts of one multisport file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// What recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}
