//! The committed corpus: every event in every version it ever had, as it was stored. One folder for the tests of all who
//! read events; another crate's take it with `#[path = "<here>/domain/tests/support/corpus.rs"] mod corpus;`.
#![allow(dead_code, reason = "each test file takes what it needs")]
use std::{fs, path::PathBuf};

/// One file of the corpus.
pub struct Sample {
    /// `<event_type>.v<version>[.<variant>].json`
    pub file: String,
    /// The stored type.
    pub event_type: String,
    /// The stored version.
    pub event_version: String,
    /// The payload, byte for byte.
    pub payload: String,
}

impl Sample {
    fn read(path: PathBuf) -> Self {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut parts = file.split('.');
        let event_type = parts.next().unwrap().to_owned();
        let event_version = parts.next().and_then(|part| part.strip_prefix('v')).unwrap().to_owned();
        Self { payload: fs::read_to_string(path).unwrap(), event_type, event_version, file }
    }
}

/// The whole corpus, by the names of its files; at least one sample of every version of every type.
pub fn corpus() -> Vec<Sample> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../domain/tests/stored");
    let mut samples: Vec<Sample> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(Sample::read)
        .collect();
    samples.sort_by(|a, b| a.file.cmp(&b.file));
    samples
}
