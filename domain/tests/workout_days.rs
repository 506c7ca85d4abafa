//! Which local day a workout counts on: the day it began in the zone its athlete lived in when it was stored, for good.
//! Proved over the days of 23 and 25 hours in Berlin and at both ends of the earth's clocks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]
mod support;

use chrono::NaiveDate;
use fittrack_domain::{
    patch::Patch::Set,
    workout::{
        EditWorkout, LogWorkout, Workout, WorkoutCommand, WorkoutDraft, WorkoutEdited, WorkoutEvent, WorkoutLogged,
    },
};
use support::{Given, a_run, at, workout_id, zone};

fn given(events: impl IntoIterator<Item = WorkoutEvent>) -> Given<Workout> {
    support::given(events)
}

fn given_nothing() -> Given<Workout> {
    support::given([])
}

fn log(started_at: &str) -> WorkoutCommand {
    let draft = WorkoutDraft { started_at: at(started_at), ..a_run() };
    WorkoutCommand::LogWorkout(Box::new(LogWorkout { workout_id: workout_id(), draft }))
}

fn move_to(started_at: &str) -> WorkoutCommand {
    WorkoutCommand::EditWorkout(Box::new(EditWorkout {
        workout_id: workout_id(),
        started_at: Set(at(started_at)),
        ..EditWorkout::default()
    }))
}

/// The event of a run logged by an athlete at home in `home`.
#[track_caller]
fn logged_in(home: &str, started_at: &str) -> WorkoutLogged {
    match given_nothing().with(|context| context.time_zone = zone(home)).when(log(started_at)).event() {
        WorkoutEvent::WorkoutLogged(logged) => logged,
        other => panic!("{other:?}"),
    }
}

/// The event of that run moved to another start by its athlete, now at home in `new_home`.
#[track_caller]
fn moved(logged: WorkoutLogged, new_home: &str, started_at: &str) -> WorkoutEdited {
    let given = given([WorkoutEvent::WorkoutLogged(logged)]);
    match given.with(|context| context.time_zone = zone(new_home)).when(move_to(started_at)).event() {
        WorkoutEvent::WorkoutEdited(edited) => edited,
        other => panic!("{other:?}"),
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[track_caller]
fn assert_day(home: &str, started_at: &str, expected: &str) {
    let details = logged_in(home, started_at).details;
    assert_eq!((details.local_date, details.time_zone), (day(expected), zone(home)), "{started_at} in {home}");
}

#[test]
fn a_workout_counts_on_the_day_it_began_in_its_athletes_zone() {
    assert_day("UTC", "2026-10-30T23:59:59.999Z", "2026-10-30");
    assert_day("UTC", "2026-10-31T00:00:00Z", "2026-10-31");
    assert_day("America/New_York", "2026-10-31T03:59:59Z", "2026-10-30");
    assert_day("America/New_York", "2026-10-31T04:00:00Z", "2026-10-31");
}

#[test]
fn berlins_day_of_23_hours_has_23_hours() {
    // 2026-03-29 begins in winter time (UTC+1) and ends in summer time (UTC+2).
    assert_day("Europe/Berlin", "2026-03-28T22:59:59Z", "2026-03-28");
    assert_day("Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29");
    assert_day("Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29");
    assert_day("Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29");
    assert_day("Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-29");
    assert_day("Europe/Berlin", "2026-03-29T22:00:00Z", "2026-03-30");
}

#[test]
fn berlins_day_of_25_hours_has_25_hours() {
    // 2026-10-25 begins in summer time (UTC+2) and ends in winter time (UTC+1); the hour from two to three comes twice.
    assert_day("Europe/Berlin", "2026-10-24T21:59:59Z", "2026-10-24");
    assert_day("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25");
    assert_day("Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25");
    assert_day("Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25");
    assert_day("Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-25");
    assert_day("Europe/Berlin", "2026-10-25T23:00:00Z", "2026-10-26");
}

#[test]
fn the_earliest_and_the_latest_clock_of_the_earth_are_25_hours_apart() {
    // Kiritimati is UTC+14, Pago Pago UTC-11.
    assert_day("Pacific/Kiritimati", "2026-10-31T09:59:59Z", "2026-10-31");
    assert_day("Pacific/Kiritimati", "2026-10-31T10:00:00Z", "2026-11-01");
    assert_day("Pacific/Pago_Pago", "2026-10-31T10:00:00Z", "2026-10-30");
    assert_day("Pacific/Pago_Pago", "2026-10-31T10:59:59Z", "2026-10-30");
    assert_day("Pacific/Pago_Pago", "2026-10-31T11:00:00Z", "2026-10-31");
}

#[test]
fn a_workout_moved_in_time_stays_in_the_zone_it_was_counted_in() {
    let logged = logged_in("Europe/Berlin", "2026-10-24T12:00:00Z");
    let edited = moved(logged, "Pacific/Kiritimati", "2026-10-24T22:30:00Z");
    assert_eq!(edited.before.local_date, day("2026-10-24"));
    assert_eq!(edited.after.local_date, day("2026-10-25"), "half past midnight in Berlin");
    assert_eq!(edited.after.time_zone, zone("Europe/Berlin"));
}

#[test]
fn moving_house_moves_no_workout() {
    let logged = logged_in("Pacific/Pago_Pago", "2026-10-31T10:30:00Z");
    let started_at = "2026-10-31T10:30:00Z";
    given([WorkoutEvent::WorkoutLogged(logged)])
        .with(|context| context.time_zone = zone("Pacific/Kiritimati"))
        .when(move_to(started_at))
        .then_nothing();
}
