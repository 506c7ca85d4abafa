//! Read model `workouts`: one row a workout, all that a list or a detail page shows.
//! Events come in position order; a batch keeps the latest state of each workout it touches.
mod sql;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fittrack_domain::{
    event::Event,
    workout::{RecordingRef, WorkoutDetails},
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
pub struct Workouts;

/// The latest state of each workout; `None` where it was deleted.
pub type Changes = HashMap<Uuid, Option<Row>>;

/// A workout after the last event of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Whose.
    pub athlete_id: Uuid,
    /// The stream's sequence.
    pub version: i64,
    /// What it says.
    pub details: WorkoutDetails,
    /// When it was last changed.
    pub changed_at: DateTime<Utc>,
    /// How it came to be, where that is in the batch too; otherwise the row is there already and keeps it.
    pub logged: Option<Logged>,
}

/// What never changes about a workout.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// When it was logged.
    pub at: DateTime<Utc>,
    /// Where its recording is, if it has one.
    pub recording: Option<RecordingRef>,
}

impl Projection for Workouts {
    const NAME: &'static str = "workouts";
    const VERSION: i32 = 1;
    const COLUMNS: &'static str = sql::COLUMNS;
    const KEY_BYTES: usize = 900;
    type Changes = Changes;

    fn wants(event_type: &str) -> bool {
        matches!(event_type, "workout_logged" | "workout_imported" | "workout_edited" | "workout_deleted")
    }

    fn fold(changes: &mut Changes, moment: Moment, event: Event) -> Result<(), FoldError> {
        match event {
            Event::WorkoutLogged(logged) => {
                let row = new_row(moment, logged.athlete_id.0, logged.details, None);
                changes.insert(logged.workout_id.0, Some(row));
            }
            Event::WorkoutImported(imported) => {
                let row = new_row(moment, imported.athlete_id.0, imported.details, Some(imported.recording));
                changes.insert(imported.workout_id.0, Some(row));
            }
            Event::WorkoutEdited(edited) => {
                let logged = changes.remove(&edited.workout_id.0).flatten().and_then(|row| row.logged);
                let row = Row {
                    athlete_id: edited.athlete_id.0,
                    version: moment.sequence,
                    details: edited.after,
                    changed_at: moment.occurred_at,
                    logged,
                };
                changes.insert(edited.workout_id.0, Some(row));
            }
            Event::WorkoutDeleted(deleted) => {
                changes.insert(deleted.workout_id.0, None);
            }
            Event::AthleteRegistered(_)
            | Event::ProfileUpdated(_)
            | Event::MeasurementRecorded(_)
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
        sql::put(connection, build, changes).await?;
        sql::delete(connection, build, changes).await
    }

    fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> + Send {
        sql::rows(changes)
    }
}

fn new_row(moment: Moment, athlete_id: Uuid, details: WorkoutDetails, recording: Option<RecordingRef>) -> Row {
    Row {
        athlete_id,
        version: moment.sequence,
        details,
        changed_at: moment.occurred_at,
        logged: Some(Logged { at: moment.occurred_at, recording }),
    }
}
