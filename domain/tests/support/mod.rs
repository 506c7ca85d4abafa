//! Given / when / then for every aggregate, and the few values the tests share.
//! Each case is decided twice, by `Decider::decide` and through the framework's `handle`, and the two must agree.
#![allow(dead_code, reason = "each test file takes what it needs")]

pub mod workouts;

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use cqrs_es::{event_sink::EventSink, test::TestFramework};
use fittrack_domain::{
    aggregate::{Context, Decider},
    athlete::AthleteRefusal,
    ids::{AthleteId, WorkoutId},
    measurement::MeasurementRefusal,
    privacy::{Degrees, PrivacyZone, PrivacyZonesRefusal, ZoneId, ZoneRadius},
    recording::Format,
    sport::Sport,
    values::{Distance, Duration, ExerciseName, HeartRate, Text, TimeZone, Visibility},
    workout::{RecordingRef, SetKind, StrengthSet, WorkoutDraft, WorkoutRefusal},
};
use uuid::Uuid;

/// What has happened before the command.
pub fn given<A: Decider>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given { events: events.into_iter().collect(), context: Context::example() }
}

/// The past, and who asks.
pub struct Given<A: Decider> {
    events: Vec<A::Event>,
    context: Context,
}

/// What the command came to.
pub struct When<A: Decider> {
    outcome: Result<Vec<A::Event>, A::Error>,
}

/// A refusal that may name a field.
pub trait NamesField {
    /// The field's name and what it must be, where the refusal is about one.
    fn field(&self) -> Option<(&'static str, &'static str)>;
}

impl<A: Decider> Given<A>
where
    A: PartialEq + Debug,
    A::Command: Clone,
    A::Event: Clone,
    A::Error: PartialEq,
{
    /// Changes what the decision knows: who asks, when, in which zone.
    pub fn with(mut self, change: impl FnOnce(&mut Context)) -> Self {
        change(&mut self.context);
        self
    }

    /// Gives the command, both ways.
    #[track_caller]
    pub fn when(self, command: A::Command) -> When<A> {
        let Self { events, context } = self;
        let before = fold::<A>(events.clone());
        let outcome = before.decide(&command, &context);
        let by_framework =
            TestFramework::<A>::with(context.clone()).given(events).when(command.clone()).inspect_result();
        assert_eq!(by_framework, outcome, "the framework's test harness decides as decide does");
        assert_handled_once(&before, command, &context, &outcome);
        When { outcome }
    }
}

/// `handle` leaves the aggregate as it found it, so that whoever commits the events applies each of them once.
#[track_caller]
fn assert_handled_once<A>(before: &A, command: A::Command, context: &Context, outcome: &Result<Vec<A::Event>, A::Error>)
where
    A: Decider + PartialEq + Debug,
    A::Error: PartialEq,
{
    let mut aggregate = before.clone();
    let sink = EventSink::default();
    let handled = futures::executor::block_on(aggregate.handle(command, context, &sink));
    let collected = futures::executor::block_on(sink.collect());
    assert_eq!(&aggregate, before, "handle applies nothing to the aggregate it is given");
    assert_eq!(&handled.map(|()| collected), outcome, "handle writes what decide says");
}

/// The state after these events, from nothing.
pub fn fold<A: Decider>(events: impl IntoIterator<Item = A::Event>) -> A {
    let mut aggregate = A::default();
    for event in events {
        aggregate.apply(event);
    }
    aggregate
}

impl<A: Decider> When<A>
where
    A::Error: PartialEq + NamesField,
{
    /// Exactly these events.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) {
        assert_eq!(self.outcome, Ok(expected.into_iter().collect()));
    }

    /// Accepted, and nothing changes.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    /// The one event of an accepted command.
    #[track_caller]
    pub fn event(self) -> A::Event {
        let mut events = self.outcome.unwrap();
        assert_eq!(events.len(), 1, "one event");
        events.remove(0)
    }

    /// This refusal.
    #[track_caller]
    pub fn then_refused(self, expected: A::Error) {
        assert_eq!(self.outcome, Err(expected));
    }

    /// A refusal that names this field and says what it must be.
    #[track_caller]
    pub fn then_invalid(self, field: &str) {
        let refusal = self.outcome.expect_err("a refusal");
        let (named, must) = refusal.field().unwrap_or_else(|| panic!("{refusal} names no field"));
        assert_eq!(named, field);
        assert!(must.starts_with("must "), "{must}");
    }
}

impl NamesField for WorkoutRefusal {
    fn field(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Invalid { field, must } => Some((field, must)),
            _ => None,
        }
    }
}

impl NamesField for MeasurementRefusal {
    fn field(&self) -> Option<(&'static str, &'static str)> {
        let Self::Invalid { field, must } = self;
        Some((field, must))
    }
}

impl NamesField for PrivacyZonesRefusal {
    fn field(&self) -> Option<(&'static str, &'static str)> {
        let Self::Invalid { field, must } = self;
        Some((field, must))
    }
}

impl NamesField for AthleteRefusal {
    fn field(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Invalid { field, must } => Some((field, must)),
            _ => None,
        }
    }
}

pub fn me() -> AthleteId {
    Context::example().actor
}

pub fn somebody_else() -> AthleteId {
    AthleteId(Uuid::from_u128(2))
}

pub fn workout_id() -> WorkoutId {
    WorkoutId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0010))
}

pub fn at(instant: &str) -> DateTime<Utc> {
    instant.parse().unwrap()
}

pub fn zone(name: &str) -> TimeZone {
    TimeZone::parse(name).unwrap()
}

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_seconds(seconds).unwrap()
}

pub fn metres(metres: f64) -> Distance {
    Distance::from_metres(metres).unwrap()
}

pub fn bpm(bpm: f64) -> HeartRate {
    HeartRate::from_bpm(bpm).unwrap()
}

pub fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::parse(text).unwrap()
}

/// A run of 10 km in an hour that says no more than it must.
pub fn a_run() -> WorkoutDraft {
    WorkoutDraft {
        sport: Sport::Run,
        started_at: at("2026-10-31T07:00:00Z"),
        duration_s: seconds(3600.0),
        moving_s: None,
        distance_m: Some(metres(10_000.0)),
        elevation_gain_m: None,
        energy_kcal: None,
        average_heart_rate_bpm: None,
        max_heart_rate_bpm: None,
        average_power_w: None,
        perceived_exertion: None,
        title: None,
        notes: None,
        visibility: Some(Visibility::Public),
        gear_id: None,
        sets: Vec::new(),
    }
}

/// Five squats with 100 kg.
pub fn a_set() -> StrengthSet {
    StrengthSet {
        exercise: ExerciseName::parse("Squat").unwrap(),
        repetitions: 5,
        mass_kg: Some(100.0),
        duration_s: None,
        reps_in_reserve: Some(2),
        kind: SetKind::Working,
    }
}

/// The second leg of a multisport file.
pub fn a_recording() -> RecordingRef {
    RecordingRef {
        format: Format::Fit,
        original_sha256: "0f".repeat(32),
        recording_sha256: "a1".repeat(32),
        samples: 3_601,
        leg: 1,
        session_id: Some(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0077)),
        device: Some("Garmin Forerunner 955".into()),
    }
}

/// A zone called `Home`.
pub fn a_zone(id: u128, (latitude, longitude): (f64, f64), radius_m: f64) -> PrivacyZone {
    PrivacyZone {
        zone_id: ZoneId(Uuid::from_u128(0x0192_0000_0000_4000_8000_0000_0000_0000 + id)),
        name: Some(text("Home")),
        latitude_deg: Degrees::latitude(latitude).unwrap(),
        longitude_deg: Degrees::longitude(longitude).unwrap(),
        radius_m: ZoneRadius::from_metres(radius_m).unwrap(),
    }
}
