//! The shape of the repository: which crate may know of which, and what stands at its top.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const SERVICES: [&str; 3] = ["command-api", "projectors", "query-api"];
const TOP: [&str; 8] =
    ["Cargo.toml", "README.md", "command-api", "deploy", "domain", "projectors", "query-api", "schemas"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

/// Our crates, and which of ours each one depends on, for itself or for its tests.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--offline", "--no-deps", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(repository()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let ours = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap();
        dependencies.iter().filter(|dependency| dependency["path"].is_string()).map(name).collect()
    };
    packages.iter().map(|package| (name(package), ours(package))).collect()
}

#[test]
fn no_service_knows_another_and_nothing_below_knows_what_is_above() {
    let arrows = arrows();
    let tools = ["fittrack-local"];
    let allowed: [(&str, &[&str]); 7] = [
        ("fittrack-domain", &[]),
        ("fittrack-schemas", &["fittrack-domain"]),
        ("fittrack-client", &[]),
        ("fittrack-runtime", &["fittrack-domain", "fittrack-schemas"]),
        ("command-api", &["fittrack-domain", "fittrack-schemas", "fittrack-runtime"]),
        ("projectors", &["fittrack-domain", "fittrack-schemas", "fittrack-runtime"]),
        ("query-api", &["fittrack-domain", "fittrack-schemas", "fittrack-runtime"]),
    ];
    for (name, may) in allowed {
        for other in &arrows[name] {
            // The local stack may serve a crate's tests; it is no part of any program.
            let may_use = may.contains(&other.as_str()) || tools.contains(&other.as_str());
            assert!(may_use, "{name} must not depend on {other}");
        }
    }
    for service in SERVICES {
        assert!(arrows.contains_key(service), "{service} is a crate of the workspace");
    }
    // These see everything from outside, as an app and an operator do, through no code of the services.
    for outside in ["fittrack-local", "fittrack-journeys"] {
        let inside: Vec<_> = arrows[outside].iter().filter(|other| SERVICES.contains(&other.as_str())).collect();
        assert!(inside.is_empty(), "{outside} must not depend on {inside:?}");
    }
}

#[test]
fn the_top_of_the_repository_is_the_eight_names() {
    let ignored = std::fs::read_to_string(repository().join(".gitignore")).unwrap_or_default();
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let mut found: Vec<String> = std::fs::read_dir(repository())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && !ignored.contains(&name.as_str()) && name != "Cargo.lock")
        .collect();
    found.sort_unstable();
    assert_eq!(found, TOP);
}
