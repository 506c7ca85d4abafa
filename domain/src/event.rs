//! Any event of any aggregate, as those downstream read it: the relay's consumers, projections, rebuilds.
//! [`Event::decode`] is the one place where a stored type and version become a Rust value, older versions by [`upcast`].
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{
    athlete::{AccountErased, AthleteRegistered, ProfileUpdated},
    event_type::EventType,
    ids::AthleteId,
    measurement::MeasurementRecorded,
    privacy::PrivacyZonesSet,
    upcast::{self, Upcaster},
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
    MeasurementRecorded(Box<MeasurementRecorded>),
    PrivacyZonesSet(Box<PrivacyZonesSet>),
    AccountErased(AccountErased),
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
    /// Reads a stored payload by its type and version. The newest version is read straight from the bytes.
    pub fn decode(event_type: &str, event_version: &str, payload: &[u8]) -> Result<Self, DecodeError> {
        let decoded = match upcast::way(event_type, event_version)? {
            (EventType::Redacted, _) => return Ok(Self::Redacted),
            (known, []) => Self::of_newest(known, payload),
            (known, steps) => Self::of_older(known, steps, payload),
        };
        decoded.map_err(|source| DecodeError::Payload {
            event_type: event_type.to_owned(),
            event_version: event_version.to_owned(),
            source,
        })
    }

    fn of_newest(event_type: EventType, payload: &[u8]) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_slice(payload);
        let event = Self::read(event_type, &mut json)?;
        json.end()?;
        Ok(event)
    }

    fn of_older(event_type: EventType, steps: &[Upcaster], payload: &[u8]) -> Result<Self, serde_json::Error> {
        let stored = serde_json::from_slice::<Value>(payload)?;
        Self::read(event_type, steps.iter().fold(stored, |payload, step| step.apply(payload)))
    }

    fn read<'de, D: Deserializer<'de>>(event_type: EventType, payload: D) -> Result<Self, D::Error> {
        match event_type {
            EventType::AthleteRegistered => Deserialize::deserialize(payload).map(Self::AthleteRegistered),
            EventType::ProfileUpdated => Deserialize::deserialize(payload).map(Self::ProfileUpdated),
            EventType::WorkoutLogged => Deserialize::deserialize(payload).map(Self::WorkoutLogged),
            EventType::WorkoutImported => Deserialize::deserialize(payload).map(Self::WorkoutImported),
            EventType::WorkoutEdited => Deserialize::deserialize(payload).map(Self::WorkoutEdited),
            EventType::WorkoutDeleted => Deserialize::deserialize(payload).map(Self::WorkoutDeleted),
            EventType::MeasurementRecorded => Deserialize::deserialize(payload).map(Self::MeasurementRecorded),
            EventType::PrivacyZonesSet => Deserialize::deserialize(payload).map(Self::PrivacyZonesSet),
            EventType::AccountErased => Deserialize::deserialize(payload).map(Self::AccountErased),
            EventType::Redacted => Ok(Self::Redacted),
        }
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
            Self::MeasurementRecorded(event) => Some(event.athlete_id),
            Self::PrivacyZonesSet(event) => Some(event.athlete_id),
            Self::AccountErased(event) => Some(event.athlete_id),
            Self::Redacted => None,
        }
    }
}
