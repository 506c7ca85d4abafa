//! What can be asked of a workout.
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{RecordingRef, StrengthSet};
use crate::{
    ids::WorkoutId,
    patch::Patch,
    sport::Sport,
    values::{Distance, Duration, Energy, Exertion, HeartRate, Notes, Power, Title, Visibility},
};

/// Any command to a workout.
#[derive(Debug, Clone, PartialEq)]
pub enum WorkoutCommand {
    /// Log a workout by hand.
    LogWorkout(Box<LogWorkout>),
    /// Store a workout read from a recording.
    ImportWorkout(Box<ImportWorkout>),
    /// Change what it says.
    EditWorkout(Box<EditWorkout>),
    /// Remove the workout of this id.
    DeleteWorkout(WorkoutId),
}

/// A workout logged by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct LogWorkout {
    /// Its id, made by the client or the server.
    pub workout_id: WorkoutId,
    /// What it says.
    pub draft: WorkoutDraft,
}

/// A workout read from a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportWorkout {
    /// Its id.
    pub workout_id: WorkoutId,
    /// What the recording says.
    pub draft: WorkoutDraft,
    /// Where the recording is.
    pub recording: RecordingRef,
}

/// What a new workout says before the rules have filled in zone, day and defaults.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each field is the field of WorkoutDetails")]
pub struct WorkoutDraft {
    pub sport: Sport,
    pub started_at: DateTime<Utc>,
    pub duration_s: Duration,
    pub moving_s: Option<Duration>,
    pub distance_m: Option<Distance>,
    pub elevation_gain_m: Option<Distance>,
    pub energy_kcal: Option<Energy>,
    pub average_heart_rate_bpm: Option<HeartRate>,
    pub max_heart_rate_bpm: Option<HeartRate>,
    pub average_power_w: Option<Power>,
    pub perceived_exertion: Option<Exertion>,
    pub title: Option<Title>,
    pub notes: Option<Notes>,
    pub visibility: Option<Visibility>,
    pub gear_id: Option<Uuid>,
    pub sets: Vec<StrengthSet>,
}

/// A merge patch of a workout.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "each field is the field of WorkoutDetails")]
pub struct EditWorkout {
    pub workout_id: WorkoutId,
    pub sport: Patch<Sport>,
    pub started_at: Patch<DateTime<Utc>>,
    pub duration_s: Patch<Duration>,
    pub moving_s: Patch<Duration>,
    pub distance_m: Patch<Distance>,
    pub elevation_gain_m: Patch<Distance>,
    pub energy_kcal: Patch<Energy>,
    pub average_heart_rate_bpm: Patch<HeartRate>,
    pub max_heart_rate_bpm: Patch<HeartRate>,
    pub perceived_exertion: Patch<Exertion>,
    pub title: Patch<Title>,
    pub notes: Patch<Notes>,
    pub visibility: Patch<Visibility>,
    pub gear_id: Patch<Uuid>,
    pub sets: Patch<Vec<StrengthSet>>,
}
