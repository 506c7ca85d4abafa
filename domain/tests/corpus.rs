//! Every event that was ever stored in some form is still read: the files of `stored/`, of all versions, by everybody.
//! A file is named by its type and version; once committed it stays, also when the type gets a newer version.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]
#[path = "support/corpus.rs"]
mod stored;

use std::collections::BTreeSet;

use cqrs_es::{Aggregate, DomainEvent, EventEnvelope, persist::SerializedEvent};
use fittrack_domain::{
    athlete::Athlete, event::Event, event_type::EventType, measurement::Measurement, privacy::PrivacyZones, upcast,
    workout::Workout,
};
use serde_json::json;
use stored::{Sample, corpus};

/// Asserts that the aggregate reads and applies the event, the way a stream is loaded.
fn assert_read_by<A: Aggregate>(sample: &Sample) {
    let fail = |error: &dyn std::fmt::Display| -> ! { panic!("{} by {}: {error}", sample.file, A::TYPE) };
    let row = SerializedEvent::new(
        String::new(),
        1,
        A::TYPE.to_owned(),
        sample.event_type.clone(),
        sample.event_version.clone(),
        serde_json::from_str(&sample.payload).unwrap(),
        json!({}),
    );
    let newest = upcast::to_newest(row).unwrap_or_else(|error| fail(&error));
    let envelope = EventEnvelope::<A>::try_from(newest.clone()).unwrap_or_else(|error| fail(&error));
    assert_eq!(envelope.payload.event_type(), sample.event_type, "{}", sample.file);
    if sample.event_type != "redacted" {
        assert_eq!(envelope.payload.event_version(), newest.event_version, "{}", sample.file);
    }
    A::default().apply(envelope.payload);
}

#[test]
fn every_version_of_every_event_has_a_sample() {
    let kept: BTreeSet<_> = corpus().into_iter().map(|sample| (sample.event_type, sample.event_version)).collect();
    let ever: BTreeSet<_> = EventType::ALL
        .into_iter()
        .flat_map(|known| known.versions().map(move |version| (known.as_str().to_owned(), version.to_owned())))
        .collect();
    assert_eq!(kept, ever, "what was stored once stays in the corpus");
}

#[test]
fn every_event_ever_stored_is_read_by_those_downstream() {
    for sample in corpus() {
        Event::decode(&sample.event_type, &sample.event_version, sample.payload.as_bytes())
            .unwrap_or_else(|error| panic!("{}: {error}", sample.file));
    }
}

#[test]
fn every_event_ever_stored_is_read_by_the_aggregates_it_belongs_to() {
    for sample in corpus() {
        match EventType::parse(&sample.event_type).unwrap() {
            EventType::AthleteRegistered | EventType::ProfileUpdated | EventType::AccountErased => {
                assert_read_by::<Athlete>(&sample);
            }
            EventType::WorkoutLogged
            | EventType::WorkoutImported
            | EventType::WorkoutEdited
            | EventType::WorkoutDeleted => assert_read_by::<Workout>(&sample),
            EventType::MeasurementRecorded => assert_read_by::<Measurement>(&sample),
            EventType::PrivacyZonesSet => assert_read_by::<PrivacyZones>(&sample),
            EventType::Redacted => {
                assert_read_by::<PrivacyZones>(&sample);
                assert_read_by::<Measurement>(&sample);
                assert_read_by::<Athlete>(&sample);
                assert_read_by::<Workout>(&sample);
            }
        }
    }
}
