//! The checker itself: each invariant, broken on purpose, is found. A checker that finds nothing would prove nothing.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

use std::io::Write;

use fittrack_journeys::invariants::Scope;
use fittrack_journeys::ledger::{Entry, Fate, Ledger};
use fittrack_journeys::patience::until;
use fittrack_journeys::writers::{Plan, Writers};
use fittrack_journeys::{Call, TestStack, bodies, invariants};
use serde_json::json;
use uuid::Uuid;

/// As the administrator: what no role of FitTrack may do.
const LOSE_AN_EVENT: [&str; 3] = [
    "ALTER TABLE events DISABLE TRIGGER events_are_never_changed",
    "DELETE FROM events WHERE (partition, position) IN (
        SELECT partition, min(position) + 1 FROM events GROUP BY partition HAVING count(*) > 2 LIMIT 1)",
    "ALTER TABLE events ENABLE TRIGGER events_are_never_changed",
];
const SPOIL_READ_MODELS: [&str; 5] = [
    // Not just any: the one whose event is lost is found as one too many.
    "UPDATE workouts_v1.workouts SET perceived_exertion = 11 WHERE title = 'refused'",
    "UPDATE profiles_v1.profiles SET bio = 'nobody wrote this' WHERE athlete_id =
        (SELECT athlete_id FROM profiles_v1.profiles LIMIT 1)",
    "UPDATE leaderboards_v2.leaderboards SET moving_ms = moving_ms + 1 WHERE workouts > 0",
    "UPDATE checkpoints SET position = position + 1000 WHERE worker = 'totals.v1' AND partition =
        (SELECT max(partition) FROM checkpoints WHERE position > 0)",
    "INSERT INTO parked_events (worker, owner_id, partition, position, event)
        VALUES ('totals.v1', '01980000-0000-7000-8000-000000000000', 0, 1, '{}')",
];

async fn small_load(stack: &TestStack) -> Ledger {
    let plan = Plan { athletes: 2, writers_each: 1, ..Plan::default() };
    let writers = Writers::start(&stack.api().unwrap(), plan).await.unwrap();
    writers.more(30).await.unwrap();
    let ledger = writers.stop().await.unwrap();
    // A recording for certain, whatever the writers happened to do.
    let file = fittrack_journeys::recordings::invented().unwrap().remove(0).files.remove(0);
    ledger.athletes[0].import(file.format.content_type(), file.bytes, "public").await.unwrap();
    ledger
}

/// A ledger whose entries say other things than what happened.
async fn forge(stack: &TestStack, ledger: &mut Ledger) {
    let athlete = ledger.athletes[0].clone();
    let forged = |mark: &str, call: &Call, fate: Fate| Entry {
        athlete: Some(athlete.clone()),
        call: call.clone(),
        mark: mark.to_owned(),
        fate,
    };
    let call = |mark: &str| {
        let body = bodies::with(bodies::run("2025-01-05T06:00:00Z"), json!({"title": mark}));
        Call::post("/v1/workouts").json(&body).key(mark)
    };
    // Acknowledged, and nowhere to be found.
    ledger.entries.push(forged("lost", &call("lost-key"), Fate::Stored { id: Uuid::now_v7(), version: 1 }));
    // Refused, and there all the same; unknown, there, and its retry stores it once more.
    let api = stack.api().unwrap();
    for mark in ["refused", "unknown"] {
        api.send_as(&call(mark), Some(&athlete.access_token())).await.unwrap().expecting(202).unwrap();
    }
    ledger.entries.push(forged("refused", &call("refused"), Fate::Refused(422)));
    let again = bodies::with(bodies::run("2025-01-05T06:00:00Z"), json!({"title": "unknown"}));
    let again = Call::post("/v1/workouts").json(&again).key("another-key");
    ledger.entries.push(forged("unknown", &again, Fate::Unknown));
}

/// How many stored events the command API calls unproven; somebody is paged while it is not 0.
async fn unproven(stack: &TestStack) -> Result<f64, String> {
    let url = format!("{}/metrics", stack.private_url("command-api").map_err(|error| error.to_string())?);
    let answer = reqwest::get(url).await.map_err(|error| error.to_string())?;
    let metrics = answer.text().await.map_err(|error| error.to_string())?;
    let is_ours =
        |line: &&str| line.starts_with("fittrack_unproven_events{") && line.contains(r#"hop="store_to_road""#);
    let value = metrics.lines().find(is_ours).and_then(|line| line.rsplit(' ').next());
    value.and_then(|value| value.parse().ok()).ok_or_else(|| "there is no such metric".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broken_invariant_is_found() {
    let stack = TestStack::start().await.unwrap();
    let mut ledger = small_load(&stack).await;
    invariants::hold(&stack, &ledger, "nothing at all").await.unwrap();

    forge(&stack, &mut ledger).await;
    ledger.outrages.push("POST / answered 500".to_owned());
    invariants::drained(&stack).await.unwrap();
    for service in ["projectors", "query-api"] {
        // Nobody may mend or serve what is spoilt now.
        stack.stop_process(service).await.unwrap();
    }
    let (mut store, mut read_models) = (stack.event_store().await.unwrap(), stack.read_models().await.unwrap());
    let is = |wanted: fn(f64) -> bool| {
        let stack = &stack;
        async move || match unproven(stack).await? {
            events if wanted(events) => Ok(()),
            events => Err(format!("{events} events are unproven")),
        }
    };
    until("every event is proven", is(|events| events == 0.0)).await.unwrap();
    for statement in LOSE_AN_EVENT {
        sqlx::query(statement).execute(&mut store).await.unwrap();
    }
    until("the metric says that events are not proven any more", is(|events| events > 0.0)).await.unwrap();
    for statement in SPOIL_READ_MODELS {
        sqlx::query(statement).execute(&mut read_models).await.unwrap();
    }
    let lose_a_blob = "DELETE FROM blobs WHERE sha256 = (SELECT sha256 FROM blobs LIMIT 1)";
    sqlx::query(lose_a_blob).execute(&mut stack.recordings().await.unwrap()).await.unwrap();
    let lose_an_account = "DELETE FROM accounts WHERE athlete_id = $1";
    let another = sqlx::query(lose_an_account).bind(ledger.athletes[1].id);
    another.execute(&mut stack.identity().await.unwrap()).await.unwrap();
    let log = std::fs::OpenOptions::new().append(true).open(stack.log_path("query-api"));
    writeln!(log.unwrap(), "signed in: {}", ledger.athletes[0].email).unwrap();

    let scope = Scope { catch_up: false, kafka: true, served: false };
    let found = invariants::found(&stack, &ledger, scope).await.unwrap().to_string();
    for (invariant, by) in [
        ("I1", "is not in the log"),
        ("I1 (accounts)", "is registered, the account is None"),
        ("I1 (blobs)", "which is not there"),
        ("I2", "was refused"),
        ("I3", "its retry says"),
        ("I4", "partition"),
        ("I4, I5 (command-api check)", "I4: partition"),
        ("I4, I5 (command-api check)", "has no event at position"),
        ("I8", "and Kafka has"),
        ("I6", "workouts of"),
        ("I6", "profiles of"),
        ("I6", "leaderboards of"),
        ("I7", "totals.v1 is at"),
        ("I8", "has parked position"),
        ("I8", "totals.v1 has processed"),
        ("I9", "shows an e-mail address"),
        ("no answer is", "500"),
    ] {
        let is_named = found.lines().any(|line| line.trim_start().starts_with(invariant) && line.contains(by));
        assert!(is_named, "{invariant} ({by}) is not found in:\n{found}");
    }
    assert!(!found.contains(&ledger.athletes[0].email), "the finding itself shows the address:\n{found}");

    // Every stack looks for itself when it ends, and the address is still in a log of this one.
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(stack))).unwrap_err();
    let complaint = ended.downcast_ref::<String>().unwrap();
    let is_named = complaint.lines().any(|line| line.contains("query-api.log:") && line.contains("an e-mail address"));
    assert!(is_named && !complaint.contains(&ledger.athletes[0].email), "{complaint}");
}
