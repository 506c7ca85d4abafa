//! What of another athlete's tracks is hidden: their privacy zones, never older than the workouts they are held against.
//! Asked before a recording is shown to anybody but its owner. Where it is not known, nothing is shown: 503.
//!
//! The two read models are filled independently. Who sets a zone and then makes a workout public must not find the whole track
//! shown because the workout came first; so the zones have to be as far as the workouts were after the workout was read.
use std::time::Duration;

use fittrack_domain::privacy::{HiddenCircle, PrivacyZone};
use fittrack_domain::recording::{Recording, without_hidden_ends};
use fittrack_runtime::problem::Problem;
use fittrack_schemas::consistency::ConsistencyToken;
use sqlx::types::Json;
use uuid::Uuid;

use crate::app::App;
use crate::problems::of_database;
use crate::queries::privacy_zones::{self, KnownZones};
use crate::read_model::ReadModel;

const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Where the ends of an athlete's tracks are not shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hidden(Vec<HiddenCircle>);

impl Hidden {
    /// To the athlete themself: nothing.
    pub fn from_nobody() -> Self {
        Self::default()
    }

    /// To another, the caller: what the athlete's zones hide. To be asked after the workout was read.
    pub async fn from_others(app: &App, caller: Uuid, athlete: Uuid) -> Result<Self, Problem> {
        let unknown = || Problem::unavailable("what is hidden of this track is not known at the moment", TRY_AGAIN);
        let partition = app.changes.progress().partition_of(athlete).ok_or_else(unknown)?;
        let read = || async { privacy_zones::known(&app.read_models, athlete, partition).await.map_err(of_database) };
        let mut known = read().await?;
        let wanted = known.workouts_position.ok_or_else(unknown)?;
        if !known.is_at(wanted) {
            let token = ConsistencyToken::of(partition, wanted);
            app.waits.until(caller, &token, &[ReadModel::PrivacyZones], &app.changes).await?;
            known = read().await?;
        }
        if known.is_parked || !known.is_at(wanted) {
            return Err(unknown());
        }
        let zones = known.zones.map(|Json(zones)| zones).unwrap_or_default();
        Ok(Self(zones.iter().map(|zone: &PrivacyZone| HiddenCircle::of(zone)).collect()))
    }

    /// What may be shown of a recording.
    pub fn leaves_of(&self, recording: Recording) -> Recording {
        if self.0.is_empty() {
            return recording;
        }
        without_hidden_ends(recording, |position| self.0.iter().any(|circle| circle.hides(position)))
    }
}

impl KnownZones {
    fn is_at(&self, position: i64) -> bool {
        self.zones_position.is_some_and(|at| at >= position)
    }
}
