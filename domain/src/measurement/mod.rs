//! A measurement: a dated fact about an athlete's body, such as their mass on a day. Profile fields have no date; formulas that
//! look back need one.
//!
//! There is one stream for each athlete, kind and day. A correction is the next event of that stream, no stream grows with the
//! years, and the stream's id is made from the owner's, so that nobody can name another's.
mod kind;

use chrono::NaiveDate;
use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::{
    aggregate::{Context, Decider, handle_by_deciding},
    event_type::EventType,
    ids::AthleteId,
};

pub use kind::{MeasuredValue, MeasurementKind};

/// What can be asked of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasurementCommand {
    /// It is this, whatever it was before.
    RecordMeasurement(RecordMeasurement),
}

/// What was measured, and on which local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordMeasurement {
    /// What.
    pub kind: MeasurementKind,
    /// How much.
    pub value: MeasuredValue,
    /// When.
    pub measured_on: NaiveDate,
}

/// Everything that happens to a measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MeasurementEvent {
    /// Measured, or corrected.
    MeasurementRecorded(MeasurementRecorded),
    /// What stood here was erased with its owner.
    Redacted,
}

/// An athlete recorded a measurement; it stands instead of an earlier one of the same kind and day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasurementRecorded {
    /// Whose.
    pub athlete_id: AthleteId,
    /// What was measured; its unit is in its name.
    pub kind: MeasurementKind,
    /// How much.
    pub value: MeasuredValue,
    /// On which local day.
    pub measured_on: NaiveDate,
}

/// Why a measurement is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MeasurementRefusal {
    /// A field left its bounds; the field's name and what it must be.
    #[error("{field} {must}")]
    Invalid {
        /// The field, as in the request.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
}

/// One measurement's state: the value it has now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Nothing before the first event, and after erasure.
    pub value: Option<MeasuredValue>,
}

impl Measurement {
    /// The stream of an athlete's measurement of a kind on a day.
    pub fn stream_id(athlete_id: AthleteId, kind: MeasurementKind, measured_on: NaiveDate) -> Uuid {
        Uuid::new_v5(&athlete_id.0, format!("measurement/{}/{measured_on}", kind.as_str()).as_bytes())
    }
}

impl Decider for Measurement {
    fn decide(
        &self,
        command: &MeasurementCommand,
        context: &Context,
    ) -> Result<Vec<MeasurementEvent>, MeasurementRefusal> {
        let MeasurementCommand::RecordMeasurement(RecordMeasurement { kind, value, measured_on }) = *command;
        let field = "measured_on";
        if measured_on < NaiveDate::from_ymd_opt(1900, 1, 1).unwrap_or_default() {
            return Err(MeasurementRefusal::Invalid { field, must: "must not be before 1900" });
        }
        if measured_on > context.time_zone.local_date(context.now) {
            return Err(MeasurementRefusal::Invalid { field, must: "must not be after today in your time zone" });
        }
        if self.value == Some(value) {
            return Ok(vec![]);
        }
        let recorded = MeasurementRecorded { athlete_id: context.actor, kind, value, measured_on };
        Ok(vec![MeasurementEvent::MeasurementRecorded(recorded)])
    }

    fn begins_stream(_: &MeasurementCommand) -> bool {
        false
    }
}

impl Aggregate for Measurement {
    const TYPE: &'static str = "measurement";
    type Command = MeasurementCommand;
    type Event = MeasurementEvent;
    type Error = MeasurementRefusal;
    type Services = Context;

    async fn handle(
        &mut self,
        command: Self::Command,
        context: &Context,
        sink: &EventSink<Self>,
    ) -> Result<(), MeasurementRefusal> {
        handle_by_deciding(self, &command, context, sink).await
    }

    fn apply(&mut self, event: MeasurementEvent) {
        self.value = match event {
            MeasurementEvent::MeasurementRecorded(recorded) => Some(recorded.value),
            MeasurementEvent::Redacted => None,
        };
    }
}

impl MeasurementEvent {
    fn known_as(&self) -> EventType {
        match self {
            Self::MeasurementRecorded(_) => EventType::MeasurementRecorded,
            Self::Redacted => EventType::Redacted,
        }
    }
}

impl DomainEvent for MeasurementEvent {
    fn event_type(&self) -> String {
        self.known_as().as_str().to_owned()
    }

    fn event_version(&self) -> String {
        self.known_as().newest_version().to_owned()
    }
}
