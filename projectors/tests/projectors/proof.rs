//! No event is lost, changed or taken twice on the way into a build without being found: each is planted here.
use std::time::Duration;

use fittrack_domain::event::Event;
use projectors::{
    projections::{totals::Totals, workouts::Workouts},
    proof::{self, prover::Prover},
    registry::Built,
    source::store::StoreSource,
};
use uuid::Uuid;

use crate::{
    corpus::corpus,
    given::{History, athlete, run, workout},
    scripted::scripted,
    support::{self, Databases},
};

fn history() -> History {
    let mut history = History::default();
    for n in 0..40 {
        history.log(athlete(1), workout(n), run(|_| {}));
    }
    history
}

/// The event store lets nobody change its log; a disaster does.
async fn spoil_the_log(databases: &Databases, sql: &str) {
    let spoil = format!("ALTER TABLE events DISABLE TRIGGER ALL; {sql}; ALTER TABLE events ENABLE TRIGGER ALL");
    sqlx::raw_sql(&spoil).execute(&databases.store).await.unwrap();
}

async fn violations(databases: &Databases) -> Vec<String> {
    let parts = databases.parts();
    proof::check(&parts.store, &parts.read_models).await.unwrap().violations
}

#[tokio::test]
async fn a_sound_build_is_proven_event_by_event() {
    let databases = Databases::new().await;
    let history = history();
    databases.append(&history.events).await;
    let parts = databases.parts();
    let running = support::run_all(&parts, &projectors::registry::Road::Store);
    databases.eventually_all_at(history.heads()).await;
    running.stop().await;
    let report = proof::check(&parts.store, &parts.read_models).await.unwrap();
    assert_eq!((report.violations.len(), report.builds.len()), (0, Built::newest().len()), "{report:?}");
    assert!(
        report.builds.iter().all(|build| (build.events, build.proven, build.unproven) == (40, 40, 0)),
        "{report:?}"
    );
}

#[tokio::test]
async fn an_event_that_was_removed_changed_or_doubled_after_it_was_applied_is_found() {
    let plants = [
        ("DELETE FROM events WHERE position = 20", "no event at 20"),
        ("UPDATE events SET event_id = gen_random_uuid() WHERE position = 20", "not those of the log"),
        (
            "UPDATE events SET event_id = (SELECT event_id FROM events WHERE position = 7) WHERE position = 20",
            "not those of the log",
        ),
    ];
    for (plant, found) in plants {
        let databases = Databases::new().await;
        let history = history();
        databases.append(&history.events).await;
        let parts = databases.parts();
        let running = support::run::<Totals>(parts.clone(), StoreSource::new(parts.store.clone()));
        databases.eventually_at("totals.v1", history.heads()).await;
        assert!(running.stop().await.is_ok());
        assert_eq!(violations(&databases).await, [""; 0]);
        spoil_the_log(&databases, plant).await;
        let violations = violations(&databases).await;
        assert!(violations.len() == 1 && violations[0].contains(found), "{plant}: {violations:?}");
        assert!(violations[0].starts_with("totals.v1"), "{violations:?}");
    }
}

#[tokio::test]
async fn an_event_that_came_by_the_road_and_is_not_the_logs_is_found_and_counted() {
    let databases = Databases::new().await;
    let history = history();
    databases.append(&history.events).await;
    let parts = databases.parts();
    let (script, source) = scripted();
    let running = support::run::<Workouts>(parts.clone(), source);
    let mut forged = history.events.clone();
    forged[30].event_id = Uuid::now_v7();
    let mut prover = Prover::new(parts.store.clone(), parts.read_models.clone(), Some(Duration::ZERO));
    let mut connection = parts.read_models.acquire().await.unwrap();
    script.deliver(&forged[..20]);
    let partition = forged[0].partition;
    databases.eventually_at("workouts.v1", &[(partition, 20)].into()).await;
    assert_eq!(prover.round(&mut connection).await.unwrap(), 0);
    script.deliver(&forged);
    databases.eventually_at("workouts.v1", history.heads()).await;
    assert!(running.stop().await.is_ok());
    assert_eq!(prover.round(&mut connection).await.unwrap(), 20, "all that came since it was proven last");
    assert_eq!(prover.round(&mut connection).await.unwrap(), 20, "until somebody looked");
    let violations = violations(&databases).await;
    assert!(violations.len() == 1 && violations[0].starts_with("workouts.v1"), "{violations:?}");
}

/// Every event there ever was, in every version it ever had, is read by every fold of today.
#[tokio::test]
async fn the_whole_corpus_goes_through_every_fold() {
    let databases = Databases::new().await;
    let mut history = History::default();
    for (n, sample) in (0..).zip(corpus()) {
        let payload: serde_json::Value = serde_json::from_str(&sample.payload).unwrap();
        // In the order of their names, which logs last what is deleted first.
        history.add(athlete(1), "workout", workout(n), &sample.event_type, &payload);
        let stored = history.events.last_mut().unwrap();
        stored.event_version.clone_from(&sample.event_version);
        let decoded = Event::decode(&stored.event_type, &stored.event_version, sample.payload.as_bytes());
        assert!(decoded.is_ok(), "{}: {decoded:?}", sample.file);
    }
    databases.append(&history.events).await;
    let parts = databases.parts();
    let running = support::run_all(&parts, &projectors::registry::Road::Store);
    databases.eventually_all_at(history.heads()).await;
    running.stop().await;
    assert_eq!(databases.count("SELECT count(*) FROM parked_events").await, 0);
    // The samples delete and log the same workouts, so sums may come to nothing.
    for table in ["workouts", "profiles"] {
        assert!(!databases.rows(table).await.is_empty(), "{table}");
    }
    let place = databases.place();
    for worker in ["workouts.v1.g2", "leaderboards.v1"] {
        let build = fittrack_schemas::read_models::Build::of_worker(worker).unwrap();
        crate::replay::rebuild(&place, build.read_model, Some(build.version), crate::replay::AT_ONCE).await.unwrap();
    }
    assert_eq!(databases.count("SELECT count(*) FROM parked_events").await, 0);
    assert_eq!(violations(&databases).await, [""; 0]);
}
