//! Read model `measurements`: dated facts about an athlete's body. A batch keeps the last event of each kind and day.
mod sql;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use fittrack_domain::{
    event::Event,
    measurement::{MeasuredValue, MeasurementKind},
};
use fittrack_schemas::read_models::Build;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    projection::{FoldError, Moment, Projection},
    projections::CopyRow,
};

/// The projection.
#[derive(Debug)]
pub struct Measurements;

/// The latest of each measurement.
pub type Changes = HashMap<Key, Row>;

/// Which measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Whose.
    pub athlete_id: Uuid,
    /// On which local day.
    pub measured_on: NaiveDate,
    /// What.
    pub kind: MeasurementKind,
}

/// A measurement after the last event of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The stream's sequence.
    pub version: i64,
    /// How much.
    pub value: MeasuredValue,
    /// When that was said.
    pub recorded_at: DateTime<Utc>,
}

impl Projection for Measurements {
    const NAME: &'static str = "measurements";
    const VERSION: i32 = 1;
    const COLUMNS: &'static str = sql::COLUMNS;
    const KEY_BYTES: usize = 100;
    type Changes = Changes;

    fn wants(event_type: &str) -> bool {
        event_type == "measurement_recorded"
    }

    fn fold(changes: &mut Changes, moment: Moment, event: Event) -> Result<(), FoldError> {
        match event {
            Event::MeasurementRecorded(recorded) => {
                let key =
                    Key { athlete_id: recorded.athlete_id.0, measured_on: recorded.measured_on, kind: recorded.kind };
                let row = Row { version: moment.sequence, value: recorded.value, recorded_at: moment.occurred_at };
                changes.insert(key, row);
            }
            Event::AthleteRegistered(_)
            | Event::ProfileUpdated(_)
            | Event::WorkoutLogged(_)
            | Event::WorkoutImported(_)
            | Event::WorkoutEdited(_)
            | Event::WorkoutDeleted(_)
            | Event::PrivacyZonesSet(_)
            | Event::AccountErased(_)
            | Event::Redacted => {}
        }
        Ok(())
    }

    fn keys(changes: &Changes) -> usize {
        changes.len()
    }

    async fn write(connection: &mut PgConnection, build: Build, changes: &Changes) -> Result<(), sqlx::Error> {
        sql::put(connection, build, changes).await
    }

    fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> + Send {
        sql::rows(changes)
    }
}
