//! An athlete's privacy zones as the last event leaves them: every event says the whole list.

use serde_json::Value;

use crate::events::EventRow;

/// What the read model `privacy_zones` must hold of an athlete.
#[derive(Clone, Debug, PartialEq)]
pub struct PrivacyZones {
    pub version: i64,
    pub zones: Value,
}

impl PrivacyZones {
    pub fn of(row: &EventRow) -> Self {
        Self { version: row.sequence, zones: row.payload["zones"].clone() }
    }
}
