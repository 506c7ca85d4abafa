//! Athletes who left: whatever way their events took into a build, nothing of them stays in it, and others have what they had.
use fittrack_domain::{measurement::MeasurementKind, values::Title};
use projectors::{
    owner::{self, Mode},
    registry::{Built, Road, names},
    switch, verify,
};
use uuid::Uuid;

use crate::{
    given::{History, athlete, run, workout},
    replay::{AT_ONCE, rebuild},
    support::{self, Databases},
};

/// As `redact_events` does it.
const REDACT: &str = r#"
    SET fittrack.redacting = 'on';
    UPDATE events SET event_type = 'redacted', event_version = '1', payload = '{"type":"redacted"}', metadata = '{}'
    WHERE event_type <> 'account_erased' AND owner_id IN (SELECT owner_id FROM events WHERE event_type = 'account_erased')"#;

/// Four athletes with something in every read model; no title of the second's is in a row.
fn history() -> History {
    let mut history = History::default();
    for n in 1..=4 {
        let day = "2026-10-31".parse().unwrap();
        history.register(athlete(n), &format!("Athlete {n}")).measure(athlete(n), MeasurementKind::MassKg, day, 71.5);
        for m in 0..3 {
            history.log(athlete(n), workout(10 * n + m), run(|_| {}));
        }
        history.edit(workout(10 * n), |details| details.title = Some(Title::parse("Along the canal").unwrap()));
    }
    history
}

/// How many rows of any build, and how many parked events, are of this athlete.
async fn left_of(databases: &Databases, athlete_id: Uuid) -> i64 {
    let workers: Vec<String> = sqlx::query_scalar("SELECT worker FROM builds ORDER BY worker")
        .fetch_all(&databases.read_models)
        .await
        .unwrap();
    let mut left =
        databases.count(&format!("SELECT count(*) FROM parked_events WHERE owner_id = '{athlete_id}'")).await;
    for worker in workers {
        let table = Built::of_worker(&worker).unwrap().build.table();
        left += databases.count(&format!("SELECT count(*) FROM {table} WHERE athlete_id = '{athlete_id}'")).await;
    }
    left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_of_who_left_stays_in_any_read_model_and_nothing_parked() {
    let databases = Databases::new().await;
    let mut history = history();
    databases.append(&history.events).await;
    // The second athlete's rows are poison.
    let of_ben =
        format!("ALTER TABLE workouts_v1.workouts ADD CONSTRAINT no_ben CHECK (athlete_id <> '{}')", athlete(2));
    databases.execute(&of_ben).await;
    let running = support::run_all(&databases.parts(), &Road::Store);
    databases.eventually_all_at(history.heads()).await;
    assert!(left_of(&databases, athlete(1)).await > 5 && left_of(&databases, athlete(2)).await > 5);
    assert_eq!(databases.count("SELECT count(DISTINCT owner_id) FROM parked_events").await, 1);
    let before = (left_of(&databases, athlete(3)).await, left_of(&databases, athlete(4)).await);

    let stored = history.events.len();
    history.erase(athlete(1)).erase(athlete(2));
    databases.append(&history.events[stored..]).await;
    databases.eventually_all_at(history.heads()).await;
    running.stop().await;
    assert_eq!((left_of(&databases, athlete(1)).await, left_of(&databases, athlete(2)).await), (0, 0));
    assert_eq!((left_of(&databases, athlete(3)).await, left_of(&databases, athlete(4)).await), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn builds_are_the_same_whether_history_was_read_before_or_after_it_was_redacted() {
    let databases = Databases::new().await;
    let mut history = history();
    // One leaves while others go on; all of it comes in one batch.
    history.erase(athlete(1)).log(athlete(3), workout(100), run(|_| {})).erase(athlete(4));
    databases.append(&history.events).await;
    let (parts, place) = (databases.parts(), databases.place());
    let running = support::run_all(&parts, &Road::Store);
    databases.eventually_all_at(history.heads()).await;
    let live = databases.all_rows().await;
    let mut operator = parts.read_models.acquire().await.unwrap();
    for is_redacted in [false, true] {
        if is_redacted {
            sqlx::raw_sql(REDACT).execute(&databases.store).await.unwrap();
        }
        for built in Built::newest() {
            let rebuilt = owner::rebuild(&parts.store, &mut operator, built, athlete(1), Mode::DryRun).await.unwrap();
            assert_eq!((rebuilt.before.rows, rebuilt.after.rows), (0, 0), "{}", built.name());
        }
        for name in names() {
            rebuild(&place, name, None, AT_ONCE).await.unwrap();
            let candidate = switch::other(&place.owner, name, None, None).await.unwrap();
            assert_eq!(
                databases.rows(&candidate.built.build.table()).await,
                live[name],
                "{name}, redacted: {is_redacted}"
            );
            databases.eventually_at(&candidate.built.worker(), history.heads()).await;
            let verified = verify::verify(&parts.store, &parts.read_models, &place.owner, &candidate).await.unwrap();
            assert!(verified.is_sound(), "{verified:?}");
            let generation = Some(candidate.built.build.generation);
            let version = candidate.built.build.version;
            switch::retire(&place.owner, name, version, generation, 0, &crate::replay::on_duty()).await.unwrap();
        }
    }
    running.stop().await;
}
