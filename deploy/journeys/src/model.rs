//! What the read models must show, worked out from the log alone: an independent second opinion on the projectors.
//! Written from the definitions (local days in the workout's own zone, UTC periods of boards, ranks 1 2 2 4) over plain
//! JSON; not a line of it is shared with the projectors or with the query API.

mod boards;
mod measurement;
mod periods;
mod privacy;
mod profile;
mod totals;
mod workout;

use std::collections::BTreeMap;

use uuid::Uuid;

pub use boards::{Board, BoardRule, Score, ranked};
pub use measurement::{Measured, Measurement};
pub use periods::{board_periods, label_of, starts_on};
pub use privacy::PrivacyZones;
pub use profile::Profile;
pub use totals::{Day, Sums, by_period};
pub use workout::Workout;

use crate::events::EventRow;

/// The read models over a whole log.
#[derive(Debug, Default)]
pub struct Model {
    pub workouts: BTreeMap<Uuid, Workout>,
    pub profiles: BTreeMap<Uuid, Profile>,
    pub measurements: BTreeMap<Measured, Measurement>,
    pub privacy_zones: BTreeMap<Uuid, PrivacyZones>,
}

impl Model {
    /// What a log comes to.
    pub fn of(rows: &[EventRow]) -> Self {
        let mut model = Self::default();
        for row in rows {
            model.apply(row);
        }
        model
    }

    fn apply(&mut self, row: &EventRow) {
        let Ok(id) = row.aggregate_id.parse::<Uuid>() else { return };
        match row.event_type.as_str() {
            "athlete_registered" | "profile_updated" => {
                self.profiles.insert(id, Profile::of(row));
            }
            "workout_logged" | "workout_imported" => {
                self.workouts.insert(id, Workout::of(row));
            }
            "workout_edited" => {
                if let Some(workout) = self.workouts.get_mut(&id) {
                    let recording = workout.recording.take();
                    *workout = Workout { recording, ..Workout::of(row) };
                }
            }
            "workout_deleted" => {
                self.workouts.remove(&id);
            }
            "measurement_recorded" => {
                self.measurements.insert(Measured::of(row), Measurement::of(row));
            }
            "account_erased" => {
                self.workouts.retain(|_, workout| workout.athlete_id != id);
                self.measurements.retain(|measured, _| measured.athlete_id != id);
                self.profiles.remove(&id);
                self.privacy_zones.remove(&id);
            }
            "privacy_zones_set" => {
                self.privacy_zones.insert(row.owner_id, PrivacyZones::of(row));
            }
            _ => {}
        }
    }

    /// The sums of every athlete, local day and sport that has any.
    pub fn totals(&self) -> BTreeMap<Day, Sums> {
        totals::by_day(self.workouts.values())
    }

    /// The scores of every board, by the rule of a version.
    pub fn boards(&self, rule: BoardRule) -> BTreeMap<Board, BTreeMap<Uuid, Score>> {
        boards::all(self.workouts.values(), rule)
    }

    /// An athlete's workouts as their list shows them: newest first, then by id.
    pub fn list(&self, athlete_id: Uuid) -> Vec<&Workout> {
        let mut list: Vec<&Workout> =
            self.workouts.values().filter(|workout| workout.athlete_id == athlete_id).collect();
        list.sort_by_key(|workout| std::cmp::Reverse((workout.started_at, workout.id)));
        list
    }
}
