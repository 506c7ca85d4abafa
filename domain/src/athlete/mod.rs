//! The athlete: who they are to others and what their workouts default to. E-mail and password are not here; they are
//! identity, which is not event-sourced.
mod commands;
mod decide;
mod error;
mod events;

use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

use crate::aggregate::{Context, handle_by_deciding};

pub use commands::{AthleteCommand, RegisterAthlete, UpdateProfile};
pub use error::AthleteRefusal;
pub use events::{AccountErased, AthleteEvent, AthleteRegistered, Profile, ProfileUpdated, Sex, Units};

/// The athlete's state: nothing before registration, the profile after it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Athlete {
    /// The profile as it is now; `None` before registration and after erasure.
    pub profile: Option<Profile>,
}

impl Aggregate for Athlete {
    const TYPE: &'static str = "athlete";
    type Command = AthleteCommand;
    type Event = AthleteEvent;
    type Error = AthleteRefusal;
    type Services = Context;

    async fn handle(
        &mut self,
        command: Self::Command,
        context: &Context,
        sink: &EventSink<Self>,
    ) -> Result<(), AthleteRefusal> {
        handle_by_deciding(self, &command, context, sink).await
    }

    fn apply(&mut self, event: AthleteEvent) {
        match event {
            AthleteEvent::AthleteRegistered(registered) => self.profile = Some(registered.profile),
            AthleteEvent::ProfileUpdated(updated) => self.profile = Some(updated.profile),
            AthleteEvent::AccountErased(_) | AthleteEvent::Redacted => self.profile = None,
        }
    }
}
