//! The committed schemas of exports are the ones the code has, and they are schemas.
//! `FITTRACK_BLESS=1 cargo test -p fittrack-schemas --test export_schemas` writes them anew: look whether an older export is
//! still valid under them, and whether this program still reads one; else it is another version of the form.
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]
use std::{fs, path::PathBuf};

use fittrack_schemas::export::{ExportDocument, export_schemas};
use serde_json::{Value, json};

fn committed(file_name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("export").join(file_name)
}

/// An export with nothing in it that may be left out.
fn least() -> Value {
    json!({
        "$schema": "https://fittrack.dev/schemas/export/export.v1.json", "format_version": 1, "exported_at": "2026-11-01T12:00:00Z",
        "athlete": {"id": "00000000-0000-0000-0000-000000000001", "display_name": "Ann", "time_zone": "Europe/Berlin"},
        "measurements": [{"kind": "mass_kg", "measured_on": "2026-10-31", "value": 71.5}],
        "workouts": [{
            "id": "00000000-0000-0000-0000-000000000002", "sport": "run", "started_at": "2026-10-01T06:30:00Z",
            "time_zone": "Europe/Berlin", "local_date": "2026-10-01", "duration_s": 1800.0, "visibility": "private"
        }]
    })
}

#[test]
fn the_committed_schemas_are_those_of_the_code() {
    for made in export_schemas() {
        let path = committed(made.file_name);
        let text = serde_json::to_string_pretty(&made.schema).unwrap() + "\n";
        if std::env::var_os("FITTRACK_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == text, "{} is out of date: run this test with FITTRACK_BLESS=1", made.file_name);
        assert!(jsonschema::draft202012::meta::is_valid(&made.schema), "{}", made.file_name);
    }
}

#[test]
fn the_least_an_export_says_is_valid_and_is_read() {
    let [document, _] = export_schemas();
    assert!(jsonschema::draft202012::is_valid(&document.schema, &least()));
    assert!(serde_json::from_value::<ExportDocument>(least()).is_ok());
}

#[test]
fn a_member_too_few_is_refused_and_one_too_many_is_passed_over() {
    let [document, _] = export_schemas();
    for (pointer, member) in [("", "format_version"), ("/athlete", "time_zone"), ("/workouts/0", "duration_s")] {
        let mut bad = least();
        bad.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(member).unwrap();
        assert!(!jsonschema::draft202012::is_valid(&document.schema, &bad), "{member}");
    }
    let mut newer = least();
    newer["athlete"]["privacy_zones"] = json!([]);
    assert!(jsonschema::draft202012::is_valid(&document.schema, &newer));
    assert!(serde_json::from_value::<ExportDocument>(newer).is_ok());
}
