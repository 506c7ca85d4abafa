//! What can be asked of an athlete.
use super::{Sex, Units};
use crate::{
    ids::AthleteId,
    patch::Patch,
    values::{DisplayName, Notes, TimeZone, Visibility},
};

/// Any command to an athlete.
#[derive(Debug, Clone, PartialEq)]
pub enum AthleteCommand {
    /// A new athlete signs up.
    RegisterAthlete(RegisterAthlete),
    /// The athlete changes their profile.
    UpdateProfile(Box<UpdateProfile>),
}

/// A new athlete: the part of a registration that others may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterAthlete {
    /// The new athlete's id.
    pub athlete_id: AthleteId,
    /// What they want to be called.
    pub display_name: DisplayName,
    /// Where their days begin and end.
    pub time_zone: TimeZone,
}

/// A merge patch of the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the field of Profile")]
pub struct UpdateProfile {
    pub display_name: Patch<DisplayName>,
    pub bio: Patch<Notes>,
    pub birth_year: Patch<u32>,
    pub sex: Patch<Sex>,
    pub height_cm: Patch<u32>,
    pub time_zone: Patch<TimeZone>,
    pub units: Patch<Units>,
    pub default_visibility: Patch<Visibility>,
}
