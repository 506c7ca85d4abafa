//! The bills of materials: complete by cargo's own account and by the lock file, and valid as `CycloneDX` by its own library.
#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fittrack_local::artifacts;
use fittrack_local::sbom::{Graph, PROGRAMS, of_program};
use serde_json::Value;

/// What holds a bill against the schema of `CycloneDX`, strictly.
const CHECK: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
for path in sys.argv[1:]:
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(path).read())
    if error: sys.exit(f'{path}: {error}')
print('valid')
";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

fn bills() -> Vec<(&'static str, Value)> {
    let graph = Graph::of(&repository()).unwrap();
    PROGRAMS.into_iter().map(|program| (program, of_program(&graph, program).unwrap())).collect()
}

/// Name and version of every component.
fn listed(bill: &Value) -> BTreeSet<String> {
    let name = |component: &Value| {
        format!("{} {}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap())
    };
    bill["components"].as_array().unwrap().iter().map(name).collect()
}

/// What cargo's own tree of a program has, without the program.
fn tree(program: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["tree", "--locked", "--package", program, "--edges", "normal,build", "--prefix", "none"]);
    let output = cargo.args(["--format", "{p}"]).current_dir(repository()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let package = |line: &str| {
        let mut words = line.split(' ');
        Some(format!("{} {}", words.next()?, words.next()?.strip_prefix('v')?))
    };
    text.lines().filter_map(package).filter(|package| !package.starts_with(&format!("{program} "))).collect()
}

/// Every package of the lock file with its checksum.
fn lock() -> BTreeMap<String, Option<String>> {
    let text = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let value = |entry: &str, key: &str| {
        let line = entry.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
        line.map(|rest| rest.trim_end_matches('"').to_owned())
    };
    let package = |entry: &str| {
        let name = format!("{} {}", value(entry, "name").unwrap(), value(entry, "version").unwrap());
        (name, value(entry, "checksum"))
    };
    text.split("[[package]]").skip(1).map(package).collect()
}

#[test]
fn every_package_of_the_lock_file_that_a_program_is_built_from_is_listed() {
    let lock = lock();
    for (program, bill) in bills() {
        let listed = listed(&bill);
        let missing: Vec<_> = tree(program).difference(&listed).cloned().collect();
        assert!(missing.is_empty(), "{program} lacks {missing:?}");
        for package in &listed {
            assert!(lock.contains_key(package), "{program} lists {package}, which is not in the lock file");
        }
        assert!(listed.len() > 100, "{program}: {}", listed.len());
        for other in PROGRAMS.into_iter().filter(|other| *other != program).chain(["fittrack-journeys", "proptest"]) {
            assert!(!listed.iter().any(|package| package.starts_with(&format!("{other} "))), "{program} lists {other}");
        }
    }
}

#[test]
fn each_package_has_its_hash_its_licence_and_whether_it_is_in_the_program() {
    let lock = lock();
    for (program, bill) in bills() {
        let components = bill["components"].as_array().unwrap();
        for component in components {
            let name = format!("{} {}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap());
            let hash = component["hashes"][0]["content"].as_str().map(str::to_owned);
            assert_eq!(hash, lock[&name], "{name}");
            assert!(component["licenses"][0]["expression"].is_string(), "{name}");
        }
        let scope =
            |name: &str| components.iter().find(|one| one["name"] == name).map(|one| one["scope"].clone()).unwrap();
        assert_eq!((scope("tokio"), scope("serde")), ("required".into(), "required".into()), "{program}");
        assert_eq!((scope("serde_derive"), scope("cc")), ("excluded".into(), "excluded".into()), "{program}");
    }
}

#[test]
fn the_same_sources_give_the_same_bill() {
    assert_eq!(bills(), bills());
}

#[test]
fn the_bills_are_valid_cyclonedx() {
    let Some(library) = artifacts::or_skip(artifacts::cyclonedx_python_lib()).unwrap() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", CHECK]).env("PYTHONPATH", library).env("PYTHONDONTWRITEBYTECODE", "1");
    for (program, bill) in bills() {
        let path = folder.path().join(format!("{program}.cdx.json"));
        fs::write(&path, bill.to_string()).unwrap();
        python.arg(path);
    }
    let output = python.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "valid", "{}", String::from_utf8_lossy(&output.stderr));
}
