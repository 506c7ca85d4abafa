//! Poison parks its owner and nobody else (decision 9, R-8).
use fittrack_domain::values::Title;
use projectors::{
    audit::{self, Operator},
    notices::Notices,
    parking::{RefoldError, list, retry, show},
    projections::{totals::Totals, workouts::Workouts},
    registry::Built,
    runner::{Halt, Tuning},
    source::store::StoreSource,
};
use serde_json::json;

use crate::{
    given::{History, athlete, run, workout},
    support::{self, Databases, eventually},
};

/// Three athletes log; Ben's second workout has a title that no row may have.
fn history_with_a_bad_title() -> History {
    let mut history = History::default();
    let bad = run(|details| details.title = Some(Title::parse("forbidden").unwrap()));
    history
        .log(athlete(1), workout(1), run(|_| {}))
        .log(athlete(2), workout(2), run(|_| {}))
        .log(athlete(2), workout(3), bad)
        .log(athlete(3), workout(4), run(|_| {}))
        .edit(workout(3), |details| details.notes = None)
        .edit(workout(2), |details| details.title = None)
        .log(athlete(1), workout(5), run(|_| {}));
    history
}

fn on_duty() -> Operator {
    Operator { name: "anna".into(), reason: Some("the rule is gone".into()) }
}

const FORBID: &str =
    "ALTER TABLE workouts_v1.workouts ADD CONSTRAINT no_such_title CHECK (title IS DISTINCT FROM 'forbidden')";
const ALLOW: &str = "ALTER TABLE workouts_v1.workouts DROP CONSTRAINT no_such_title";
const PARKED: &str = "SELECT count(*) FROM parked_events";

#[tokio::test]
async fn poison_parks_its_owner_in_order_and_a_retry_after_the_fix_applies_all() {
    let databases = Databases::new().await;
    let mut history = history_with_a_bad_title();
    databases.append(&history.events).await;
    databases.execute(FORBID).await;
    let parts = databases.parts();
    let running = support::run::<Workouts>(parts.clone(), StoreSource::new(parts.store.clone()));
    databases.eventually_at("workouts.v1", history.heads()).await;

    // Everybody else went on, Ben up to the poison.
    let shown = "SELECT count(*) FROM workouts";
    assert_eq!(databases.count(shown).await, 4);
    let parked: Vec<(i64, bool)> =
        sqlx::query_as("SELECT position, error IS NOT NULL FROM parked_events ORDER BY position")
            .fetch_all(&databases.read_models)
            .await
            .unwrap();
    let of_ben: Vec<i64> =
        history.events.iter().filter(|event| event.owner_id == athlete(2)).map(|event| event.position).collect();
    assert_eq!(parked, [(of_ben[1], true), (of_ben[2], false), (of_ben[3], false)]);
    let causes = list::causes(&parts.read_models).await.unwrap();
    assert_eq!((causes.len(), causes[0].owners, causes[0].events), (1, 1, 3));
    assert!(causes[0].error.contains("no_such_title"), "{causes:?}");

    // What Ben does later waits behind it.
    let stored = history.events.len();
    history.log(athlete(2), workout(6), run(|_| {})).log(athlete(1), workout(7), run(|_| {}));
    databases.append(&history.events[stored..]).await;
    databases.eventually_at("workouts.v1", history.heads()).await;
    assert_eq!((databases.count(PARKED).await, databases.count(shown).await), (4, 5));

    // A retry before the fix changes nothing; one after it applies all, and later events come at once.
    let built = Built::of_worker("workouts.v1").unwrap();
    let partition = history.events[1].partition;
    let mut operator = parts.read_models.acquire().await.unwrap();
    let nobody = Notices::nowhere();
    let too_early = retry::retry(&mut operator, built, partition, athlete(2), &on_duty(), &nobody).await.unwrap_err();
    assert!(matches!(too_early, RefoldError::Still(_)), "{too_early}");
    assert_eq!((databases.count(PARKED).await, databases.count(shown).await), (4, 5));
    databases.execute(ALLOW).await;
    assert_eq!(retry::retry(&mut operator, built, partition, athlete(2), &on_duty(), &nobody).await.unwrap(), 4);
    let stored = history.events.len();
    history.edit(workout(6), |details| details.title = Some(Title::parse("After all").unwrap()));
    databases.append(&history.events[stored..]).await;
    databases.eventually_at("workouts.v1", history.heads()).await;
    assert!(running.stop().await.is_ok());
    assert_eq!((databases.count(PARKED).await, databases.count(shown).await), (0, 7));
    assert_eq!(databases.count("SELECT count(*) FROM workouts WHERE title = 'After all' AND version = 2").await, 1);
    assert_eq!(databases.count("SELECT count(*) FROM workouts WHERE title = 'forbidden' AND version = 2").await, 1);
}

#[tokio::test]
async fn a_payload_that_does_not_parse_or_does_not_fit_parks_its_owner() {
    let databases = Databases::new().await;
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {})).log(athlete(2), workout(2), run(|_| {}));
    history.add(athlete(1), "workout", workout(3), "workout_logged", &json!({"type": "workout_logged"}));
    let details = serde_json::to_value(run(|_| {})).unwrap();
    let mut with_nul = json!({
        "type": "workout_logged", "workout_id": workout(4), "athlete_id": athlete(3), "details": details,
    });
    with_nul["details"]["title"] = json!("a\u{0}b");
    history.add(athlete(3), "workout", workout(4), "workout_logged", &with_nul);
    history.log(athlete(1), workout(5), run(|_| {})).log(athlete(2), workout(6), run(|_| {}));
    databases.append(&history.events).await;
    let parts = databases.parts();
    let running = support::run::<Workouts>(parts.clone(), StoreSource::new(parts.store.clone()));
    databases.eventually_at("workouts.v1", history.heads()).await;
    assert_eq!(databases.count("SELECT count(*) FROM workouts").await, 3);
    assert_eq!(databases.count(PARKED).await, 3);

    let mut operator = parts.read_models.acquire().await.unwrap();
    let partition = history.events[0].partition;
    assert_eq!(retry::discard(&mut operator, "workouts.v1", partition, athlete(1), &on_duty()).await.unwrap(), 2);
    let stored = history.events.len();
    history.log(athlete(1), workout(7), run(|_| {}));
    databases.append(&history.events[stored..]).await;
    eventually("what comes after the discarded", async || databases.count("SELECT count(*) FROM workouts").await == 4)
        .await;
    assert!(running.stop().await.is_ok());
}

#[tokio::test]
async fn an_operator_sees_the_event_and_the_rows_before_it_tries_and_is_remembered() {
    let databases = Databases::new().await;
    let history = history_with_a_bad_title();
    databases.append(&history.events).await;
    databases.execute(FORBID).await;
    let parts = databases.parts();
    let running = support::run::<Workouts>(parts.clone(), StoreSource::new(parts.store.clone()));
    databases.eventually_at("workouts.v1", history.heads()).await;
    let built = Built::of_worker("workouts.v1").unwrap();
    let partition = history.events[1].partition;
    let mut operator = parts.read_models.acquire().await.unwrap();

    // What is wrong, what waits, and how things were before it: Ben's first workout, as it was logged.
    let shown = show::show(&mut operator, "workouts.v1", partition, athlete(2)).await.unwrap().unwrap();
    assert!(shown.error.contains("no_such_title") && shown.event.payload.get().contains("forbidden"), "{shown:?}");
    let waiting: Vec<&str> = shown.first_waiting.iter().map(|waiting| waiting.event_type.as_str()).collect();
    assert_eq!((shown.waiting, waiting), (2, vec!["workout_edited", "workout_edited"]));
    assert_eq!((shown.rows_before.len(), shown.more_rows), (1, false));
    assert_eq!(shown.rows_before[0]["workout_id"], json!(workout(2)));
    assert_eq!(shown.rows_before[0]["version"], 1);
    assert!(show::show(&mut operator, "workouts.v1", partition, athlete(1)).await.unwrap().is_none());

    // Trying changes nothing, whether it would go well or not.
    let untouched = async || (databases.count(PARKED).await, databases.count("SELECT count(*) FROM workouts").await);
    let before = untouched().await;
    let fails = retry::dry_run(&mut operator, built, partition, athlete(2)).await.unwrap_err();
    assert!(fails.to_string().contains("no_such_title"), "{fails}");
    databases.execute(ALLOW).await;
    assert_eq!(retry::dry_run(&mut operator, built, partition, athlete(2)).await.unwrap(), 3);
    assert_eq!(untouched().await, before);
    assert_eq!(audit::newest(&parts.read_models, 10).await.unwrap(), []);

    // A decision is recorded with the change, and only with it.
    let nobody = Notices::nowhere();
    retry::retry(&mut operator, built, partition, athlete(2), &on_duty(), &nobody).await.unwrap();
    let entries = audit::newest(&parts.read_models, 10).await.unwrap();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((entry.action.as_str(), entry.decided_by.as_str(), entry.events), ("parked_retried", "anna", Some(3)));
    assert_eq!((entry.owner_id, entry.reason.as_deref()), (Some(athlete(2)), Some("the rule is gone")));
    assert!(audit::table(&entries).contains("by anna: the rule is gone"));
    assert!(running.stop().await.is_ok());
}

#[tokio::test]
async fn owners_parked_before_a_restart_stay_parked() {
    let databases = Databases::new().await;
    let mut history = history_with_a_bad_title();
    databases.append(&history.events).await;
    databases.execute(FORBID).await;
    for _ in 0..2 {
        let parts = databases.parts();
        let running = support::run::<Workouts>(parts.clone(), StoreSource::new(parts.store.clone()));
        databases.eventually_at("workouts.v1", history.heads()).await;
        assert!(running.stop().await.is_ok());
        let stored = history.events.len();
        history.edit(workout(2), |_| {});
        databases.append(&history.events[stored..]).await;
    }
    assert_eq!(databases.count(PARKED).await, 4);
}

#[tokio::test]
async fn a_flood_of_poison_stops_the_projection_and_parks_nothing_more() {
    let databases = Databases::new().await;
    let mut history = History::default();
    for n in 0..6 {
        history.add(athlete(n), "workout", workout(n), "workout_logged", &json!({"type": "workout_logged"}));
    }
    databases.append(&history.events).await;
    let mut parts = databases.parts();
    parts.tuning = Tuning { storm: 5, ..parts.tuning };
    let source = StoreSource::new(parts.store.clone());
    let ended = support::run::<Totals>(parts, source).end().await;
    assert!(matches!(ended, Err(Halt::Storm { limit: 5, .. })), "{ended:?}");
    assert!(databases.count(PARKED).await <= 5);
    assert_eq!(databases.count("SELECT count(*) FROM checkpoints WHERE holder IS NOT NULL").await, 0);
}

#[tokio::test]
async fn an_event_type_this_program_does_not_know_stops_the_projection_before_it() {
    let databases = Databases::new().await;
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {}));
    history.add(athlete(1), "workout", workout(1), "workout_liked", &json!({"type": "workout_liked"}));
    history.log(athlete(1), workout(2), run(|_| {}));
    databases.append(&history.events).await;
    let parts = databases.parts();
    let source = StoreSource::new(parts.store.clone());
    let ended = support::run::<Totals>(parts, source).end().await;
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("workout_liked") && error.contains("deploy the newer projectors"), "{error}");
    assert_eq!(databases.position("totals.v1", history.events[0].partition).await, 1);
    assert_eq!(databases.count(PARKED).await, 0);
}
