//! A measurement as its last event leaves it: one of each athlete, kind and day.

use crate::events::EventRow;
use uuid::Uuid;

/// Which measurement: whose, on which day, of what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Measured {
    pub athlete_id: Uuid,
    pub measured_on: String,
    pub kind: String,
}

/// What the read model `measurements` must hold of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    pub version: i64,
    pub value: f64,
}

impl Measured {
    pub fn of(row: &EventRow) -> Self {
        let text = |name: &str| row.payload[name].as_str().unwrap_or_default().to_owned();
        Self { athlete_id: row.owner_id, measured_on: text("measured_on"), kind: text("kind") }
    }
}

impl Measurement {
    pub fn of(row: &EventRow) -> Self {
        Self { version: row.sequence, value: row.payload["value"].as_f64().unwrap_or_default() }
    }
}
