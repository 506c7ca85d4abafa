//! Whatever is asked, in whatever order: the events alone give the state, and what they add and take away sums up.
//! This is what the store's cache, a rebuild of a read model and the totals' corrections all rest on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]
mod support;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use fittrack_domain::{
    aggregate::{Context, Decider},
    athlete::{Athlete, AthleteCommand, RegisterAthlete, Sex, Units, UpdateProfile},
    event::Event,
    ids::{AthleteId, WorkoutId},
    patch::Patch,
    sport::Sport,
    values::{Distance, Duration, Energy, HeartRate, TimeZone, Visibility},
    workout::{
        EditWorkout, ImportWorkout, LogWorkout, Workout, WorkoutCommand, WorkoutDraft, WorkoutEvent, WorkoutFacts,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use support::{a_recording, a_run, a_set, at, fold, text};
use uuid::Uuid;

/// How many workouts the commands are spread over: few, so that they meet.
const WORKOUTS: usize = 3;

fn contexts() -> impl Strategy<Value = Context> {
    let zones = select(vec!["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago"]);
    (1..=2_u128, zones, visibilities()).prop_map(|(actor, zone, default_visibility)| Context {
        actor: AthleteId(Uuid::from_u128(actor)),
        time_zone: TimeZone::parse(zone).unwrap(),
        default_visibility,
        ..Context::example()
    })
}

fn visibilities() -> impl Strategy<Value = Visibility> {
    select(vec![Visibility::Private, Visibility::Followers, Visibility::Public])
}

/// Mostly within two days before now, now and then too late, too early, or at an end of the calendar.
fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    let ends =
        vec![DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, DateTime::UNIX_EPOCH, at("1969-12-31T23:00:00Z")];
    prop_oneof![
        9 => (-48 * 3600..=1800_i64).prop_map(|s| Context::example().now + TimeDelta::seconds(s)),
        1 => select(ends),
    ]
}

fn sports() -> impl Strategy<Value = Sport> {
    select(Sport::ALL.to_vec())
}

fn durations() -> impl Strategy<Value = Duration> {
    (0.001..=20_000.0).prop_map(|s| Duration::from_seconds(s).unwrap())
}

fn distances() -> impl Strategy<Value = Distance> {
    (0.0..=300_000.0).prop_map(|m| Distance::from_metres(m).unwrap())
}

fn energies() -> impl Strategy<Value = Energy> {
    (0.0..=5_000.0).prop_map(|kcal| Energy::from_kcal(kcal).unwrap())
}

fn heart_rates() -> impl Strategy<Value = HeartRate> {
    (20.0..=250.0).prop_map(|bpm| HeartRate::from_bpm(bpm).unwrap())
}

fn patches<T: Clone + std::fmt::Debug>(values: impl Strategy<Value = T> + 'static) -> impl Strategy<Value = Patch<T>> {
    prop_oneof![6 => Just(Patch::Keep), 1 => Just(Patch::Clear), 3 => values.prop_map(Patch::Set)]
}

prop_compose! {
    fn drafts()(
        sport in sports(),
        started_at in instants(),
        duration_s in durations(),
        moving_s in option::weighted(0.3, durations()),
        (distance_m, elevation_gain_m) in (option::of(distances()), option::of(distances())),
        energy_kcal in option::of(energies()),
        average_heart_rate_bpm in option::weighted(0.3, heart_rates()),
        max_heart_rate_bpm in option::weighted(0.3, heart_rates()),
        visibility in option::of(visibilities()),
    ) -> WorkoutDraft {
        WorkoutDraft {
            sport, started_at, duration_s, moving_s, distance_m, elevation_gain_m, energy_kcal,
            average_heart_rate_bpm, max_heart_rate_bpm, visibility, ..a_run()
        }
    }
}

prop_compose! {
    fn edits(workout_id: WorkoutId)(
        sport in patches(sports()),
        started_at in patches(instants()),
        duration_s in patches(durations()),
        moving_s in patches(durations()),
        (distance_m, elevation_gain_m) in (patches(distances()), patches(distances())),
        energy_kcal in patches(energies()),
        (average_heart_rate_bpm, max_heart_rate_bpm) in (patches(heart_rates()), patches(heart_rates())),
        visibility in patches(visibilities()),
        title in patches(Just(text("Dawn"))),
        sets in patches((0..=501_usize).prop_map(|count| vec![a_set(); count])),
    ) -> EditWorkout {
        EditWorkout {
            workout_id, sport, started_at, duration_s, moving_s, distance_m, elevation_gain_m, energy_kcal,
            average_heart_rate_bpm, max_heart_rate_bpm, visibility, title, sets, ..EditWorkout::default()
        }
    }
}

/// A command, and which of the workouts it is for.
fn workout_commands() -> impl Strategy<Value = (usize, WorkoutCommand)> {
    (0..WORKOUTS).prop_flat_map(|which| {
        let workout_id = WorkoutId(Uuid::from_u128(which as u128));
        let log =
            drafts().prop_map(move |draft| WorkoutCommand::LogWorkout(Box::new(LogWorkout { workout_id, draft })));
        let import = drafts().prop_map(move |draft| {
            WorkoutCommand::ImportWorkout(Box::new(ImportWorkout { workout_id, draft, recording: a_recording() }))
        });
        let edit = edits(workout_id).prop_map(|edit| WorkoutCommand::EditWorkout(Box::new(edit)));
        let command =
            prop_oneof![3 => log, 2 => import, 5 => edit, 1 => Just(WorkoutCommand::DeleteWorkout(workout_id))];
        (Just(which), command)
    })
}

prop_compose! {
    fn profile_patches()(
        display_name in patches(select(vec!["Ada", "Grace"]).prop_map(text)),
        bio in patches(Just(text("Runs."))),
        birth_year in patches(1850..=2050_u32),
        sex in patches(select(vec![Sex::Female, Sex::Male, Sex::Unspecified])),
        height_cm in patches(0..=400_u32),
        units in patches(select(vec![Units::Metric, Units::Imperial])),
        default_visibility in patches(visibilities()),
    ) -> UpdateProfile {
        UpdateProfile {
            display_name, bio, birth_year, sex, height_cm, units, default_visibility, ..UpdateProfile::default()
        }
    }
}

fn athlete_commands() -> impl Strategy<Value = AthleteCommand> {
    let register = AthleteCommand::RegisterAthlete(RegisterAthlete {
        athlete_id: Context::example().actor,
        display_name: text("Ada"),
        time_zone: TimeZone::default(),
    });
    prop_oneof![
        1 => Just(register),
        4 => profile_patches().prop_map(|patch| AthleteCommand::UpdateProfile(Box::new(patch))),
    ]
}

/// Gives the command; the aggregate applies what was accepted, and it is returned.
fn run<A: Decider>(aggregate: &mut A, command: &A::Command, context: &Context) -> Vec<A::Event> {
    let events = aggregate.decide(command, context).unwrap_or_default();
    for event in events.clone() {
        aggregate.apply(event);
    }
    events
}

/// The events as they come back from the store.
fn stored_and_read<E: serde::Serialize + serde::de::DeserializeOwned>(events: &[E]) -> Vec<E> {
    serde_json::from_slice(&serde_json::to_vec(events).unwrap()).unwrap()
}

/// What a total is kept for, and what it sums: the counts of workouts, milliseconds, millimetres, kilocalories.
type Ledger = BTreeMap<(Sport, NaiveDate, Visibility), [i64; 6]>;

fn book(ledger: &mut Ledger, facts: &WorkoutFacts, sign: i64) {
    let millimetres = |distance: Option<Distance>| distance.map_or(0, Distance::millimetres);
    let amounts = [
        1,
        facts.duration_s.milliseconds(),
        facts.moving_s.map_or(0, Duration::milliseconds),
        millimetres(facts.distance_m),
        millimetres(facts.elevation_gain_m),
        facts.energy_kcal.map_or(0, |energy| i64::from(energy.kcal())),
    ];
    let key = (facts.sport, facts.local_date, facts.visibility);
    let sums = ledger.entry(key).or_default();
    for (sum, amount) in sums.iter_mut().zip(amounts) {
        *sum += sign * amount;
    }
    if *sums == [0; 6] {
        ledger.remove(&key);
    }
}

/// What a projection does that never looks at a workout's state: only at what each event says was and is.
fn book_event(ledger: &mut Ledger, event: &WorkoutEvent) {
    match event {
        WorkoutEvent::WorkoutLogged(event) => book(ledger, &event.details.facts(), 1),
        WorkoutEvent::WorkoutImported(event) => book(ledger, &event.details.facts(), 1),
        WorkoutEvent::WorkoutEdited(event) => {
            book(ledger, &event.before, -1);
            book(ledger, &event.after.facts(), 1);
        }
        WorkoutEvent::WorkoutDeleted(event) => book(ledger, &event.before, -1),
        WorkoutEvent::Redacted => {}
    }
}

proptest! {
    #[test]
    fn the_events_of_workouts_give_their_state_and_sum_up_to_their_facts(
        script in vec((contexts(), workout_commands()), 0..40),
    ) {
        let mut workouts = vec![Workout::default(); WORKOUTS];
        let mut streams = vec![Vec::new(); WORKOUTS];
        let mut from_events = Ledger::new();
        for (context, (which, command)) in &script {
            let events = run(&mut workouts[*which], command, context);
            for event in &events {
                book_event(&mut from_events, event);
            }
            streams[*which].extend(events);
        }

        for (workout, stream) in workouts.iter().zip(&streams) {
            prop_assert_eq!(&fold::<Workout>(stream.clone()), workout);
            prop_assert_eq!(&fold::<Workout>(stored_and_read(stream)), workout);
        }
        let mut from_states = Ledger::new();
        for workout in &workouts {
            if let Workout::Logged { details, .. } = workout {
                book(&mut from_states, &details.facts(), 1);
            }
        }
        prop_assert_eq!(from_events, from_states);
    }

    #[test]
    fn the_events_of_an_athlete_give_their_state(script in vec((contexts(), athlete_commands()), 0..40)) {
        let mut athlete = Athlete::default();
        let mut stream = Vec::new();
        for (context, command) in &script {
            stream.extend(run(&mut athlete, command, context));
        }
        prop_assert_eq!(&fold::<Athlete>(stream.clone()), &athlete);
        prop_assert_eq!(&fold::<Athlete>(stored_and_read(&stream)), &athlete);
    }

    #[test]
    fn one_owner_has_all_events_of_a_workout(script in vec((contexts(), workout_commands()), 0..40)) {
        let mut workouts = vec![Workout::default(); WORKOUTS];
        let mut owners = [None; WORKOUTS];
        for (context, (which, command)) in &script {
            for event in run(&mut workouts[*which], command, context) {
                let owner = decoded(&event).athlete_id();
                prop_assert!(owner.is_some());
                prop_assert_eq!(*owners[*which].get_or_insert(owner), owner);
            }
        }
    }
}

/// The event as everybody downstream reads it.
fn decoded(event: &WorkoutEvent) -> Event {
    use cqrs_es::DomainEvent;
    let payload = serde_json::to_vec(event).unwrap();
    Event::decode(&event.event_type(), &event.event_version(), &payload).unwrap()
}
