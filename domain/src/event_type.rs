//! The types of events and the versions of each: what is written now, and what may still lie in the store.
//! Writers take type and version from here, and every reader ([`crate::event::Event::decode`], [`crate::upcast`]) asks here.
use crate::{
    upcast::{self, Upcaster},
    workout,
};

/// The type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is the event of its name")]
pub enum EventType {
    AthleteRegistered,
    ProfileUpdated,
    WorkoutLogged,
    WorkoutImported,
    WorkoutEdited,
    WorkoutDeleted,
    MeasurementRecorded,
    PrivacyZonesSet,
    AccountErased,
    Redacted,
}

impl EventType {
    /// Every type, in the order the events happen to an athlete and their workouts.
    pub const ALL: [Self; 10] = [
        Self::AthleteRegistered,
        Self::ProfileUpdated,
        Self::WorkoutLogged,
        Self::WorkoutImported,
        Self::WorkoutEdited,
        Self::WorkoutDeleted,
        Self::MeasurementRecorded,
        Self::PrivacyZonesSet,
        Self::AccountErased,
        Self::Redacted,
    ];

    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AthleteRegistered => "athlete_registered",
            Self::ProfileUpdated => "profile_updated",
            Self::WorkoutLogged => "workout_logged",
            Self::WorkoutImported => "workout_imported",
            Self::WorkoutEdited => "workout_edited",
            Self::WorkoutDeleted => "workout_deleted",
            Self::MeasurementRecorded => "measurement_recorded",
            Self::PrivacyZonesSet => "privacy_zones_set",
            Self::AccountErased => "account_erased",
            Self::Redacted => "redacted",
        }
    }

    /// The type of a stored name; `None` where this program has no such type.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "athlete_registered" => Self::AthleteRegistered,
            "profile_updated" => Self::ProfileUpdated,
            "workout_logged" => Self::WorkoutLogged,
            "workout_imported" => Self::WorkoutImported,
            "workout_edited" => Self::WorkoutEdited,
            "workout_deleted" => Self::WorkoutDeleted,
            "measurement_recorded" => Self::MeasurementRecorded,
            "privacy_zones_set" => Self::PrivacyZonesSet,
            "account_erased" => Self::AccountErased,
            "redacted" => Self::Redacted,
            _ => return None,
        })
    }

    /// The steps from version 1 to the newest, one a version, in order; none where there was only ever one version.
    pub fn upcasters(self) -> &'static [Upcaster] {
        match self {
            Self::AthleteRegistered
            | Self::ProfileUpdated
            | Self::WorkoutLogged
            | Self::WorkoutImported
            | Self::WorkoutEdited
            | Self::MeasurementRecorded
            | Self::PrivacyZonesSet
            | Self::AccountErased
            | Self::Redacted => &[],
            Self::WorkoutDeleted => workout::upcasts::WORKOUT_DELETED,
        }
    }

    /// The version that is written now: where the steps lead.
    pub fn newest_version(self) -> &'static str {
        upcast::newest_version(self.upcasters())
    }

    /// Every version that was ever written, oldest first.
    pub fn versions(self) -> impl Iterator<Item = &'static str> {
        self.upcasters().iter().map(|step| step.from).chain([self.newest_version()])
    }

    /// The steps from a stored version to the newest: none from the newest itself, `None` from what is no version.
    /// What was redacted has no content that a version could be about.
    pub fn steps_from(self, event_version: &str) -> Option<&'static [Upcaster]> {
        if self == Self::Redacted { Some(&[]) } else { upcast::steps_from(self.upcasters(), event_version) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_back_from_its_name() {
        for event_type in EventType::ALL {
            assert_eq!(EventType::parse(event_type.as_str()), Some(event_type));
        }
        for unknown in ["", "workout", "WorkoutLogged", "workout_logged "] {
            assert_eq!(EventType::parse(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn the_steps_of_a_type_lead_from_version_1_to_the_newest_one_at_a_time() {
        for event_type in EventType::ALL {
            let numbered = (1..).map(|number: u32| number.to_string());
            assert!(event_type.versions().eq(numbered.take(event_type.upcasters().len() + 1)), "{event_type:?}");
            for step in event_type.upcasters() {
                assert_eq!(step.event_type, event_type.as_str(), "{event_type:?}");
            }
            for neighbours in event_type.upcasters().windows(2) {
                assert_eq!(neighbours[0].to, neighbours[1].from, "{event_type:?}");
            }
        }
    }
}
