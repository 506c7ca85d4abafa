//! Histories for tests: what athletes did, as the events the store would hold. Positions, sequences, partitions and what
//! was counted before an edit come by themselves; a test names only what matters to it.
#![allow(dead_code, reason = "shared by unit and integration tests, neither of which uses all of it")]
use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use fittrack_domain::{
    athlete::{AccountErased, AthleteEvent, AthleteRegistered, Profile, ProfileUpdated},
    event_type::EventType,
    ids::{AthleteId, WorkoutId},
    measurement::{MeasuredValue, Measurement, MeasurementEvent, MeasurementKind, MeasurementRecorded},
    partition::{DEFAULT_PARTITIONS, partition_of},
    privacy::{Degrees, PrivacyZone, PrivacyZones, PrivacyZonesEvent, PrivacyZonesSet, ZoneId, ZoneRadius},
    recording::Format,
    sport::Sport,
    values::{DisplayName, Distance, Duration, Energy, TimeZone, Title, Visibility},
    workout::{
        RecordingRef, WorkoutDeleted, WorkoutDetails, WorkoutEdited, WorkoutEvent, WorkoutImported, WorkoutLogged,
    },
};
use fittrack_schemas::envelope::{Metadata, StoredEvent};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// The n-th athlete.
pub fn athlete(n: u128) -> Uuid {
    Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + n)
}

/// The n-th workout.
pub fn workout(n: u128) -> Uuid {
    Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + n)
}

/// When the n-th event of a history was decided.
pub fn instant(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap() + TimeDelta::seconds(n)
}

/// A public run of an hour and ten kilometres on Tuesday, 2026-11-24, with whatever the test changes about it.
pub fn run(change: impl FnOnce(&mut WorkoutDetails)) -> WorkoutDetails {
    let mut details = WorkoutDetails {
        sport: Sport::Run,
        started_at: "2026-11-24T07:00:00Z".parse().unwrap(),
        time_zone: TimeZone::parse("Europe/Berlin").unwrap(),
        local_date: "2026-11-24".parse().unwrap(),
        duration_s: seconds(3600),
        moving_s: Some(seconds(3500)),
        distance_m: Some(metres(10_000)),
        elevation_gain_m: Some(metres(100)),
        energy_kcal: Some(Energy::from_kcal(600.0).unwrap()),
        average_heart_rate_bpm: None,
        max_heart_rate_bpm: None,
        average_power_w: None,
        perceived_exertion: None,
        title: Some(Title::parse("Morning run").unwrap()),
        notes: None,
        visibility: Visibility::Public,
        gear_id: None,
        sets: vec![],
    };
    change(&mut details);
    details
}

/// Whole metres.
pub fn metres(metres: u32) -> Distance {
    Distance::from_metres(f64::from(metres)).unwrap()
}

/// Whole seconds.
pub fn seconds(seconds: u32) -> Duration {
    Duration::from_seconds(f64::from(seconds)).unwrap()
}

/// The n-th privacy zone.
pub fn zone(n: u32) -> PrivacyZone {
    PrivacyZone {
        zone_id: ZoneId(Uuid::from_u128(0x0195_0000_0000_4000_8000_0000_0000_0000 + u128::from(n))),
        name: None,
        latitude_deg: Degrees::latitude(52.0 + f64::from(n) / 100.0).unwrap(),
        longitude_deg: Degrees::longitude(6.641_664_8).unwrap(),
        radius_m: ZoneRadius::from_metres(400.0).unwrap(),
    }
}

/// Where a recording is.
pub fn recording() -> RecordingRef {
    RecordingRef {
        format: Format::Fit,
        original_sha256: "aa".repeat(32),
        recording_sha256: "bb".repeat(32),
        samples: 3600,
        leg: 0,
        session_id: None,
        device: Some("A watch".into()),
    }
}

/// An erased event.
pub fn redacted(position: i64) -> StoredEvent {
    let mut history = History::default();
    history.add(athlete(0), "workout", workout(0), "redacted", &serde_json::json!({"type": "redacted"}));
    StoredEvent { position, ..history.events.remove(0) }
}

/// What has happened, in the order of the store.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The events.
    pub events: Vec<StoredEvent>,
    heads: BTreeMap<i32, i64>,
    sequences: HashMap<Uuid, i64>,
    workouts: HashMap<Uuid, (Uuid, WorkoutDetails)>,
}

impl History {
    /// An athlete signs up.
    pub fn register(&mut self, owner: Uuid, name: &str) -> &mut Self {
        let registered = AthleteRegistered { athlete_id: AthleteId(owner), profile: profile(name) };
        self.add(owner, "athlete", owner, "athlete_registered", &AthleteEvent::AthleteRegistered(registered))
    }

    /// An athlete takes another name.
    pub fn rename(&mut self, owner: Uuid, name: &str) -> &mut Self {
        let updated = ProfileUpdated { athlete_id: AthleteId(owner), profile: profile(name) };
        self.add(owner, "athlete", owner, "profile_updated", &AthleteEvent::ProfileUpdated(updated))
    }

    /// An athlete records a measurement, or corrects it.
    pub fn measure(&mut self, owner: Uuid, kind: MeasurementKind, measured_on: NaiveDate, value: f64) -> &mut Self {
        let athlete_id = AthleteId(owner);
        let value = MeasuredValue::parse(kind, value).unwrap();
        let recorded = MeasurementRecorded { athlete_id, kind, value, measured_on };
        let id = Measurement::stream_id(athlete_id, kind, measured_on);
        let event = MeasurementEvent::MeasurementRecorded(recorded);
        self.add(owner, "measurement", id, "measurement_recorded", &event)
    }

    /// An athlete says near which places nothing is shown.
    pub fn set_zones(&mut self, owner: Uuid, zones: Vec<PrivacyZone>) -> &mut Self {
        let athlete_id = AthleteId(owner);
        let event = PrivacyZonesEvent::PrivacyZonesSet(PrivacyZonesSet { athlete_id, zones });
        self.add(owner, "privacy_zones", PrivacyZones::stream_id(athlete_id), "privacy_zones_set", &event)
    }

    /// A workout is logged by hand.
    pub fn log(&mut self, owner: Uuid, id: Uuid, details: WorkoutDetails) -> &mut Self {
        self.workouts.insert(id, (owner, details.clone()));
        let logged = WorkoutLogged { workout_id: WorkoutId(id), athlete_id: AthleteId(owner), details };
        self.add(owner, "workout", id, "workout_logged", &WorkoutEvent::WorkoutLogged(logged))
    }

    /// A recording is imported.
    pub fn import(&mut self, owner: Uuid, id: Uuid, details: WorkoutDetails) -> &mut Self {
        self.workouts.insert(id, (owner, details.clone()));
        let (workout_id, athlete_id) = (WorkoutId(id), AthleteId(owner));
        let imported = WorkoutImported { workout_id, athlete_id, details, recording: recording() };
        self.add(owner, "workout", id, "workout_imported", &WorkoutEvent::WorkoutImported(imported))
    }

    /// A workout is edited; nothing happens where it is not there.
    pub fn edit(&mut self, id: Uuid, change: impl FnOnce(&mut WorkoutDetails)) -> &mut Self {
        let Some((owner, details)) = self.workouts.get_mut(&id) else { return self };
        let (owner, before) = (*owner, details.facts());
        change(details);
        let (workout_id, athlete_id, after) = (WorkoutId(id), AthleteId(owner), details.clone());
        let edited = WorkoutEdited { workout_id, athlete_id, before, after };
        self.add(owner, "workout", id, "workout_edited", &WorkoutEvent::WorkoutEdited(edited))
    }

    /// A workout is deleted; nothing happens where it is not there.
    pub fn delete(&mut self, id: Uuid) -> &mut Self {
        let Some((owner, details)) = self.workouts.remove(&id) else { return self };
        let (workout_id, athlete_id) = (WorkoutId(id), AthleteId(owner));
        let deleted = WorkoutDeleted { workout_id, athlete_id, deleted_by: athlete_id, before: details.facts() };
        self.add(owner, "workout", id, "workout_deleted", &WorkoutEvent::WorkoutDeleted(deleted))
    }

    /// An athlete leaves: their log ends here. The earlier events have their content still, as before they are redacted.
    pub fn erase(&mut self, owner: Uuid) -> &mut Self {
        let erased = AccountErased { athlete_id: AthleteId(owner) };
        self.add(owner, "athlete", owner, "account_erased", &AthleteEvent::AccountErased(erased))
    }

    /// Any event, its payload as given.
    pub fn add(
        &mut self,
        owner: Uuid,
        aggregate_type: &str,
        aggregate_id: Uuid,
        event_type: &str,
        payload: &impl Serialize,
    ) -> &mut Self {
        let partition = partition_of(owner, DEFAULT_PARTITIONS);
        let position = self.heads.entry(partition).or_default();
        *position += 1;
        let sequence = self.sequences.entry(aggregate_id).or_default();
        *sequence += 1;
        let number = self.events.len();
        let at = instant(i64::try_from(number).unwrap());
        self.events.push(StoredEvent {
            partition,
            position: *position,
            aggregate_type: aggregate_type.to_owned(),
            aggregate_id: aggregate_id.to_string(),
            sequence: *sequence,
            owner_id: owner,
            event_id: numbered(number),
            event_type: event_type.to_owned(),
            event_version: EventType::parse(event_type).map_or("1", EventType::newest_version).to_owned(),
            payload: RawValue::from_string(serde_json::to_string(payload).unwrap()).unwrap(),
            metadata: Metadata {
                actor: Some(owner),
                traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
                ..Metadata::default()
            },
            command_id: numbered(number),
            occurred_at: at,
            recorded_at: at + TimeDelta::milliseconds(5),
        });
        self
    }

    /// The head of each partition that has one.
    pub fn heads(&self) -> &BTreeMap<i32, i64> {
        &self.heads
    }
}

fn profile(name: &str) -> Profile {
    let display_name = DisplayName::parse(name).unwrap();
    serde_json::from_value(serde_json::json!({"display_name": display_name, "time_zone": "Europe/Berlin"})).unwrap()
}

/// Ids of events, different for each number.
fn numbered(number: usize) -> Uuid {
    Uuid::from_u128(0x0194_0000_0000_7000_8000_0000_0000_0000 + number as u128)
}
