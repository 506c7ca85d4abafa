//! A workout: logged by hand or imported from a recording, edited, deleted. Its owner is its athlete.
mod commands;
mod decide;
mod details;
mod error;
mod events;
mod plausibility;
pub(crate) mod upcasts;

use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

use crate::{
    aggregate::{Context, handle_by_deciding},
    ids::AthleteId,
};

pub use commands::{EditWorkout, ImportWorkout, LogWorkout, WorkoutCommand, WorkoutDraft};
pub use details::{RecordingRef, SetKind, StrengthSet, WorkoutDetails, WorkoutFacts};
pub use error::WorkoutRefusal;
pub use events::{WorkoutDeleted, WorkoutEdited, WorkoutEvent, WorkoutImported, WorkoutLogged};
pub use plausibility::{Implausible, implausible};

/// A workout's state: what the next decision needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workout {
    /// Nothing was logged under this id.
    #[default]
    Unknown,
    /// It is there.
    Logged {
        /// Whose it is.
        athlete_id: AthleteId,
        /// What it says.
        details: Box<WorkoutDetails>,
    },
    /// It was there; its id is not used again.
    Deleted {
        /// Whose it was.
        athlete_id: AthleteId,
    },
    /// It was erased with its owner.
    Redacted,
}

impl Aggregate for Workout {
    const TYPE: &'static str = "workout";
    type Command = WorkoutCommand;
    type Event = WorkoutEvent;
    type Error = WorkoutRefusal;
    type Services = Context;

    async fn handle(
        &mut self,
        command: Self::Command,
        context: &Context,
        sink: &EventSink<Self>,
    ) -> Result<(), WorkoutRefusal> {
        handle_by_deciding(self, &command, context, sink).await
    }

    fn apply(&mut self, event: WorkoutEvent) {
        *self = match event {
            WorkoutEvent::WorkoutLogged(WorkoutLogged { athlete_id, details, .. })
            | WorkoutEvent::WorkoutImported(WorkoutImported { athlete_id, details, .. })
            | WorkoutEvent::WorkoutEdited(WorkoutEdited { athlete_id, after: details, .. }) => {
                Self::Logged { athlete_id, details: Box::new(details) }
            }
            WorkoutEvent::WorkoutDeleted(WorkoutDeleted { athlete_id, .. }) => Self::Deleted { athlete_id },
            WorkoutEvent::Redacted => Self::Redacted,
        };
    }
}
