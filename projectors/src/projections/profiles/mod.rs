//! Read model `profiles`: who an athlete is to others, and their settings.
//! Events carry the whole profile, so a batch keeps the last one of each athlete.
mod sql;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fittrack_domain::{athlete::Profile, event::Event};
use fittrack_schemas::read_models::Build;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    projection::{FoldError, Moment, Projection},
    projections::CopyRow,
};

/// The projection.
#[derive(Debug)]
pub struct Profiles;

/// The latest profile of each athlete.
pub type Changes = HashMap<Uuid, Row>;

/// A profile after the last event of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The stream's sequence.
    pub version: i64,
    /// What it says.
    pub profile: Profile,
    /// When they signed up, where that is in the batch too; otherwise the row is there already and keeps it.
    pub registered_at: Option<DateTime<Utc>>,
    /// When it was last changed.
    pub changed_at: DateTime<Utc>,
}

impl Projection for Profiles {
    const NAME: &'static str = "profiles";
    const VERSION: i32 = 1;
    const COLUMNS: &'static str = sql::COLUMNS;
    const KEY_BYTES: usize = 600;
    type Changes = Changes;

    fn wants(event_type: &str) -> bool {
        matches!(event_type, "athlete_registered" | "profile_updated")
    }

    fn fold(changes: &mut Changes, moment: Moment, event: Event) -> Result<(), FoldError> {
        match event {
            Event::AthleteRegistered(registered) => {
                check(&registered.profile)?;
                let registered_at = Some(moment.occurred_at);
                changes.insert(registered.athlete_id.0, row(moment, registered.profile, registered_at));
            }
            Event::ProfileUpdated(updated) => {
                check(&updated.profile)?;
                let registered_at = changes.get(&updated.athlete_id.0).and_then(|row| row.registered_at);
                changes.insert(updated.athlete_id.0, row(moment, updated.profile, registered_at));
            }
            Event::WorkoutLogged(_)
            | Event::WorkoutImported(_)
            | Event::WorkoutEdited(_)
            | Event::WorkoutDeleted(_)
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
        sql::put(connection, build, changes).await
    }

    fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> + Send {
        sql::rows(changes)
    }
}

fn row(moment: Moment, profile: Profile, registered_at: Option<DateTime<Utc>>) -> Row {
    Row { version: moment.sequence, profile, registered_at, changed_at: moment.occurred_at }
}

/// Reading an event back checks no limits, and the columns are narrower than the types.
fn check(profile: &Profile) -> Result<(), FoldError> {
    let fits = |number: Option<u32>| number.is_none_or(|number| i32::try_from(number).is_ok());
    if !fits(profile.birth_year) {
        return Err(FoldError::DoesNotFit("birth_year"));
    }
    if !fits(profile.height_cm) {
        return Err(FoldError::DoesNotFit("height_cm"));
    }
    Ok(())
}
