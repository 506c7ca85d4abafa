//! The `OpenAPI` documents against `OpenAPI` 3.1, and against the running services: schemathesis makes requests of them, right and wrong, and holds every answer
//! against what is described, alone and one after the other along the documents' links. The same requests in every run; `FITTRACK_LONG=1` makes others, and
//! more of them.
//!
//! `contract/schemathesis.toml` says what is checked and names each exception; `contract/hooks.py` gives right requests what a document cannot say.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

mod contract {
    mod limits;
}

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fittrack_journeys::{Athlete, Call, TestStack, recordings};
use fittrack_local::artifacts;
use serde_json::{Value, json};
use tokio::process::Command;

/// Far beyond what a slow machine needs.
const DEADLINE: Duration = Duration::from_secs(900);

async fn holds(service: &str) {
    let Some(schemathesis) = artifacts::or_skip(artifacts::schemathesis()).unwrap() else { return };
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Contract").await.unwrap();
    let is_long = std::env::var("FITTRACK_LONG").as_deref() == Ok("1");
    let (examples, seed) = if is_long { ("300", rand::random::<u32>()) } else { ("20", 7) };
    eprintln!("seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let there = Something::of(&athlete, folder.path()).await;
    let other = stack.api().unwrap().register("Contract's other").await.unwrap();
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract");
    let mut command = Command::new("python3");
    command.args(["-m", "schemathesis.cli", "--config-file"]).arg(settings.join("schemathesis.toml")).arg("run");
    command.arg(format!("{}/openapi.json", stack.url(service).unwrap()));
    command.args(["--no-color", "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"]);
    command.args(["--max-examples", examples, "--seed", &seed.to_string(), "--generation-database", "none"]);
    command.env("CONTRACT_HOOKS", settings.join("hooks.py")).env("CONTRACT_FILES", folder.path());
    for (name, value) in [
        ("ACCESS_TOKEN", &athlete.renewed().await.unwrap()),
        ("PASSWORD", &athlete.password),
        ("OTHER_EMAIL", &other.email),
        ("OTHER_PASSWORD", &other.password),
        ("ATHLETE_ID", &athlete.id.to_string()),
        ("WORKOUT_ID", &there.workout_id),
        ("RECORDED_ID", &there.recorded_id),
        ("CONSISTENCY_TOKEN", &there.consistency_token),
    ] {
        command.env(format!("CONTRACT_{name}"), value);
    }
    command.env("PYTHONPATH", schemathesis).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(&folder);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{service}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{said}");
    for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(said.contains(&format!("✅ {phase}")), "{phase} was left out:\n{said}");
    }
}

/// What an athlete has, so that there is something to ask for.
struct Something {
    workout_id: String,
    recorded_id: String,
    /// With which all of it is seen.
    consistency_token: String,
}

impl Something {
    /// Logs, imports and measures; leaves files to import in the folder.
    async fn of(athlete: &Athlete, folder: &Path) -> Self {
        let activities = recordings::invented().unwrap();
        for file in &activities.first().unwrap().files {
            std::fs::write(folder.join(format!("activity.{}", file.format.as_str())), &file.bytes).unwrap();
        }
        let file = activities.last().unwrap().files.first().unwrap();
        let recorded = athlete.import(file.format.content_type(), file.bytes.clone(), "public").await.unwrap();
        for day in 1..=3 {
            let body = json!({"kind": "mass_kg", "value": 70 + day, "measured_on": format!("2026-10-0{day}")});
            let answer = athlete.send(&Call::post("/v1/me/measurements").json(&body)).await.unwrap();
            answer.expecting(202).unwrap();
        }
        let run =
            json!({"sport": "run", "started_at": "2026-10-31T07:00:00Z", "duration_s": 3600, "visibility": "public"});
        let logged = athlete.log(&run).await.unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            workout_id: text(&logged.json()["id"]),
            recorded_id: text(&recorded.json()["workouts"][0]["id"]),
            consistency_token: logged.token(),
        }
    }
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
