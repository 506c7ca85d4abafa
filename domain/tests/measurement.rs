//! The rules of measurements: given what was recorded, when something is recorded, then this follows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use chrono::NaiveDate;
use fittrack_domain::{
    aggregate::Context,
    ids::AthleteId,
    measurement::{
        MeasuredValue, Measurement, MeasurementCommand, MeasurementEvent, MeasurementKind, MeasurementRecorded,
        MeasurementRefusal, RecordMeasurement,
    },
    values::TimeZone,
};
use support::given;
use uuid::Uuid;

fn mass(kg: f64) -> MeasuredValue {
    MeasuredValue::parse(MeasurementKind::MassKg, kg).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn record(kg: f64, on: &str) -> MeasurementCommand {
    let kind = MeasurementKind::MassKg;
    MeasurementCommand::RecordMeasurement(RecordMeasurement { kind, value: mass(kg), measured_on: day(on) })
}

fn recorded(kg: f64, on: &str) -> MeasurementEvent {
    MeasurementEvent::MeasurementRecorded(MeasurementRecorded {
        athlete_id: Context::example().actor,
        kind: MeasurementKind::MassKg,
        value: mass(kg),
        measured_on: day(on),
    })
}

#[test]
fn a_measurement_is_recorded_corrected_and_not_repeated() {
    given::<Measurement>([]).when(record(71.5, "2026-10-31")).then([recorded(71.5, "2026-10-31")]);
    let before = || given::<Measurement>([recorded(71.5, "2026-10-31")]);
    before().when(record(70.0, "2026-10-31")).then([recorded(70.0, "2026-10-31")]);
    before().when(record(71.5, "2026-10-31")).then([]);
    // What was erased is no measurement that could stay.
    given::<Measurement>([MeasurementEvent::Redacted])
        .when(record(71.5, "2026-10-31"))
        .then([recorded(71.5, "2026-10-31")]);
}

#[test]
fn a_day_is_not_before_1900_and_not_after_today_where_the_athlete_lives() {
    let refused = |must| MeasurementRefusal::Invalid { field: "measured_on", must };
    let future = "must not be after today in your time zone";
    given::<Measurement>([]).when(record(71.5, "1899-12-31")).then_refused(refused("must not be before 1900"));
    given::<Measurement>([]).when(record(71.5, "1900-01-01")).then([recorded(71.5, "1900-01-01")]);
    given::<Measurement>([]).when(record(71.5, "2026-11-01")).then([recorded(71.5, "2026-11-01")]);
    given::<Measurement>([]).when(record(71.5, "2026-11-02")).then_refused(refused(future));
    // At noon UTC the next day has begun at +14.
    let ahead = TimeZone::parse("Pacific/Kiritimati").unwrap();
    given::<Measurement>([])
        .with(|context| context.time_zone = ahead)
        .when(record(71.5, "2026-11-02"))
        .then([recorded(71.5, "2026-11-02")]);
}

#[test]
fn each_athlete_kind_and_day_has_a_stream_of_its_own() {
    let (anna, ben) = (AthleteId(Uuid::from_u128(1)), AthleteId(Uuid::from_u128(2)));
    let of = |athlete, kind, on| Measurement::stream_id(athlete, kind, day(on));
    let one = of(anna, MeasurementKind::MassKg, "2026-10-31");
    assert_eq!(one, of(anna, MeasurementKind::MassKg, "2026-10-31"));
    for other in [
        of(ben, MeasurementKind::MassKg, "2026-10-31"),
        of(anna, MeasurementKind::MaxHeartRateBpm, "2026-10-31"),
        of(anna, MeasurementKind::MassKg, "2026-10-30"),
    ] {
        assert_ne!(one, other);
    }
}
