//! The rules of a workout: logging, importing, editing, deleting, and whose it is.
//! Given what happened, when a command comes, then these events or that refusal. Its days are in `workout_days.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]
mod support;

use chrono::{DateTime, Utc};
use fittrack_domain::{
    aggregate::Context,
    patch::Patch::{Clear, Set},
    sport::Sport,
    values::Visibility,
    workout::{
        EditWorkout, StrengthSet, Workout, WorkoutDetails, WorkoutDraft, WorkoutEdited, WorkoutEvent, WorkoutImported,
        WorkoutLogged, WorkoutRefusal,
    },
};
use support::{
    Given, a_run, a_set, at, bpm, metres, seconds, somebody_else, text,
    workouts::{delete, deleted, edit, edited, import, imported, log, logged, run_details},
    zone,
};

fn given(events: impl IntoIterator<Item = WorkoutEvent>) -> Given<Workout> {
    support::given(events)
}

fn given_nothing() -> Given<Workout> {
    support::given([])
}

fn given_a_run() -> Given<Workout> {
    given([logged(run_details())])
}

fn given_a_deleted_run() -> Given<Workout> {
    given([logged(run_details()), deleted(&run_details())])
}

fn i_am_somebody_else(context: &mut Context) {
    context.actor = somebody_else();
}

#[test]
fn a_logged_workout_says_what_its_athlete_said() {
    given_nothing().when(log(a_run())).then([logged(run_details())]);
}

#[test]
fn an_imported_workout_says_where_its_recording_is() {
    given_nothing().when(import(a_run())).then([imported()]);
}

#[test]
fn strength_sets_are_kept_in_order() {
    let light = StrengthSet { mass_kg: Some(60.0), ..a_set() };
    let sets = vec![light, a_set()];
    let draft = WorkoutDraft { sport: Sport::Strength, distance_m: None, sets: sets.clone(), ..a_run() };
    let details = WorkoutDetails { sport: Sport::Strength, distance_m: None, sets, ..run_details() };
    given_nothing().when(log(draft)).then([logged(details)]);
}

#[test]
fn a_workout_that_says_nothing_of_visibility_gets_its_athletes_default() {
    for default in [Visibility::Private, Visibility::Followers, Visibility::Public] {
        for command in [log, import] {
            let event = given_nothing()
                .with(|context| context.default_visibility = default)
                .when(command(WorkoutDraft { visibility: None, ..a_run() }))
                .event();
            assert_eq!(details_of(event).visibility, default);
        }
    }
}

fn details_of(event: WorkoutEvent) -> WorkoutDetails {
    match event {
        WorkoutEvent::WorkoutLogged(WorkoutLogged { details, .. })
        | WorkoutEvent::WorkoutImported(WorkoutImported { details, .. })
        | WorkoutEvent::WorkoutEdited(WorkoutEdited { after: details, .. }) => details,
        other => panic!("{other:?} has no details"),
    }
}

#[test]
fn an_id_is_used_once() {
    for command in [log(a_run()), import(a_run())] {
        given_a_run().when(command.clone()).then_refused(WorkoutRefusal::AlreadyExists);
        given([imported()]).when(command.clone()).then_refused(WorkoutRefusal::AlreadyExists);
        given_a_deleted_run().when(command.clone()).then_refused(WorkoutRefusal::AlreadyExists);
        given([WorkoutEvent::Redacted]).when(command.clone()).then_refused(WorkoutRefusal::AlreadyExists);
        given_a_run().with(i_am_somebody_else).when(command).then_refused(WorkoutRefusal::AlreadyExists);
    }
}

#[test]
fn a_workout_starts_at_most_five_minutes_from_now() {
    // The example's now is 2026-11-01T12:00:00Z.
    for command in [log, import] {
        given_nothing()
            .when(command(WorkoutDraft { started_at: at("2026-11-01T12:05:00.001Z"), ..a_run() }))
            .then_invalid("started_at");
        given_nothing().when(command(WorkoutDraft { started_at: at("2026-11-01T12:05:00Z"), ..a_run() })).event();
    }
    given_a_run()
        .when(edit(EditWorkout { started_at: Set(at("2026-11-02T00:00:00Z")), ..EditWorkout::default() }))
        .then_invalid("started_at");
}

#[test]
fn a_workout_starts_in_1970_or_later() {
    for command in [log, import] {
        given_nothing()
            .when(command(WorkoutDraft { started_at: at("1969-12-31T23:59:59.999Z"), ..a_run() }))
            .then_invalid("started_at");
        given_nothing().when(command(WorkoutDraft { started_at: at("1970-01-01T00:00:00Z"), ..a_run() })).event();
    }
    given_a_run()
        .when(edit(EditWorkout { started_at: Set(at("0001-01-01T00:00:00Z")), ..EditWorkout::default() }))
        .then_invalid("started_at");
}

#[test]
fn a_start_at_the_ends_of_the_calendar_is_refused_in_every_zone() {
    for home in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        for started_at in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
            given_nothing()
                .with(|context| context.time_zone = zone(home))
                .when(log(WorkoutDraft { started_at, ..a_run() }))
                .then_invalid("started_at");
        }
    }
}

#[test]
fn moving_takes_no_longer_than_the_whole() {
    given_nothing().when(log(WorkoutDraft { moving_s: Some(seconds(3600.001)), ..a_run() })).then_invalid("moving_s");
    given_nothing().when(log(WorkoutDraft { moving_s: Some(seconds(3600.0)), ..a_run() })).event();
    let moving = WorkoutDetails { moving_s: Some(seconds(3500.0)), ..run_details() };
    given([logged(moving.clone())])
        .when(edit(EditWorkout { duration_s: Set(seconds(3499.0)), ..EditWorkout::default() }))
        .then_invalid("moving_s");
    let shorter = WorkoutDetails { duration_s: seconds(60.0), moving_s: None, ..run_details() };
    given([logged(moving.clone())])
        .when(edit(EditWorkout { duration_s: Set(seconds(60.0)), moving_s: Clear, ..EditWorkout::default() }))
        .then([edited(&moving, shorter)]);
}

#[test]
fn the_average_heart_rate_is_not_above_the_highest() {
    let rates = |average, max| WorkoutDraft {
        average_heart_rate_bpm: Some(bpm(average)),
        max_heart_rate_bpm: Some(bpm(max)),
        ..a_run()
    };
    given_nothing().when(log(rates(151.0, 150.0))).then_invalid("average_heart_rate_bpm");
    given_nothing().when(log(rates(150.0, 150.0))).event();
    let with_max = WorkoutDetails { max_heart_rate_bpm: Some(bpm(150.0)), ..run_details() };
    given([logged(with_max)])
        .when(edit(EditWorkout { average_heart_rate_bpm: Set(bpm(151.0)), ..EditWorkout::default() }))
        .then_invalid("average_heart_rate_bpm");
}

#[test]
fn a_strength_set_is_within_its_bounds() {
    let heavy = StrengthSet { repetitions: 10_000, mass_kg: Some(2_000.0), reps_in_reserve: Some(20), ..a_set() };
    let light = StrengthSet { repetitions: 1, mass_kg: Some(0.0), reps_in_reserve: Some(0), ..a_set() };
    given_nothing().when(log(WorkoutDraft { sets: vec![heavy, light], ..a_run() })).event();
    let bad = [
        StrengthSet { repetitions: 0, ..a_set() },
        StrengthSet { repetitions: 10_001, ..a_set() },
        StrengthSet { mass_kg: Some(-0.1), ..a_set() },
        StrengthSet { mass_kg: Some(2_000.1), ..a_set() },
        StrengthSet { mass_kg: Some(f64::NAN), ..a_set() },
        StrengthSet { reps_in_reserve: Some(21), ..a_set() },
    ];
    for set in bad {
        given_nothing().when(log(WorkoutDraft { sets: vec![a_set(), set.clone()], ..a_run() })).then_invalid("sets");
        given_a_run().when(edit(EditWorkout { sets: Set(vec![set]), ..EditWorkout::default() })).then_invalid("sets");
    }
}

#[test]
fn a_workout_has_at_most_500_sets() {
    given_nothing().when(log(WorkoutDraft { sets: vec![a_set(); 500], ..a_run() })).event();
    given_nothing().when(log(WorkoutDraft { sets: vec![a_set(); 501], ..a_run() })).then_invalid("sets");
}

#[test]
fn an_edit_says_what_was_counted_before_and_all_that_holds_after() {
    let after = WorkoutDetails {
        sport: Sport::TrailRun,
        distance_m: Some(metres(12_000.0)),
        title: Some(text("Over the hill")),
        visibility: Visibility::Followers,
        ..run_details()
    };
    let change = EditWorkout {
        sport: Set(Sport::TrailRun),
        distance_m: Set(metres(12_000.0)),
        title: Set(text("Over the hill")),
        visibility: Set(Visibility::Followers),
        ..EditWorkout::default()
    };
    given_a_run().when(edit(change)).then([edited(&run_details(), after)]);
}

#[test]
fn a_second_edit_starts_from_the_first() {
    let first = WorkoutDetails { distance_m: Some(metres(11_000.0)), ..run_details() };
    let second = WorkoutDetails { duration_s: seconds(4000.0), ..first.clone() };
    given([logged(run_details()), edited(&run_details(), first.clone())])
        .when(edit(EditWorkout { duration_s: Set(seconds(4000.0)), ..EditWorkout::default() }))
        .then([edited(&first, second)]);
}

#[test]
fn an_imported_workout_is_edited_as_a_logged_one() {
    let after = WorkoutDetails { title: Some(text("Dawn")), ..run_details() };
    given([imported()])
        .when(edit(EditWorkout { title: Set(text("Dawn")), ..EditWorkout::default() }))
        .then([edited(&run_details(), after)]);
}

#[test]
fn null_removes_what_need_not_be_there() {
    let full = WorkoutDetails {
        moving_s: Some(seconds(3500.0)),
        title: Some(text("Dawn")),
        notes: Some(text("Cold.")),
        sets: vec![a_set()],
        ..run_details()
    };
    let change = EditWorkout {
        moving_s: Clear,
        distance_m: Clear,
        title: Clear,
        notes: Clear,
        sets: Clear,
        ..EditWorkout::default()
    };
    let bare = WorkoutDetails { distance_m: None, ..run_details() };
    given([logged(full.clone())]).when(edit(change)).then([edited(&full, bare)]);
}

#[test]
fn null_for_what_must_be_there_is_refused_with_the_fields_name() {
    let cases = [
        ("sport", EditWorkout { sport: Clear, ..EditWorkout::default() }),
        ("started_at", EditWorkout { started_at: Clear, ..EditWorkout::default() }),
        ("duration_s", EditWorkout { duration_s: Clear, ..EditWorkout::default() }),
        ("visibility", EditWorkout { visibility: Clear, ..EditWorkout::default() }),
    ];
    for (field, change) in cases {
        given_a_run().when(edit(change)).then_invalid(field);
    }
}

#[test]
fn an_edit_that_changes_nothing_is_no_event() {
    given_a_run().when(edit(EditWorkout::default())).then_nothing();
    let same = EditWorkout {
        sport: Set(Sport::Run),
        started_at: Set(run_details().started_at),
        distance_m: Set(metres(10_000.0)),
        title: Clear,
        ..EditWorkout::default()
    };
    given_a_run().when(edit(same)).then_nothing();
}

#[test]
fn a_deletion_says_what_was_counted_before() {
    given_a_run().when(delete()).then([deleted(&run_details())]);
    let after = WorkoutDetails { distance_m: Some(metres(12_000.0)), ..run_details() };
    given([imported(), edited(&run_details(), after.clone())]).when(delete()).then([deleted(&after)]);
}

#[test]
fn what_was_deleted_stays_deleted() {
    given_a_deleted_run().when(delete()).then_refused(WorkoutRefusal::Deleted);
    given_a_deleted_run()
        .when(edit(EditWorkout { title: Set(text("Again")), ..EditWorkout::default() }))
        .then_refused(WorkoutRefusal::Deleted);
}

#[test]
fn nobody_edits_or_deletes_what_was_never_logged() {
    given_nothing().when(edit(EditWorkout::default())).then_refused(WorkoutRefusal::NotFound);
    given_nothing().when(delete()).then_refused(WorkoutRefusal::NotFound);
}

#[test]
fn somebody_elses_workout_looks_as_if_it_were_not_there() {
    for past in [given_a_run, given_a_deleted_run] {
        past().with(i_am_somebody_else).when(delete()).then_refused(WorkoutRefusal::NotFound);
        past()
            .with(i_am_somebody_else)
            .when(edit(EditWorkout { sport: Clear, ..EditWorkout::default() }))
            .then_refused(WorkoutRefusal::NotFound);
    }
}

#[test]
fn what_was_erased_is_neither_edited_nor_deleted() {
    let erased = || given([WorkoutEvent::Redacted]);
    erased().when(edit(EditWorkout::default())).then_refused(WorkoutRefusal::NotFound);
    erased().when(delete()).then_refused(WorkoutRefusal::NotFound);
}
