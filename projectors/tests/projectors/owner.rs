//! One owner's rows made anew, and how a row came about.
use fittrack_domain::{measurement::MeasurementKind, values::Title};
use projectors::{
    audit::{self, Operator},
    explain::{self, ExplainError},
    notices::Notices,
    owner::{self, Mode, OwnerError},
    parking::RefoldError,
    projections::workouts::Workouts,
    registry::{Built, Road},
    source::store::StoreSource,
};
use serde_json::json;

use crate::{
    given::{History, athlete, run, workout, zone},
    support::{self, Databases},
};

fn history() -> History {
    let mut history = History::default();
    history
        .register(athlete(1), "Anna")
        .register(athlete(2), "Ben")
        .log(athlete(1), workout(1), run(|_| {}))
        .log(athlete(2), workout(2), run(|_| {}))
        .log(athlete(1), workout(3), run(|details| details.started_at = "2026-10-01T07:00:00Z".parse().unwrap()))
        .edit(workout(1), |details| details.title = Some(Title::parse("Along the canal").unwrap()))
        .rename(athlete(1), "Anne")
        .delete(workout(3))
        .measure(athlete(1), MeasurementKind::MassKg, "2026-10-31".parse().unwrap(), 71.5)
        .measure(athlete(2), MeasurementKind::MassKg, "2026-10-31".parse().unwrap(), 80.5)
        .set_zones(athlete(1), vec![zone(1)])
        .set_zones(athlete(2), vec![zone(2), zone(3)]);
    history
}

fn newest(name: &str) -> Built {
    Built::newest().into_iter().find(|built| built.name() == name).unwrap()
}

fn on_duty() -> Operator {
    Operator { name: "anna".into(), reason: None }
}

#[tokio::test]
async fn damaged_rows_of_an_owner_are_found_and_mended_and_others_are_left_alone() {
    let databases = Databases::new().await;
    let history = history();
    databases.append(&history.events).await;
    let parts = databases.parts();
    let running = support::run_all(&parts, &Road::Store);
    databases.eventually_all_at(history.heads()).await;
    let sound = databases.all_rows().await;
    let nobody = Notices::nowhere();
    let mut operator = parts.read_models.acquire().await.unwrap();
    for built in Built::newest() {
        let rebuilt = owner::rebuild(&parts.store, &mut operator, built, athlete(1), Mode::DryRun).await.unwrap();
        assert!(rebuilt.is_unchanged() && rebuilt.before.rows > 0, "{}: {rebuilt:?}", built.name());
    }

    databases.execute("UPDATE totals_v1.totals SET distance_mm = distance_mm + 1").await;
    databases.execute("DELETE FROM workouts_v1.workouts").await;
    databases.execute("UPDATE leaderboards_v2.leaderboards SET workouts = 7").await;
    databases.execute("UPDATE measurements_v1.measurements SET value_thousandths = 0").await;
    databases.execute("UPDATE privacy_zones_v1.privacy_zones SET zones = '[]'").await;
    databases.execute("UPDATE profiles_v1.profiles SET display_name = 'Nobody'").await;
    let damaged = databases.all_rows().await;
    for built in Built::newest() {
        let found = owner::rebuild(&parts.store, &mut operator, built, athlete(1), Mode::DryRun).await.unwrap();
        assert!(!found.is_unchanged(), "{}: {found:?}", built.name());
    }
    assert_eq!(databases.all_rows().await, damaged, "a dry run changes nothing");
    for id in [athlete(1), athlete(2)] {
        for built in Built::newest() {
            assert_ne!(databases.all_rows().await, sound);
            let mode = Mode::Replace(&on_duty(), &nobody);
            owner::rebuild(&parts.store, &mut operator, built, id, mode).await.unwrap();
        }
    }
    assert_eq!(databases.all_rows().await, sound);
    let decisions = audit::newest(&parts.read_models, 20).await.unwrap();
    assert_eq!(decisions.iter().filter(|entry| entry.action == "owner_rebuilt").count(), 2 * Built::newest().len());
    running.stop().await;
}

/// The worker under way is fenced, reads its checkpoint again and goes on: nothing is lost, nothing counted twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_owner_may_be_rebuilt_while_the_workers_work() {
    let (databases, twin) = (Databases::new().await, Databases::new().await);
    let mut history = history();
    databases.append(&history.events).await;
    let parts = databases.parts();
    let running = support::run_all(&parts, &Road::Store);
    databases.eventually_all_at(history.heads()).await;
    let mut operator = parts.read_models.acquire().await.unwrap();
    for round in 0..5_u128 {
        let stored = history.events.len();
        for n in 0..20 {
            history.log(athlete(1 + n % 2), workout(100 + round * 20 + n), run(|_| {}));
        }
        let appending = databases.append(&history.events[stored..]);
        let rebuilding = async {
            for built in Built::newest() {
                let mode = Mode::Replace(&on_duty(), &Notices::nowhere());
                owner::rebuild(&parts.store, &mut operator, built, athlete(1), mode).await.unwrap();
            }
        };
        tokio::join!(appending, rebuilding);
    }
    databases.eventually_all_at(history.heads()).await;
    running.stop().await;

    twin.append(&history.events).await;
    let parts = twin.parts();
    let running = support::run_all(&parts, &Road::Store);
    twin.eventually_all_at(history.heads()).await;
    running.stop().await;
    assert_eq!(databases.all_rows().await, twin.all_rows().await);
}

#[tokio::test]
async fn a_parked_owner_is_rebuilt_after_the_fix_and_not_before() {
    let databases = Databases::new().await;
    let mut history = History::default();
    let bad = run(|details| details.title = Some(Title::parse("forbidden").unwrap()));
    history.log(athlete(2), workout(1), run(|_| {})).log(athlete(2), workout(2), bad);
    databases.append(&history.events).await;
    databases
        .execute(
            "ALTER TABLE workouts_v1.workouts ADD CONSTRAINT no_such_title CHECK (title IS DISTINCT FROM 'forbidden')",
        )
        .await;
    let parts = databases.parts();
    let running = support::run::<Workouts>(parts.clone(), StoreSource::new(parts.store.clone()));
    databases.eventually_at("workouts.v1", history.heads()).await;
    let built = newest("workouts");
    let mut operator = parts.read_models.acquire().await.unwrap();
    let nobody = Notices::nowhere();
    let (shown, parked) = ("SELECT count(*) FROM workouts", "SELECT count(*) FROM parked_events");
    let mode = Mode::Replace(&on_duty(), &nobody);
    let refused = owner::rebuild(&parts.store, &mut operator, built, athlete(2), mode).await.unwrap_err();
    assert!(matches!(refused, OwnerError::Refold(RefoldError::Still(_))), "{refused}");
    assert_eq!((databases.count(shown).await, databases.count(parked).await), (1, 1));
    databases.execute("ALTER TABLE workouts_v1.workouts DROP CONSTRAINT no_such_title").await;
    let mode = Mode::Replace(&on_duty(), &nobody);
    let rebuilt = owner::rebuild(&parts.store, &mut operator, built, athlete(2), mode).await.unwrap();
    assert_eq!((rebuilt.events, rebuilt.before.rows, rebuilt.after.rows), (2, 1, 2));
    assert_eq!((databases.count(shown).await, databases.count(parked).await), (2, 0));
    assert!(running.stop().await.is_ok());
}

#[tokio::test]
async fn a_row_is_explained_by_the_events_that_made_it() {
    let databases = Databases::new().await;
    let history = history();
    databases.append(&history.events).await;
    let parts = databases.parts();
    let running = support::run_all(&parts, &Road::Store);
    databases.eventually_all_at(history.heads()).await;
    let before = databases.all_rows().await;
    let mut operator = parts.read_models.acquire().await.unwrap();
    let named = newest;
    let position = |index: usize| history.events[index].position;

    let key = workout(1).to_string();
    let edited = explain::explain(&parts.store, &mut operator, named("workouts"), &key).await.unwrap();
    let steps: Vec<_> = edited.steps.iter().map(|step| (step.position, step.event_type.as_str())).collect();
    assert_eq!(steps, [(position(2), "workout_logged"), (position(5), "workout_edited")]);
    assert_eq!((edited.first_position, edited.last_position), (Some(position(2)), Some(position(5))));
    assert_eq!(edited.steps[1].row.as_ref().unwrap()["title"], "Along the canal");

    // One that is gone is known by its stream.
    let gone = explain::explain(&parts.store, &mut operator, named("workouts"), &workout(3).to_string()).await.unwrap();
    assert_eq!((gone.events, gone.steps[1].row.as_ref()), (2, None));
    assert!(explain::text(&gone).unwrap().contains("removed"));

    // The board of the week knows nothing of the workout in October, that of all time both its coming and its going.
    let board = format!("1970-01-01/all/all/{}", athlete(1));
    let board = explain::explain(&parts.store, &mut operator, named("leaderboards"), &board).await.unwrap();
    let counts: Vec<_> = board.steps.iter().map(|step| step.row.as_ref().unwrap()["workouts"].clone()).collect();
    assert_eq!(counts, [json!(1), json!(2), json!(1)]);

    for wrong in ["x", "x/2026-11-24/run", &format!("{}/not a day/run", athlete(1)), "a/b/c/d", "\u{0}/2026-11-24/run"]
    {
        let refused = explain::explain(&parts.store, &mut operator, named("totals"), wrong).await.unwrap_err();
        assert!(refused.to_string().contains("athlete_id/local_date/sport"), "{wrong}: {refused}");
    }
    let unknown = explain::explain(&parts.store, &mut operator, named("workouts"), &workout(9).to_string()).await;
    assert!(matches!(unknown, Err(ExplainError::Unknown(_))));
    assert_eq!(databases.all_rows().await, before, "explaining changes nothing");
    running.stop().await;
}
