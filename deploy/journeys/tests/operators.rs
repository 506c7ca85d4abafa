//! The operators' command lines over a real stack: what programs may rely on in their JSON, and what people are shown.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail loudly as the test itself does")]

use std::process::{Output, Stdio};

use fittrack_journeys::recordings;
use fittrack_journeys::{TestStack, bodies};
use serde_json::Value;
use tokio::process::Command;

/// `deploy/fittrack`, as the script runs it once everything is built.
async fn fittrack(stack: &TestStack, arguments: &[&str]) -> Output {
    Command::new(stack.binaries().unwrap().join("fittrack-local"))
        .args(arguments)
        .env("FITTRACK_DIR", stack.dir())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

/// What it prints where it must succeed.
async fn said(stack: &TestStack, arguments: &[&str]) -> String {
    let output = fittrack(stack, arguments).await;
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?} ended with {}:\n{text}\n{errors}", output.status);
    text.into_owned()
}

async fn json(stack: &TestStack, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(stack, arguments).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_names_every_process_and_every_address() {
    let stack = TestStack::shared().await.unwrap();
    let status = json(&stack, &["status", "--json"]).await;
    let processes = status["processes"].as_array().unwrap();
    let names: Vec<&str> = processes.iter().map(|process| process["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["postgres", "kafka", "command-api", "projectors", "query-api"]);
    for process in processes {
        assert!(process["pid"].as_i64().unwrap() > 1 && process["ready"] == true, "{process}");
        assert!(process["url"].is_string(), "{process}");
    }
    assert_eq!(status["command_api"], stack.url("command-api").unwrap());
    assert_eq!(status["query_api"], stack.url("query-api").unwrap());
    assert_eq!(status["kafka"], stack.kafka_brokers().unwrap());
    for (key, database) in [
        ("event_store_url", "event_store"),
        ("identity_url", "identity"),
        ("read_models_url", "read_models"),
        ("recordings_url", "recordings"),
    ] {
        assert_eq!(status[key], stack.database_url(database).unwrap(), "{key}");
    }

    let table = said(&stack, &["status"]).await;
    assert!(names.iter().all(|name| table.contains(name)), "{table}");
    assert!(!table.contains("postgres:") || !table.contains('@'), "the table shows a password:\n{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn projectors_say_how_far_they_are() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Operated").await.unwrap();
    let logged = athlete.log(&bodies::run("2025-01-05T06:00:00Z")).await.unwrap();
    athlete.get_seeing("/v1/me/analytics/totals?by=week", &logged.token()).await.unwrap();
    // The others are on their way.
    fittrack_journeys::invariants::drained(&stack).await.unwrap();

    let status = json(&stack, &["projectors", "status", "--json"]).await;
    let projections = status["projections"].as_array().unwrap();
    let mut names: Vec<&str> = projections.iter().map(|one| one["projection"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["leaderboards", "measurements", "privacy_zones", "profiles", "totals", "workouts"]);
    for one in projections {
        // A new installation begins with the newest version of each, and has no other.
        let newest = if one["projection"] == "leaderboards" { 2 } else { 1 };
        assert_eq!((one["version"].as_i64(), one["generation"].as_i64()), (Some(newest), Some(1)), "{one}");
        assert_eq!((&one["state"], &one["shown"]), (&"live".into(), &true.into()), "{one}");
        assert_eq!(one["parked_keys"].as_i64(), Some(0), "{one}");
        assert!(one["position"].as_i64().unwrap() >= 2, "{one}");
        for number in ["lag_events", "lag_seconds", "heartbeat_age_seconds"] {
            assert!(one[number].as_f64().unwrap() >= 0.0, "{number}: {one}");
        }
    }
    let table = said(&stack, &["projectors", "status"]).await;
    assert!(names.iter().all(|name| table.contains(name)), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn projectors_explain_a_row_and_fold_an_owner_anew() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Explained").await.unwrap();
    let logged = athlete.log(&bodies::run("2025-01-05T06:00:00Z")).await.unwrap();
    athlete.get_seeing("/v1/me/analytics/totals?by=week", &logged.token()).await.unwrap();
    fittrack_journeys::invariants::drained(&stack).await.unwrap();

    let workout = logged.id().unwrap().to_string();
    let explained = json(&stack, &["projectors", "explain", "workouts", &workout, "--json"]).await;
    assert_eq!((&explained["events"], &explained["steps"][0]["row"]["workout_id"]), (&1.into(), &workout.into()));

    let owner = athlete.id.to_string();
    for arguments in [&["--dry-run"][..], &["--reason", "a test's"]] {
        let rebuild = [&["projectors", "rebuild", "totals", "--owner", &owner][..], arguments].concat();
        let said = said(&stack, &rebuild).await;
        assert!(said.contains("1 events, 1 rows before, 1 after: they are what the log says"), "{said}");
    }
    let decisions = json(&stack, &["projectors", "audit", "--json"]).await;
    let of_owner = |decision: &&serde_json::Value| decision["owner_id"] == owner.as_str();
    let decision = decisions["decisions"].as_array().unwrap().iter().find(of_owner).unwrap();
    assert_eq!((&decision["action"], &decision["reason"]), (&"owner_rebuilt".into(), &"a test's".into()), "{decision}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_a_sound_store_finds_nothing() {
    let stack = TestStack::shared().await.unwrap();
    stack.api().unwrap().register("Checked").await.unwrap();
    fittrack_journeys::invariants::drained(&stack).await.unwrap();
    let report = json(&stack, &["command-api", "check", "--json"]).await;
    assert!(report["events"].as_i64().unwrap() >= 1, "{report}");
    assert!(report["proven"].as_i64().unwrap() >= 1, "{report}");
    assert!(report["unproven"].as_i64().unwrap() >= 0, "{report}");
    assert_eq!(report["violations"], serde_json::json!([]), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_shows_a_list_weekly_totals_and_a_leaderboard() {
    let stack = TestStack::shared().await.unwrap();
    let text = said(&stack, &["demo"]).await;
    for expected in ["imported", "stored", "readable", " ms", "Workouts", "Weekly totals", "Leaderboard", "Demo "] {
        assert!(text.contains(expected), "{expected:?} is not shown:\n{text}");
    }
    assert_eq!(text.matches("(stored)").count(), 3, "three recordings, one in each format:\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_imports_the_files_it_is_given() {
    let stack = TestStack::shared().await.unwrap();
    let mut paths = Vec::new();
    let folder = stack.dir().join("given");
    std::fs::create_dir_all(&folder).unwrap();
    let groups = recordings::invented().unwrap();
    for file in &groups[0].files {
        let path = folder.join(&file.name);
        std::fs::write(&path, &file.bytes).unwrap();
        paths.push(path.display().to_string());
    }
    let arguments: Vec<&str> = std::iter::once("demo").chain(paths.iter().map(String::as_str)).collect();
    let text = said(&stack, &arguments).await;
    assert_eq!((text.matches("(stored)").count(), text.matches("(duplicate)").count()), (1, 2), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_use_and_missing_stacks_are_told_apart() {
    let stack = TestStack::shared().await.unwrap();
    let wrong = fittrack(&stack, &["status", "--colour"]).await;
    assert_eq!(wrong.status.code(), Some(2));
    let missing = fittrack(&stack, &["status", "--dir", "/nowhere/at/all"]).await;
    assert_eq!(missing.status.code(), Some(1));
    let text = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(text.contains("what to do"), "{text}");
}
