//! The `OpenAPI` documents against `OpenAPI` 3.1, and against the running services: schemathesis makes requests of them, right and wrong, and holds every answer
//! against what is described, alone and one after the other along the documents' links. The same requests in every run; `FITTRACK_LONG=1` makes others, and
//! more of them.
//!
//! Before it begins [`contract::there`] makes what there is to ask for; afterwards [`contract::answers`] say that every operation was
//! done at least once. `contract/schemathesis.toml` says what is checked and names each exception; `contract/hooks.py` gives right requests what a document cannot say.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

mod contract {
    pub mod answers;
    mod limits;
    pub mod there;
}

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fittrack_journeys::TestStack;
use fittrack_local::artifacts;
use serde_json::Value;
use tokio::process::Command;

use contract::answers::Answers;
use contract::there;

/// Far beyond what a slow machine needs.
const DEADLINE: Duration = Duration::from_secs(900);

async fn holds(service: &str) {
    let Some(schemathesis) = artifacts::or_skip(artifacts::schemathesis()).unwrap() else { return };
    let stack = TestStack::shared().await.unwrap();
    let is_long = std::env::var("FITTRACK_LONG").as_deref() == Ok("1");
    let (examples, seed) = if is_long { ("300", rand::random::<u32>()) } else { ("20", 7) };
    eprintln!("seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let access_token = there::prepare(&stack, folder.path()).await;
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract");
    let mut command = Command::new("python3");
    command.args(["-m", "schemathesis.cli", "--config-file"]).arg(settings.join("schemathesis.toml")).arg("run");
    command.arg(format!("{}/openapi.json", stack.url(service).unwrap()));
    command.args(["--no-color", "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"]);
    command.args(["--max-examples", examples, "--seed", &seed.to_string(), "--generation-database", "none"]);
    command.env("CONTRACT_HOOKS", settings.join("hooks.py")).env("CONTRACT_FILES", folder.path());
    command.env("CONTRACT_ACCESS_TOKEN", access_token);
    command.env("PYTHONPATH", schemathesis).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(&folder);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{service}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{said}");
    for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(said.contains(&format!("✅ {phase}")), "{phase} was left out:\n{said}");
    }
    each_operation_was_done(&stack, service, folder.path()).await;
}

/// From where schemathesis reads the document it asks for nothing else.
const DOCUMENT: &str = "show_openapi";

/// Of what was refused each time nothing but refusals was held against the document: [`DOCUMENT`] apart, there is no such operation.
async fn each_operation_was_done(stack: &TestStack, service: &str, folder: &Path) {
    let answers = Answers::read(&folder.join("answers.txt"));
    eprintln!("{service} answered:\n{answers}");
    let document = document(stack, service).await;
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|methods| methods.as_object().unwrap().values());
    let ids: Vec<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert!(ids.len() > 10, "{ids:?}");
    let refused: Vec<_> =
        ids.into_iter().filter(|operation| *operation != DOCUMENT && !answers.are_a_success_of(operation)).collect();
    assert!(refused.is_empty(), "{service} never did {refused:?}:\n{answers}");
}

/// A service's document, as it gives it out.
async fn document(stack: &TestStack, service: &str) -> Value {
    let url = format!("{}/openapi.json", stack.url(service).unwrap());
    reqwest::get(url).await.unwrap().json().await.unwrap()
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
    let Some(validator) = artifacts::or_skip(artifacts::openapi_spec_validator()).unwrap() else { return };
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
