//! The `OpenAPI` documents against `OpenAPI` 3.1, and against the running services: schemathesis makes requests of them, right and wrong, and holds every answer
//! against what is described. The same requests in every run; `FITTRACK_LONG=1` makes others, and more of them.
//!
//! One check is left out: that whatever a schema allows is accepted. What we give out ourselves (consistency tokens, cursors, keys,
//! versions) is text to a client, and text that nobody was given is refused.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail loudly as the test itself does")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fittrack_journeys::TestStack;
use fittrack_local::artifacts;
use tokio::process::Command;

const LEFT_OUT: &str = "positive_data_acceptance";
/// Would end the session all other requests are made with.
const ENDS_THE_SESSION: [&str; 2] = ["sign_out", "end_session"];
/// Far beyond what a slow machine needs.
const DEADLINE: Duration = Duration::from_secs(600);

async fn holds(service: &str) {
    let Ok(schemathesis) = artifacts::schemathesis() else {
        eprintln!("SKIPPED: schemathesis cannot be fetched: it needs python3 with pip, and a package index");
        return;
    };
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Contract").await.unwrap();
    let is_long = std::env::var("FITTRACK_LONG").as_deref() == Ok("1");
    let (examples, seed) = if is_long { ("300", rand::random::<u32>()) } else { ("20", 7) };
    eprintln!("seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("python3");
    command
        .args(["-m", "schemathesis.cli", "run"])
        .arg(format!("{}/openapi.json", stack.url(service).unwrap()))
        .args(["--no-color", "--checks", "all", "--exclude-checks", LEFT_OUT, "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", examples, "--seed", &seed.to_string(), "--generation-database", "none"])
        .arg("--header")
        .arg(format!("Authorization: Bearer {}", athlete.renewed().await.unwrap()));
    for operation in ENDS_THE_SESSION {
        command.args(["--exclude-operation-id", operation]);
    }
    command.env("PYTHONPATH", schemathesis).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(&folder);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{service}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("generated"), "it made no request:\n{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_api_does_what_its_document_says() {
    holds("command-api").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_api_does_what_its_document_says() {
    holds("query-api").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_are_valid_by_openapi_3_1() {
    let Ok(validator) = artifacts::openapi_spec_validator() else {
        eprintln!("SKIPPED: openapi-spec-validator cannot be fetched: it needs python3 with pip, and a package index");
        return;
    };
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi");
    let mut command = Command::new("python3");
    command.args(["-m", "openapi_spec_validator", "--schema", "3.1", "--validation-errors", "all"]);
    command.args(["command-api.yaml", "query-api.yaml"]).current_dir(documents);
    command.env("PYTHONPATH", validator).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches(": OK").count(), 2, "{said}");
}
