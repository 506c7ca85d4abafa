//! What happens to an athlete, as stored and published.
use cqrs_es::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    event_type::EventType,
    ids::AthleteId,
    values::{DisplayName, Notes, TimeZone, Visibility},
};

/// Everything that happens to an athlete. The payload carries its own `type`, so that it can be read without its row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AthleteEvent {
    /// Signed up.
    AthleteRegistered(AthleteRegistered),
    /// Changed the profile.
    ProfileUpdated(ProfileUpdated),
    /// Left, and everything of theirs is erased.
    AccountErased(AccountErased),
    /// What stood here was erased with its owner.
    Redacted,
}

/// A new athlete signed up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AthleteRegistered {
    /// The new athlete.
    pub athlete_id: AthleteId,
    /// The profile they start with.
    pub profile: Profile,
}

/// The athlete changed their profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileUpdated {
    /// Whose profile.
    pub athlete_id: AthleteId,
    /// The whole profile after the change.
    pub profile: Profile,
}

/// The athlete left. It is the last event of their log, every earlier one is redacted, and read models drop what they have of them.
/// No command decides it: the event store itself appends it (`schemas/event-store/0006_erasure.sql`) in the step that closes the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountErased {
    /// Who left.
    pub athlete_id: AthleteId,
}

/// Who an athlete is to others, and their defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// What they are called.
    pub display_name: DisplayName,
    /// In their own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bio: Option<Notes>,
    /// Year of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_year: Option<u32>,
    /// Sex, for the formulas that ask for it.
    #[serde(default)]
    pub sex: Sex,
    /// Height in centimetres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height_cm: Option<u32>,
    /// Where their days begin and end.
    #[serde(default)]
    pub time_zone: TimeZone,
    /// How they like numbers shown.
    #[serde(default)]
    pub units: Units,
    /// What a new workout's visibility is when nothing is said.
    #[serde(default)]
    pub default_visibility: Visibility,
}

/// Sex, where a formula asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Sex {
    Female,
    Male,
    #[default]
    Unspecified,
}

/// How numbers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Units {
    #[default]
    Metric,
    Imperial,
}

impl AthleteEvent {
    fn known_as(&self) -> EventType {
        match self {
            Self::AthleteRegistered(_) => EventType::AthleteRegistered,
            Self::ProfileUpdated(_) => EventType::ProfileUpdated,
            Self::AccountErased(_) => EventType::AccountErased,
            Self::Redacted => EventType::Redacted,
        }
    }
}

impl DomainEvent for AthleteEvent {
    fn event_type(&self) -> String {
        self.known_as().as_str().to_owned()
    }

    fn event_version(&self) -> String {
        self.known_as().newest_version().to_owned()
    }
}
