//! Privacy zones: places, such as a home, near which the start and the end of an athlete's tracks are not shown to others.
//!
//! The whole list is one thing with a stream of its own, so that its version is not the profile's: others see the profile's.
//! A [`PrivacyZone`] that stays where it is keeps its id, which decides where the [`HiddenCircle`] around it lies. What that leaves
//! of a recording says [`crate::recording::without_hidden_ends`].
mod decide;
mod events;
mod hidden;
mod zone;

use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::{
    aggregate::{Context, handle_by_deciding},
    ids::AthleteId,
};

pub use decide::MAX_ZONES;
pub use events::{PrivacyZonesEvent, PrivacyZonesSet};
pub use hidden::HiddenCircle;
pub use zone::{Degrees, PrivacyZone, ZoneId, ZoneName, ZoneRadius};

/// What can be asked of an athlete's privacy zones.
#[derive(Debug, Clone, PartialEq)]
pub enum PrivacyZonesCommand {
    /// They are these and no others.
    SetPrivacyZones(SetPrivacyZones),
}

/// The whole list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SetPrivacyZones {
    /// In the order the athlete wants; the id of each is the one it gets where it is about a new place.
    pub zones: Vec<PrivacyZone>,
}

/// Why a list of zones is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrivacyZonesRefusal {
    /// A field left its bounds; the field's name and what it must be.
    #[error("{field} {must}")]
    Invalid {
        /// The field, as in the request.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
}

/// An athlete's privacy zones as they are now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PrivacyZones {
    /// Nothing before they were first set, and after erasure.
    pub zones: Option<Vec<PrivacyZone>>,
}

impl PrivacyZones {
    /// The stream of an athlete's zones.
    pub fn stream_id(athlete_id: AthleteId) -> Uuid {
        Uuid::new_v5(&athlete_id.0, b"privacy-zones")
    }
}

impl Aggregate for PrivacyZones {
    const TYPE: &'static str = "privacy_zones";
    type Command = PrivacyZonesCommand;
    type Event = PrivacyZonesEvent;
    type Error = PrivacyZonesRefusal;
    type Services = Context;

    async fn handle(
        &mut self,
        command: Self::Command,
        context: &Context,
        sink: &EventSink<Self>,
    ) -> Result<(), PrivacyZonesRefusal> {
        handle_by_deciding(self, &command, context, sink).await
    }

    fn apply(&mut self, event: PrivacyZonesEvent) {
        self.zones = match event {
            PrivacyZonesEvent::PrivacyZonesSet(set) => Some(set.zones),
            PrivacyZonesEvent::Redacted => None,
        };
    }
}
