//! The form of an export: `export.json` in the zip of everything an athlete has, and `recordings/<workout_id>.json` beside it. The
//! command API writes both and reads `export.json` again, here or at another installation; so it is a contract like the events'.
//!
//! Units are in names: metres, seconds, kilocalories, degrees. Objects may gain members within a version; whoever reads one
//! ignores what it does not know. Anything else makes a new [`FORMAT_VERSION`].
mod schema;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use fittrack_domain::{
    athlete::{Profile, Sex, Units},
    ids::{AthleteId, WorkoutId},
    measurement::MeasurementKind,
    privacy::PrivacyZone,
    recording::Format,
    sport::Sport,
    values::{Distance, Duration, Energy, Exertion, HeartRate, Power, TimeZone, Visibility},
    workout::{RecordingRef, SetKind, StrengthSet, WorkoutDetails},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use schema::{ExportSchema, export_schemas};

/// The version of the form; its schemas are named after it.
pub const FORMAT_VERSION: u32 = 1;
/// The entry of the zip that says everything.
pub const DOCUMENT: &str = "export.json";
/// Where uploaded files are in the zip.
pub const ORIGINALS: &str = "originals/";
/// Where samples are in the zip.
pub const RECORDINGS: &str = "recordings/";
/// `$schema` of the document.
pub const DOCUMENT_SCHEMA: &str = "https://fittrack.dev/schemas/export/export.v1.json";
/// `$schema` of samples.
pub const RECORDING_SCHEMA: &str = "https://fittrack.dev/schemas/export/recording.v1.json";

/// Everything an athlete has, but for the recordings, which are files beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Export")]
pub struct ExportDocument {
    /// The address of this schema.
    #[serde(rename = "$schema")]
    pub schema: String,
    /// The version of the form: 1.
    pub format_version: u32,
    /// When it was asked for.
    pub exported_at: DateTime<Utc>,
    /// Who it is all about.
    pub athlete: ExportedAthlete,
    /// Dated facts about the athlete's body, the oldest stream first.
    pub measurements: Vec<ExportedMeasurement>,
    /// The workouts that are there, in the order they came; deleted ones are not.
    pub workouts: Vec<ExportedWorkout>,
}

/// The athlete, as their profile says. What the athlete's aggregate gains stands here beside it, as an optional member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExportedAthlete {
    /// The id at the place the export comes from.
    pub id: AthleteId,
    /// The e-mail address they sign in with there; an account it is taken into keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What they are called.
    pub display_name: String,
    /// In their own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bio: Option<String>,
    /// Year of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_year: Option<u32>,
    /// Sex, for the formulas that ask for it.
    #[serde(default)]
    pub sex: Sex,
    /// Height in centimetres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height_cm: Option<u32>,
    /// Where their days begin and end: an IANA name.
    pub time_zone: TimeZone,
    /// How they like numbers shown.
    #[serde(default)]
    pub units: Units,
    /// What a new workout's visibility is when nothing is said.
    #[serde(default)]
    pub default_visibility: Visibility,
    /// Near which places the ends of tracks are not shown to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub privacy_zones: Vec<ExportedPrivacyZone>,
}

/// A privacy zone; what tells it from others is a secret of the installation and stays there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExportedPrivacyZone {
    /// What the athlete calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// North is positive, in degrees.
    pub latitude_deg: f64,
    /// East is positive, in degrees.
    pub longitude_deg: f64,
    /// How far around the place, in metres.
    pub radius_m: u32,
}

/// A measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExportedMeasurement {
    /// What was measured; its unit is in its name.
    pub kind: MeasurementKind,
    /// On which local day.
    pub measured_on: NaiveDate,
    /// How much, as recorded last.
    pub value: f64,
}

/// A workout, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExportedWorkout {
    /// The id at the place the export comes from.
    pub id: WorkoutId,
    /// What was done.
    pub sport: Sport,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// The zone it is counted in: an IANA name.
    pub time_zone: TimeZone,
    /// The calendar day it began on in that zone; it follows from the two above.
    pub local_date: NaiveDate,
    /// From start to end, pauses included, in seconds.
    pub duration_s: f64,
    /// Without pauses, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_s: Option<f64>,
    /// How far, in metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_m: Option<f64>,
    /// How much was climbed, in metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elevation_gain_m: Option<f64>,
    /// Energy spent, in kilocalories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_kcal: Option<u32>,
    /// Mean heart rate, in beats a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_heart_rate_bpm: Option<u32>,
    /// Highest heart rate, in beats a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_heart_rate_bpm: Option<u32>,
    /// Mean power, in watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_power_w: Option<u32>,
    /// How hard it felt, 0 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perceived_exertion: Option<u32>,
    /// What its owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its owner's notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Who may see it.
    pub visibility: Visibility,
    /// The shoes or the bike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gear_id: Option<Uuid>,
    /// Strength sets, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<ExportedSet>,
    /// Where its recording is; absent where it was logged by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<ExportedRecordingRef>,
}

/// One set of a strength exercise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExportedSet {
    /// The exercise.
    pub exercise: String,
    /// How often.
    pub repetitions: u32,
    /// The load in kilograms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mass_kg: Option<f64>,
    /// How long it took or was held, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// How many more would have gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reps_in_reserve: Option<u32>,
    /// What the set was for.
    #[serde(default)]
    pub kind: SetKind,
}

/// The files of a workout's recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportedRecordingRef {
    /// The form of the uploaded file.
    pub format: Format,
    /// The entry that is the file as it was uploaded.
    pub original: String,
    /// The entry that has its samples as JSON.
    pub samples: String,
    /// SHA-256 of the uploaded file, in hexadecimal.
    pub original_sha256: String,
    /// How many samples there are.
    pub sample_count: u32,
    /// Which leg of a multisport file this is, from 0; all its legs have the same file.
    pub leg: u32,
    /// Common to all workouts of one multisport file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// What recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// The samples of a workout as columns `C` of equal length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Recording", rename = "Recording")]
pub struct ExportedRecording<C> {
    /// The address of this schema.
    #[serde(rename = "$schema")]
    pub schema: String,
    /// Of which workout.
    pub workout_id: WorkoutId,
    /// How many there are: the length of every column.
    pub sample_count: usize,
    /// `elapsed_s` (seconds since the start) and one column for each sensor, its unit in its name; null where it said nothing.
    pub columns: BTreeMap<String, C>,
}

impl ExportedAthlete {
    /// A profile, exported, with the account's address and the privacy zones beside it.
    pub fn of(id: AthleteId, email: Option<String>, profile: &Profile, zones: &[PrivacyZone]) -> Self {
        Self {
            id,
            email,
            display_name: profile.display_name.as_str().to_owned(),
            bio: profile.bio.as_ref().map(|bio| bio.as_str().to_owned()),
            birth_year: profile.birth_year,
            sex: profile.sex,
            height_cm: profile.height_cm,
            time_zone: profile.time_zone,
            units: profile.units,
            default_visibility: profile.default_visibility,
            privacy_zones: zones.iter().map(ExportedPrivacyZone::of).collect(),
        }
    }
}

impl ExportedPrivacyZone {
    fn of(zone: &PrivacyZone) -> Self {
        let (latitude_deg, longitude_deg) = zone.position();
        let name = zone.name.as_ref().map(|name| name.as_str().to_owned());
        Self { name, latitude_deg, longitude_deg, radius_m: zone.radius_m.metres() }
    }
}

impl ExportedWorkout {
    /// A workout, exported.
    pub fn of(id: WorkoutId, details: &WorkoutDetails, recording: Option<&RecordingRef>) -> Self {
        Self {
            id,
            sport: details.sport,
            started_at: details.started_at,
            time_zone: details.time_zone,
            local_date: details.local_date,
            duration_s: details.duration_s.seconds(),
            moving_s: details.moving_s.map(Duration::seconds),
            distance_m: details.distance_m.map(Distance::metres),
            elevation_gain_m: details.elevation_gain_m.map(Distance::metres),
            energy_kcal: details.energy_kcal.map(Energy::kcal),
            average_heart_rate_bpm: details.average_heart_rate_bpm.map(HeartRate::bpm),
            max_heart_rate_bpm: details.max_heart_rate_bpm.map(HeartRate::bpm),
            average_power_w: details.average_power_w.map(Power::watts),
            perceived_exertion: details.perceived_exertion.map(Exertion::value),
            title: details.title.as_ref().map(|title| title.as_str().to_owned()),
            notes: details.notes.as_ref().map(|notes| notes.as_str().to_owned()),
            visibility: details.visibility,
            gear_id: details.gear_id,
            sets: details.sets.iter().map(ExportedSet::from).collect(),
            recording: recording.map(|recording| ExportedRecordingRef::of(id, recording)),
        }
    }
}

impl From<&StrengthSet> for ExportedSet {
    fn from(set: &StrengthSet) -> Self {
        Self {
            exercise: set.exercise.as_str().to_owned(),
            repetitions: set.repetitions,
            mass_kg: set.mass_kg,
            duration_s: set.duration_s.map(Duration::seconds),
            reps_in_reserve: set.reps_in_reserve,
            kind: set.kind,
        }
    }
}

impl ExportedRecordingRef {
    /// The files of a recording, named after their workout.
    pub fn of(workout_id: WorkoutId, recording: &RecordingRef) -> Self {
        Self {
            format: recording.format,
            original: format!("{ORIGINALS}{workout_id}.{}", recording.format),
            samples: format!("{RECORDINGS}{workout_id}.json"),
            original_sha256: recording.original_sha256.clone(),
            sample_count: recording.samples,
            leg: recording.leg,
            session_id: recording.session_id,
            device: recording.device.clone(),
        }
    }
}
