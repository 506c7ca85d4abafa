//! What happens to an athlete's privacy zones, as stored and published.
use cqrs_es::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PrivacyZone;
use crate::{event_type::EventType, ids::AthleteId};

/// Everything that happens to an athlete's privacy zones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PrivacyZonesEvent {
    /// The list was replaced.
    PrivacyZonesSet(PrivacyZonesSet),
    /// What stood here was erased with its owner.
    Redacted,
}

/// An athlete said near which places the ends of their tracks are not shown to others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PrivacyZonesSet {
    /// Whose zones.
    pub athlete_id: AthleteId,
    /// The whole list after the change; empty where there are none any more.
    pub zones: Vec<PrivacyZone>,
}

impl PrivacyZonesEvent {
    fn known_as(&self) -> EventType {
        match self {
            Self::PrivacyZonesSet(_) => EventType::PrivacyZonesSet,
            Self::Redacted => EventType::Redacted,
        }
    }
}

impl DomainEvent for PrivacyZonesEvent {
    fn event_type(&self) -> String {
        self.known_as().as_str().to_owned()
    }

    fn event_version(&self) -> String {
        self.known_as().newest_version().to_owned()
    }
}
