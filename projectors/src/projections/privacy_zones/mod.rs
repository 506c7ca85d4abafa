//! Read model `privacy_zones`: near which places the ends of an athlete's tracks are not shown to others.
//! Events carry the whole list, so a batch keeps the last one of each athlete.
mod sql;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fittrack_domain::{event::Event, privacy::PrivacyZone};
use fittrack_schemas::read_models::Build;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    projection::{FoldError, Moment, Projection},
    projections::CopyRow,
};

/// The projection.
#[derive(Debug)]
pub struct PrivacyZones;

/// The latest list of each athlete.
pub type Changes = HashMap<Uuid, Row>;

/// An athlete's zones after the last event of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The stream's sequence.
    pub version: i64,
    /// All of them.
    pub zones: Vec<PrivacyZone>,
    /// When they were set.
    pub changed_at: DateTime<Utc>,
}

impl Projection for PrivacyZones {
    const NAME: &'static str = "privacy_zones";
    const VERSION: i32 = 1;
    const COLUMNS: &'static str = sql::COLUMNS;
    const KEY_BYTES: usize = 600;
    type Changes = Changes;

    fn wants(event_type: &str) -> bool {
        event_type == "privacy_zones_set"
    }

    fn fold(changes: &mut Changes, moment: Moment, event: Event) -> Result<(), FoldError> {
        match event {
            Event::PrivacyZonesSet(set) => {
                let row = Row { version: moment.sequence, zones: set.zones, changed_at: moment.occurred_at };
                changes.insert(set.athlete_id.0, row);
            }
            Event::AthleteRegistered(_)
            | Event::ProfileUpdated(_)
            | Event::WorkoutLogged(_)
            | Event::WorkoutImported(_)
            | Event::WorkoutEdited(_)
            | Event::WorkoutDeleted(_)
            | Event::MeasurementRecorded(_)
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
