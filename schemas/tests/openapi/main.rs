//! The committed `OpenAPI` documents: what they take away from clients of the published ones, and the style all operations have.
//! That they are what the routes make is tested in the services, that the services do what they say in `deploy/journeys`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]
mod allowed;
mod breaks;
mod breaks_tests;
mod document;
mod form;
mod style;
mod values;

use std::fs;

use breaks::breaks;
use document::{Document, SERVICES, file};

const LIST: &str = "breaks.txt";

/// What clients of the published documents trip over, each with the service it is of.
fn found() -> Vec<String> {
    let of = |service: &str| {
        let [old, new] =
            [format!("published/{service}.yaml"), format!("{service}.yaml")].map(|name| Document::read(&name));
        breaks(&old, &new).into_iter().map(|one| format!("{service} {one}")).collect::<Vec<_>>()
    };
    SERVICES.into_iter().flat_map(of).collect()
}

/// With `FITTRACK_PUBLISH` today's documents become the published ones, and the list is empty again: for a release.
fn publish() {
    for service in SERVICES {
        fs::copy(file(&format!("{service}.yaml")), file(&format!("published/{service}.yaml"))).unwrap();
    }
    let list = fs::read_to_string(file(LIST)).unwrap();
    let head: Vec<&str> = list.lines().take_while(|line| line.starts_with('#')).collect();
    fs::write(file(LIST), head.join("\n") + "\n").unwrap();
}

#[test]
fn clients_of_the_published_documents_lose_nothing_but_what_is_listed_with_a_reason() {
    if std::env::var_os("FITTRACK_PUBLISH").is_some() {
        publish();
    }
    let list = fs::read_to_string(file(LIST)).unwrap();
    let objections = allowed::objections(&allowed::read(&list), &found());
    assert!(
        objections.is_empty(),
        "{}\n\nUndo it: add beside what there is instead of changing it. Where it must be, put the first line of each into \
         schemas/openapi/{LIST}, with the reason in an indented line under it.",
        objections.join("\n")
    );
}

#[test]
fn every_operation_is_described_as_all_are() {
    let of = |service: &str| {
        let objections = style::objections(&Document::read(&format!("{service}.yaml")));
        objections.into_iter().map(|one| format!("{service} {one}")).collect::<Vec<_>>()
    };
    let objections: Vec<String> = SERVICES.into_iter().flat_map(of).collect();
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}
