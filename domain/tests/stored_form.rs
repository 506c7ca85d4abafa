//! The JSON of every event as it is stored, word for word: what is in a database already must be readable for good.
//! A new version adds a file beside the old one; `FITTRACK_BLESS=1 cargo test -p fittrack-domain` writes what is new.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]
mod support;

use std::{fs, path::PathBuf};

use chrono::NaiveDate;
use cqrs_es::DomainEvent;
use fittrack_domain::{
    athlete::{AccountErased, AthleteEvent, AthleteRegistered, Profile, ProfileUpdated, Sex, Units},
    event::{DecodeError, Event},
    measurement::{MeasuredValue, MeasurementEvent, MeasurementKind, MeasurementRecorded},
    privacy::{PrivacyZone, PrivacyZonesEvent, PrivacyZonesSet},
    sport::Sport,
    values::{Energy, Exertion, Power, Visibility},
    workout::{RecordingRef, SetKind, StrengthSet, WorkoutDetails, WorkoutEvent, WorkoutImported},
};
use serde::{Serialize, de::DeserializeOwned};
use support::{
    a_recording, a_set, a_zone, at, bpm, me, metres, seconds, text, workout_id,
    workouts::{deleted, edited, logged},
    zone,
};
use uuid::Uuid;

fn full_profile() -> Profile {
    Profile {
        display_name: text("Ada Lovelace"),
        bio: Some(text("Runs uphill.\nSlowly, but \"on purpose\".")),
        birth_year: Some(1990),
        sex: Sex::Female,
        height_cm: Some(171),
        time_zone: zone("Europe/Berlin"),
        units: Units::Imperial,
        default_visibility: Visibility::Followers,
    }
}

fn new_profile() -> Profile {
    Profile {
        bio: None,
        birth_year: None,
        sex: Sex::default(),
        height_cm: None,
        units: Units::default(),
        default_visibility: Visibility::default(),
        ..full_profile()
    }
}

fn full_details() -> WorkoutDetails {
    WorkoutDetails {
        sport: Sport::TrailRun,
        started_at: at("2026-10-24T22:30:00.250Z"),
        time_zone: zone("Europe/Berlin"),
        local_date: "2026-10-25".parse().unwrap(),
        duration_s: seconds(4_321.5),
        moving_s: Some(seconds(4_200.125)),
        distance_m: Some(metres(12_345.678)),
        elevation_gain_m: Some(metres(432.1)),
        energy_kcal: Some(Energy::from_kcal(876.0).unwrap()),
        average_heart_rate_bpm: Some(bpm(151.0)),
        max_heart_rate_bpm: Some(bpm(178.0)),
        average_power_w: Some(Power::from_watts(287.0).unwrap()),
        perceived_exertion: Some(Exertion::parse(7.0).unwrap()),
        title: Some(text("Over the hill – and back ⛰")),
        notes: Some(text("Cold.\nNew shoes.")),
        visibility: Visibility::Public,
        gear_id: Some(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0099)),
        sets: vec![full_set(), bare_set()],
    }
}

fn full_set() -> StrengthSet {
    StrengthSet { mass_kg: Some(82.5), duration_s: Some(seconds(30.0)), kind: SetKind::WarmUp, ..a_set() }
}

fn bare_set() -> StrengthSet {
    StrengthSet { mass_kg: None, reps_in_reserve: None, ..a_set() }
}

/// No more than a workout must say.
fn bare_details() -> WorkoutDetails {
    WorkoutDetails {
        moving_s: None,
        distance_m: None,
        elevation_gain_m: None,
        energy_kcal: None,
        average_heart_rate_bpm: None,
        max_heart_rate_bpm: None,
        average_power_w: None,
        perceived_exertion: None,
        title: None,
        notes: None,
        gear_id: None,
        sets: Vec::new(),
        visibility: Visibility::Private,
        ..full_details()
    }
}

fn imported(details: WorkoutDetails, recording: RecordingRef) -> WorkoutEvent {
    WorkoutEvent::WorkoutImported(WorkoutImported { workout_id: workout_id(), athlete_id: me(), details, recording })
}

/// The stored form of `event` is the committed file, and the file is read as `event`, by the aggregate and by everybody else.
///
/// `variant` tells several samples of one type and version apart; empty for the one that says everything.
#[track_caller]
fn assert_stored<E>(event: &E, variant: &str, downstream: &Event)
where
    E: DomainEvent + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let (event_type, event_version) = (event.event_type(), event.event_version());
    let written = serde_json::to_string_pretty(event).unwrap() + "\n";
    let path = stored(&format!("{event_type}.v{event_version}{variant}.json"));
    if std::env::var_os("FITTRACK_BLESS").is_some() {
        fs::write(&path, &written).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, committed, "the stored form of {event_type} version {event_version} has changed");
    assert_eq!(&serde_json::from_str::<E>(&committed).unwrap(), event);
    assert_eq!(&Event::decode(&event_type, &event_version, committed.as_bytes()).unwrap(), downstream);
}

fn stored(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stored").join(name)
}

#[track_caller]
fn assert_workout_event_stored(event: &WorkoutEvent, variant: &str) {
    let downstream = match event.clone() {
        WorkoutEvent::WorkoutLogged(event) => Event::WorkoutLogged(Box::new(event)),
        WorkoutEvent::WorkoutImported(event) => Event::WorkoutImported(Box::new(event)),
        WorkoutEvent::WorkoutEdited(event) => Event::WorkoutEdited(Box::new(event)),
        WorkoutEvent::WorkoutDeleted(event) => Event::WorkoutDeleted(Box::new(event)),
        WorkoutEvent::Redacted => Event::Redacted,
    };
    assert_stored(event, variant, &downstream);
}

#[track_caller]
fn assert_athlete_event_stored(event: &AthleteEvent, variant: &str) {
    let downstream = match event.clone() {
        AthleteEvent::AthleteRegistered(event) => Event::AthleteRegistered(Box::new(event)),
        AthleteEvent::ProfileUpdated(event) => Event::ProfileUpdated(Box::new(event)),
        AthleteEvent::AccountErased(event) => Event::AccountErased(event),
        AthleteEvent::Redacted => Event::Redacted,
    };
    assert_stored(event, variant, &downstream);
}

#[test]
fn measurement_recorded_version_1() {
    for (variant, kind, value) in
        [("", MeasurementKind::MassKg, 71.25), (".bare", MeasurementKind::MaxHeartRateBpm, 190.0)]
    {
        let recorded = MeasurementRecorded {
            athlete_id: me(),
            kind,
            value: MeasuredValue::parse(kind, value).unwrap(),
            measured_on: NaiveDate::from_ymd_opt(2026, 10, 31).unwrap(),
        };
        let downstream = Event::MeasurementRecorded(Box::new(recorded.clone()));
        assert_stored(&MeasurementEvent::MeasurementRecorded(recorded), variant, &downstream);
    }
}

#[test]
fn privacy_zones_set_version_1() {
    let home = a_zone(1, (52.097_312_4, -6.641_664_8), 400.0);
    let nameless = PrivacyZone { name: None, ..a_zone(2, (-90.0, 180.0), 2_000.0) };
    for (variant, zones) in [("", vec![home, nameless]), (".bare", vec![])] {
        let set = PrivacyZonesSet { athlete_id: me(), zones };
        let downstream = Event::PrivacyZonesSet(Box::new(set.clone()));
        assert_stored(&PrivacyZonesEvent::PrivacyZonesSet(set), variant, &downstream);
    }
}

#[test]
fn athlete_registered_version_1() {
    let registered = |profile| AthleteEvent::AthleteRegistered(AthleteRegistered { athlete_id: me(), profile });
    assert_athlete_event_stored(&registered(full_profile()), "");
    assert_athlete_event_stored(&registered(new_profile()), ".bare");
}

#[test]
fn profile_updated_version_1() {
    let updated = |profile| AthleteEvent::ProfileUpdated(ProfileUpdated { athlete_id: me(), profile });
    assert_athlete_event_stored(&updated(full_profile()), "");
    assert_athlete_event_stored(&updated(new_profile()), ".bare");
}

#[test]
fn account_erased_version_1() {
    assert_athlete_event_stored(&AthleteEvent::AccountErased(AccountErased { athlete_id: me() }), "");
}

#[test]
fn workout_logged_version_1() {
    assert_workout_event_stored(&logged(full_details()), "");
    assert_workout_event_stored(&logged(bare_details()), ".bare");
}

#[test]
fn workout_imported_version_1() {
    let bare_recording = RecordingRef { session_id: None, device: None, ..a_recording() };
    assert_workout_event_stored(&imported(full_details(), a_recording()), "");
    assert_workout_event_stored(&imported(bare_details(), bare_recording), ".bare");
}

#[test]
fn workout_edited_version_1() {
    assert_workout_event_stored(&edited(&bare_details(), full_details()), "");
    assert_workout_event_stored(&edited(&full_details(), bare_details()), ".bare");
}

#[test]
fn workout_deleted_version_2() {
    assert_workout_event_stored(&deleted(&full_details()), "");
    assert_workout_event_stored(&deleted(&bare_details()), ".bare");
}

#[test]
fn redacted_version_1_is_the_same_in_every_stream() {
    assert_workout_event_stored(&WorkoutEvent::Redacted, "");
    assert_athlete_event_stored(&AthleteEvent::Redacted, "");
    assert_stored(&MeasurementEvent::Redacted, "", &Event::Redacted);
    assert_stored(&PrivacyZonesEvent::Redacted, "", &Event::Redacted);
}

#[test]
fn a_redacted_event_of_any_version_is_read_whatever_its_payload() {
    for (version, payload) in [("1", "{}"), ("2", r#"{"type":"redacted"}"#), ("1", "null"), ("1", "")] {
        assert_eq!(Event::decode("redacted", version, payload.as_bytes()).unwrap(), Event::Redacted);
    }
}

#[test]
fn an_unknown_type_or_version_is_named() {
    for (event_type, event_version) in [("workout_teleported", "1"), ("workout_logged", "99"), ("", "")] {
        match Event::decode(event_type, event_version, b"{}") {
            Err(DecodeError::Unknown { event_type: named, event_version: version }) => {
                assert_eq!((named.as_str(), version.as_str()), (event_type, event_version));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_payload_that_is_not_what_its_type_says_is_an_error_and_no_panic() {
    let whole = serde_json::to_string(&logged(full_details())).unwrap().into_bytes();
    for end in 0..whole.len() {
        let refused = Event::decode("workout_logged", "1", &whole[..end]);
        assert!(matches!(refused, Err(DecodeError::Payload { .. })), "cut after {end} bytes");
    }
    assert!(matches!(Event::decode("workout_deleted", "1", &whole), Err(DecodeError::Payload { .. })));
}

#[test]
fn a_field_that_a_newer_writer_added_does_not_matter() {
    let known = serde_json::to_string(&logged(full_details())).unwrap();
    let newer = known.replacen('{', "{\"added_later\": [1, 2],", 1);
    let decode = |payload: &str| Event::decode("workout_logged", "1", payload.as_bytes()).unwrap();
    assert_eq!(decode(&newer), decode(&known));
}

#[test]
fn a_limit_that_was_tightened_does_not_lock_history() {
    let known = serde_json::to_string(&logged(full_details())).unwrap();
    let wild = known
        .replace("12345.678", "99999999999.0")
        .replace(":151,", ":999,")
        .replace("Over the hill", &"x".repeat(10_000));
    assert!(wild.contains("99999999999.0") && wild.contains(":999,") && wild.len() > 10_000);
    assert!(Event::decode("workout_logged", "1", wild.as_bytes()).is_ok());
}
