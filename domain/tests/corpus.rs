//! Every event that was ever stored in some form is still read: the files of `stored/`, of all versions, by everybody.
//! A file is named by its type and version; once committed it stays, also when the type gets a newer version.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]
use std::{fs, path::PathBuf};

use cqrs_es::{Aggregate, DomainEvent};
use fittrack_domain::{athlete::Athlete, event::Event, workout::Workout};
use serde::de::DeserializeOwned;

/// One file of the corpus.
struct Sample {
    file: String,
    event_type: String,
    event_version: String,
    payload: String,
}

impl Sample {
    /// Reads `<event_type>.v<version>[.<variant>].json`.
    fn read(path: PathBuf) -> Self {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut parts = file.split('.');
        let event_type = parts.next().unwrap().to_owned();
        let event_version = parts.next().and_then(|part| part.strip_prefix('v')).unwrap().to_owned();
        Self { payload: fs::read_to_string(path).unwrap(), event_type, event_version, file }
    }

    /// Asserts that the aggregate reads and applies the event.
    fn is_read_by<A: Aggregate>(&self)
    where
        A::Event: DomainEvent + DeserializeOwned,
    {
        let event: A::Event =
            serde_json::from_str(&self.payload).unwrap_or_else(|error| panic!("{} by {}: {error}", self.file, A::TYPE));
        assert_eq!(event.event_type(), self.event_type, "{}", self.file);
        A::default().apply(event);
    }
}

fn corpus() -> Vec<Sample> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stored");
    let mut samples: Vec<Sample> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(Sample::read)
        .collect();
    samples.sort_by(|a, b| a.file.cmp(&b.file));
    samples
}

#[test]
fn every_event_ever_stored_is_read_by_those_downstream() {
    let samples = corpus();
    assert!(samples.len() >= 7, "the corpus is there");
    for sample in samples {
        Event::decode(&sample.event_type, &sample.event_version, sample.payload.as_bytes())
            .unwrap_or_else(|error| panic!("{}: {error}", sample.file));
    }
}

#[test]
fn every_event_ever_stored_is_read_by_the_aggregates_it_belongs_to() {
    for sample in corpus() {
        match sample.event_type.as_str() {
            "athlete_registered" | "profile_updated" => sample.is_read_by::<Athlete>(),
            "workout_logged" | "workout_imported" | "workout_edited" | "workout_deleted" => {
                sample.is_read_by::<Workout>();
            }
            "redacted" => {
                sample.is_read_by::<Athlete>();
                sample.is_read_by::<Workout>();
            }
            other => panic!("say here to which aggregates {other} belongs"),
        }
    }
}
