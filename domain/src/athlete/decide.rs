//! The athlete's rules.
use chrono::Datelike;

use super::{
    Athlete, AthleteCommand, AthleteEvent, AthleteRefusal, AthleteRegistered, Profile, ProfileUpdated, RegisterAthlete,
    Sex, Units, UpdateProfile,
};
use crate::{
    aggregate::{Context, Decider},
    patch::Patch,
    values::Visibility,
};

impl Decider for Athlete {
    fn decide(&self, command: &AthleteCommand, context: &Context) -> Result<Vec<AthleteEvent>, AthleteRefusal> {
        match command {
            AthleteCommand::RegisterAthlete(command) => register(self, command),
            AthleteCommand::UpdateProfile(command) => update_profile(self, command, context),
        }
    }

    fn begins_stream(command: &AthleteCommand) -> bool {
        matches!(command, AthleteCommand::RegisterAthlete(_))
    }
}

fn register(athlete: &Athlete, command: &RegisterAthlete) -> Result<Vec<AthleteEvent>, AthleteRefusal> {
    if athlete.profile.is_some() {
        return Err(AthleteRefusal::AlreadyRegistered);
    }
    let profile = Profile {
        display_name: command.display_name.clone(),
        bio: None,
        birth_year: None,
        sex: Sex::default(),
        height_cm: None,
        time_zone: command.time_zone,
        units: Units::default(),
        default_visibility: Visibility::default(),
    };
    Ok(vec![AthleteEvent::AthleteRegistered(AthleteRegistered { athlete_id: command.athlete_id, profile })])
}

fn update_profile(
    athlete: &Athlete,
    command: &UpdateProfile,
    context: &Context,
) -> Result<Vec<AthleteEvent>, AthleteRefusal> {
    let current = athlete.profile.as_ref().ok_or(AthleteRefusal::NotFound)?;
    // Only what the patch sets is held to today's limits: what was accepted under older ones does not lock the rest.
    let this_year = u32::try_from(context.now.year()).unwrap_or(u32::MAX);
    if matches!(command.birth_year, Patch::Set(year) if !(1900..=this_year).contains(&year)) {
        return Err(AthleteRefusal::Invalid { field: "birth_year", must: "must be from 1900 to this year" });
    }
    if matches!(command.height_cm, Patch::Set(height) if !(50..=280).contains(&height)) {
        return Err(AthleteRefusal::Invalid { field: "height_cm", must: "must be from 50 to 280 cm" });
    }
    let profile = Profile {
        display_name: required(&command.display_name, &current.display_name, "display_name")?,
        bio: command.bio.on(current.bio.as_ref()),
        birth_year: command.birth_year.on(current.birth_year.as_ref()),
        sex: command.sex.on(Some(&current.sex)).unwrap_or_default(),
        height_cm: command.height_cm.on(current.height_cm.as_ref()),
        time_zone: required(&command.time_zone, &current.time_zone, "time_zone")?,
        units: required(&command.units, &current.units, "units")?,
        default_visibility: required(&command.default_visibility, &current.default_visibility, "default_visibility")?,
    };
    if profile == *current {
        return Ok(vec![]);
    }
    Ok(vec![AthleteEvent::ProfileUpdated(ProfileUpdated { athlete_id: context.actor, profile })])
}

fn required<T: Clone>(patch: &Patch<T>, current: &T, field: &'static str) -> Result<T, AthleteRefusal> {
    match patch {
        Patch::Keep => Ok(current.clone()),
        Patch::Set(value) => Ok(value.clone()),
        Patch::Clear => Err(AthleteRefusal::Invalid { field, must: "must not be null" }),
    }
}
