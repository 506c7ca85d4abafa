//! The rules of an athlete: registering once, and what a patch of the profile may and may not do.
//! Given what happened, when a command comes, then these events or that refusal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]
mod support;

use fittrack_domain::{
    athlete::{
        Athlete, AthleteCommand, AthleteEvent, AthleteRefusal, AthleteRegistered, Profile, ProfileUpdated,
        RegisterAthlete, Sex, Units, UpdateProfile,
    },
    patch::Patch::{Clear, Keep, Set},
    values::Visibility,
};
use support::{Given, me, text, zone};

fn given(events: impl IntoIterator<Item = AthleteEvent>) -> Given<Athlete> {
    support::given(events)
}

fn given_nothing() -> Given<Athlete> {
    support::given([])
}

fn register() -> AthleteCommand {
    AthleteCommand::RegisterAthlete(RegisterAthlete {
        athlete_id: me(),
        display_name: text("Ada"),
        time_zone: zone("Europe/Berlin"),
    })
}

fn new_profile() -> Profile {
    Profile {
        display_name: text("Ada"),
        bio: None,
        birth_year: None,
        sex: Sex::Unspecified,
        height_cm: None,
        time_zone: zone("Europe/Berlin"),
        units: Units::Metric,
        default_visibility: Visibility::Private,
    }
}

fn full_profile() -> Profile {
    Profile {
        display_name: text("Ada L."),
        bio: Some(text("Runs uphill.\nSlowly.")),
        birth_year: Some(1990),
        sex: Sex::Female,
        height_cm: Some(171),
        time_zone: zone("Pacific/Kiritimati"),
        units: Units::Imperial,
        default_visibility: Visibility::Public,
    }
}

fn registered() -> AthleteEvent {
    AthleteEvent::AthleteRegistered(AthleteRegistered { athlete_id: me(), profile: new_profile() })
}

fn updated(profile: Profile) -> AthleteEvent {
    AthleteEvent::ProfileUpdated(ProfileUpdated { athlete_id: me(), profile })
}

fn patch(patch: UpdateProfile) -> AthleteCommand {
    AthleteCommand::UpdateProfile(Box::new(patch))
}

fn everything_set() -> UpdateProfile {
    let full = full_profile();
    UpdateProfile {
        display_name: Set(full.display_name),
        bio: full.bio.map_or(Keep, Set),
        birth_year: Set(1990),
        sex: Set(full.sex),
        height_cm: Set(171),
        time_zone: Set(full.time_zone),
        units: Set(full.units),
        default_visibility: Set(full.default_visibility),
    }
}

#[test]
fn a_new_athlete_starts_with_name_and_zone_metric_units_and_private_workouts() {
    given_nothing().when(register()).then([registered()]);
}

#[test]
fn an_athlete_registers_once() {
    given([registered()]).when(register()).then_refused(AthleteRefusal::AlreadyRegistered);
}

#[test]
fn whoever_is_not_registered_has_no_profile_to_change() {
    given_nothing().when(patch(everything_set())).then_refused(AthleteRefusal::NotFound);
}

#[test]
fn an_erased_athlete_has_no_profile_to_change() {
    given([registered(), AthleteEvent::Redacted]).when(patch(everything_set())).then_refused(AthleteRefusal::NotFound);
}

#[test]
fn a_patch_sets_every_field_it_names() {
    given([registered()]).when(patch(everything_set())).then([updated(full_profile())]);
}

#[test]
fn a_patch_keeps_every_field_it_does_not_name() {
    given([registered(), updated(full_profile())])
        .when(patch(UpdateProfile { height_cm: Set(172), ..UpdateProfile::default() }))
        .then([updated(Profile { height_cm: Some(172), ..full_profile() })]);
}

#[test]
fn null_removes_what_need_not_be_there() {
    given([registered(), updated(full_profile())])
        .when(patch(UpdateProfile { bio: Clear, birth_year: Clear, height_cm: Clear, ..UpdateProfile::default() }))
        .then([updated(Profile { bio: None, birth_year: None, height_cm: None, ..full_profile() })]);
}

#[test]
fn null_for_what_must_be_there_is_refused_with_the_fields_name() {
    let cases = [
        ("display_name", UpdateProfile { display_name: Clear, ..UpdateProfile::default() }),
        ("time_zone", UpdateProfile { time_zone: Clear, ..UpdateProfile::default() }),
        ("units", UpdateProfile { units: Clear, ..UpdateProfile::default() }),
        ("default_visibility", UpdateProfile { default_visibility: Clear, ..UpdateProfile::default() }),
    ];
    for (field, change) in cases {
        given([registered(), updated(full_profile())]).when(patch(change)).then_invalid(field);
    }
}

#[test]
fn null_for_sex_is_unspecified() {
    given([registered(), updated(full_profile())])
        .when(patch(UpdateProfile { sex: Clear, ..UpdateProfile::default() }))
        .then([updated(Profile { sex: Sex::Unspecified, ..full_profile() })]);
}

#[test]
fn a_patch_that_changes_nothing_is_no_event() {
    given([registered()]).when(patch(UpdateProfile::default())).then_nothing();
    given([registered(), updated(full_profile())]).when(patch(everything_set())).then_nothing();
    given([registered()]).when(patch(UpdateProfile { bio: Clear, ..UpdateProfile::default() })).then_nothing();
}

#[test]
fn a_birth_year_is_of_somebody_who_can_be_alive() {
    for good in [1900, 2026] {
        let profile = Profile { birth_year: Some(good), ..new_profile() };
        given([registered()])
            .when(patch(UpdateProfile { birth_year: Set(good), ..UpdateProfile::default() }))
            .then([updated(profile)]);
    }
    for bad in [0, 1899, 2027, u32::MAX] {
        given([registered()])
            .when(patch(UpdateProfile { birth_year: Set(bad), ..UpdateProfile::default() }))
            .then_invalid("birth_year");
    }
}

#[test]
fn a_height_is_one_a_person_can_have() {
    for good in [50, 280] {
        given([registered()])
            .when(patch(UpdateProfile { height_cm: Set(good), ..UpdateProfile::default() }))
            .then([updated(Profile { height_cm: Some(good), ..new_profile() })]);
    }
    for bad in [0, 49, 281, u32::MAX] {
        given([registered()])
            .when(patch(UpdateProfile { height_cm: Set(bad), ..UpdateProfile::default() }))
            .then_invalid("height_cm");
    }
}

#[test]
fn one_bad_field_refuses_the_whole_patch() {
    given([registered()])
        .when(patch(UpdateProfile { birth_year: Set(3000), ..everything_set() }))
        .then_invalid("birth_year");
}

#[test]
fn an_old_year_stays_when_only_the_height_changes() {
    // A limit that is tightened later must not lock a profile that was accepted under the older one.
    let old = Profile { birth_year: Some(1850), ..new_profile() };
    given([registered(), updated(old.clone())])
        .when(patch(UpdateProfile { height_cm: Set(180), ..UpdateProfile::default() }))
        .then([updated(Profile { height_cm: Some(180), ..old })]);
}
