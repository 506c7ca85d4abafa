//! `--source store`: everything from the event store alone.
use fittrack_domain::values::{Title, Visibility};
use projectors::{
    registry::Road,
    status::{self, Detail},
};
use serde_json::{Value, json};

use crate::{
    given::{History, athlete, metres, run, workout},
    support::{Databases, eventually, run_all},
};

/// A little of everything.
fn some_history() -> History {
    let mut history = History::default();
    history
        .register(athlete(1), "Anna")
        .register(athlete(2), "Ben")
        .log(athlete(1), workout(1), run(|_| {}))
        .import(athlete(2), workout(2), run(|_| {}))
        .log(athlete(2), workout(3), run(|details| details.visibility = Visibility::Private))
        .edit(workout(2), |details| details.title = Some(Title::parse("Ben's run").unwrap()))
        .edit(workout(1), |details| details.distance_m = Some(metres(12_000)))
        .rename(athlete(1), "Anna B.")
        .delete(workout(3));
    history
}

async fn only_row(databases: &Databases, read_model: &str, condition: &str) -> Value {
    let sql = format!("SELECT to_jsonb(r) FROM {read_model} r WHERE {condition}");
    sqlx::query_scalar(&sql).fetch_one(&databases.read_models).await.unwrap()
}

#[tokio::test]
async fn what_is_stored_is_read() {
    let databases = Databases::new().await;
    let history = some_history();
    databases.append(&history.events).await;
    let running = run_all(&databases.parts(), &Road::Store);
    databases.eventually_all_at(history.heads()).await;

    assert_eq!(databases.rows("workouts").await.len(), 2);
    let imported = only_row(&databases, "workouts", "title = 'Ben''s run'").await;
    assert_eq!(imported["version"], 2);
    assert_eq!(imported["recording"]["samples"], 3600);
    assert_eq!(imported["time_zone"], "Europe/Berlin");
    assert_eq!(imported["sets"], Value::Null);
    let anna = only_row(&databases, "profiles", "display_name = 'Anna B.'").await;
    assert_eq!((&anna["version"], &anna["units"], &anna["sex"]), (&json!(2), &json!("metric"), &json!("unspecified")));
    let day = only_row(&databases, "totals", &format!("athlete_id = '{}'", athlete(1))).await;
    assert_eq!(
        (&day["workouts"], &day["distance_mm"], &day["moving_ms"], &day["local_date"]),
        (&json!(1), &json!(12_000_000), &json!(3_500_000), &json!("2026-11-24")),
    );
    // Two athletes, one public workout each, on eight boards.
    assert_eq!(databases.rows("leaderboards").await.len(), 16);
    let board = format!("period = 'week' AND sport = 'all' AND athlete_id = '{}'", athlete(1));
    let score = only_row(&databases, "leaderboards", &board).await;
    assert_eq!((&score["distance_mm"], &score["starts_on"]), (&json!(12_000_000), &json!("2026-11-23")));
    running.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_from_the_checkpoints() {
    let databases = Databases::new().await;
    let mut history = some_history();
    databases.append(&history.events).await;
    let running = run_all(&databases.parts(), &Road::Store);
    databases.eventually_all_at(history.heads()).await;
    running.stop().await;
    assert_eq!(databases.count("SELECT count(*) FROM checkpoints WHERE holder IS NOT NULL").await, 0);

    let stored = history.events.len();
    history.log(athlete(1), workout(4), run(|_| {})).delete(workout(1));
    databases.append(&history.events[stored..]).await;
    let running = run_all(&databases.parts(), &Road::Store);
    databases.eventually_all_at(history.heads()).await;
    running.stop().await;
    let distance = "SELECT distance_mm FROM leaderboards WHERE period = 'all' AND sport = 'all' AND athlete_id = ";
    assert_eq!(databases.count(&format!("{distance}'{}'", athlete(1))).await, 10_000_000);
}

#[tokio::test]
async fn status_tells_lag_holders_and_heartbeats() {
    let databases = Databases::new().await;
    let parts = databases.parts();
    let history = some_history();
    databases.append(&history.events).await;
    let before = status::read(&parts.store, &parts.read_models, Detail::default()).await.unwrap();
    assert!(before.iter().all(|status| status.heartbeat_age_seconds.is_none() && status.holders == 0));
    assert!(before.iter().all(|status| status.lag_events == 9 && status.lag_seconds > 0.0), "{before:?}");

    let running = run_all(&parts, &Road::Store);
    databases.eventually_all_at(history.heads()).await;
    eventually("heartbeats everywhere", async || {
        let after = status::read(&parts.store, &parts.read_models, Detail::default()).await.unwrap();
        after.iter().all(|status| {
            status.heartbeat_age_seconds.is_some_and(|age| age < 30.0)
                && (status.lag_events, status.holders, status.free_partitions) == (0, 1, 0)
                && (status.position, status.shown) == (9, true)
        })
    })
    .await;
    let fresh = "SELECT count(*) FROM checkpoints WHERE as_of IS NULL";
    eventually("every partition to know how fresh it is", async || databases.count(fresh).await == 0).await;
    running.stop().await;
}

#[tokio::test]
async fn a_long_backlog_in_one_partition_is_read_to_its_end() {
    let databases = Databases::new().await;
    let mut history = History::default();
    for n in 0..1_000 {
        history.log(athlete(1), workout(n), run(|_| {}));
    }
    databases.append(&history.events).await;
    let running = run_all(&databases.parts(), &Road::Store);
    databases.eventually_all_at(history.heads()).await;
    running.stop().await;
    assert_eq!(databases.count("SELECT workouts FROM totals").await, 1_000);
}
