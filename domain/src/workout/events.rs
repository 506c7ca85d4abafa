//! What happens to a workout, as stored and published.
use cqrs_es::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RecordingRef, WorkoutDetails, WorkoutFacts};
use crate::{
    event_type::EventType,
    ids::{AthleteId, WorkoutId},
};

/// Everything that happens to a workout. The payload carries its own `type`, so that it can be read without its row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WorkoutEvent {
    /// Logged by hand.
    WorkoutLogged(WorkoutLogged),
    /// Read from a recording.
    WorkoutImported(WorkoutImported),
    /// Changed.
    WorkoutEdited(WorkoutEdited),
    /// Removed.
    WorkoutDeleted(WorkoutDeleted),
    /// What stood here was erased with its owner.
    Redacted,
}

/// A workout was logged by hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkoutLogged {
    /// Which workout.
    pub workout_id: WorkoutId,
    /// Whose.
    pub athlete_id: AthleteId,
    /// What it says.
    pub details: WorkoutDetails,
}

/// A workout was read from a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkoutImported {
    /// Which workout.
    pub workout_id: WorkoutId,
    /// Whose.
    pub athlete_id: AthleteId,
    /// What it says.
    pub details: WorkoutDetails,
    /// Where its recording is.
    pub recording: RecordingRef,
}

/// A workout was changed by its owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkoutEdited {
    /// Which workout.
    pub workout_id: WorkoutId,
    /// Whose.
    pub athlete_id: AthleteId,
    /// What was counted before.
    pub before: WorkoutFacts,
    /// All it says after.
    pub after: WorkoutDetails,
}

/// A workout was removed. Version 2: version 1 did not say by whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkoutDeleted {
    /// Which workout.
    pub workout_id: WorkoutId,
    /// Whose.
    pub athlete_id: AthleteId,
    /// Who removed it: its owner, until somebody else may (a coach, a club's moderator).
    pub deleted_by: AthleteId,
    /// What was counted before.
    pub before: WorkoutFacts,
}

impl WorkoutEvent {
    fn known_as(&self) -> EventType {
        match self {
            Self::WorkoutLogged(_) => EventType::WorkoutLogged,
            Self::WorkoutImported(_) => EventType::WorkoutImported,
            Self::WorkoutEdited(_) => EventType::WorkoutEdited,
            Self::WorkoutDeleted(_) => EventType::WorkoutDeleted,
            Self::Redacted => EventType::Redacted,
        }
    }
}

impl DomainEvent for WorkoutEvent {
    fn event_type(&self) -> String {
        self.known_as().as_str().to_owned()
    }

    fn event_version(&self) -> String {
        self.known_as().newest_version().to_owned()
    }
}
