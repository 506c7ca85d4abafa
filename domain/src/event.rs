//! Any event of any aggregate, as those downstream read it: the relay's consumers, projections, rebuilds.
//! [`Event::decode`] is the one place where a stored type and version become a Rust value; upcasters go there.
use crate::{
    athlete::{AthleteRegistered, ProfileUpdated},
    ids::AthleteId,
    workout::{WorkoutDeleted, WorkoutEdited, WorkoutImported, WorkoutLogged},
};

/// Any event that is published.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is the event of its name")]
pub enum Event {
    AthleteRegistered(Box<AthleteRegistered>),
    ProfileUpdated(Box<ProfileUpdated>),
    WorkoutLogged(Box<WorkoutLogged>),
    WorkoutImported(Box<WorkoutImported>),
    WorkoutEdited(Box<WorkoutEdited>),
    WorkoutDeleted(Box<WorkoutDeleted>),
    /// An event whose content was erased; folds pass over it.
    Redacted,
}

/// Why a stored event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No such type in this version of the program: deploy the newer one before its events are read.
    #[error("unknown event {event_type} version {event_version}")]
    Unknown {
        /// The stored type.
        event_type: String,
        /// The stored version.
        event_version: String,
    },
    /// The payload is not what its type says.
    #[error("payload of {event_type} version {event_version} does not parse")]
    Payload {
        /// The stored type.
        event_type: String,
        /// The stored version.
        event_version: String,
        /// What serde says.
        source: serde_json::Error,
    },
}

impl Event {
    /// Reads a stored payload by its type and version.
    pub fn decode(event_type: &str, event_version: &str, payload: &[u8]) -> Result<Self, DecodeError> {
        let decoded = match (event_type, event_version) {
            ("athlete_registered", "1") => serde_json::from_slice(payload).map(Self::AthleteRegistered),
            ("profile_updated", "1") => serde_json::from_slice(payload).map(Self::ProfileUpdated),
            ("workout_logged", "1") => serde_json::from_slice(payload).map(Self::WorkoutLogged),
            ("workout_imported", "1") => serde_json::from_slice(payload).map(Self::WorkoutImported),
            ("workout_edited", "1") => serde_json::from_slice(payload).map(Self::WorkoutEdited),
            ("workout_deleted", "1") => serde_json::from_slice(payload).map(Self::WorkoutDeleted),
            ("redacted", _) => Ok(Self::Redacted),
            _ => {
                return Err(DecodeError::Unknown {
                    event_type: event_type.to_owned(),
                    event_version: event_version.to_owned(),
                });
            }
        };
        decoded.map_err(|source| DecodeError::Payload {
            event_type: event_type.to_owned(),
            event_version: event_version.to_owned(),
            source,
        })
    }

    /// Whose event it is; `None` for a redacted one.
    pub fn athlete_id(&self) -> Option<AthleteId> {
        match self {
            Self::AthleteRegistered(event) => Some(event.athlete_id),
            Self::ProfileUpdated(event) => Some(event.athlete_id),
            Self::WorkoutLogged(event) => Some(event.athlete_id),
            Self::WorkoutImported(event) => Some(event.athlete_id),
            Self::WorkoutEdited(event) => Some(event.athlete_id),
            Self::WorkoutDeleted(event) => Some(event.athlete_id),
            Self::Redacted => None,
        }
    }
}
