//! Builds beside each other: loaded from the whole history, compared, shown, taken back, dropped, while workers work.
use std::{sync::Arc, time::Duration};

use fittrack_domain::{event::Event, sport::Sport, values::Visibility};
use fittrack_schemas::read_models::Build;
use projectors::{
    audit::{self, Operator},
    builds::Known,
    notices::Notices,
    projection::{FoldError, Moment, Projection},
    projections::{
        CopyRow,
        leaderboards::{Changes, Leaderboards},
    },
    rebuild::{
        self, Done, Effort, Place, RebuildError,
        claim::Claim,
        fill::{self, Fill},
        governor::Governor,
        progress::Progress,
        throttle::Throttle,
    },
    registry::{Built, Road, names},
    runner::Parts,
    switch::{self, SwitchError},
    verify,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use crate::{
    given::{History, athlete, metres, run, seconds, workout},
    support::{self, Databases, Running, eventually},
};

pub const AT_ONCE: Effort = Effort { parallelism: 2, max_rate: None, memory_bytes: 64 << 20, gives_way: false };

pub fn on_duty() -> Operator {
    Operator { name: "anna".into(), reason: Some("a better rule".into()) }
}

fn built(worker: &str) -> Built {
    Built::of_worker(worker).unwrap()
}

/// Something of everything, for as many athletes as asked, from a seed.
fn history(random: &mut StdRng, athletes: u128, deeds: u128) -> History {
    let mut history = History::default();
    for n in 0..athletes {
        history.register(athlete(n), "Somebody");
    }
    add_deeds(&mut history, random, athletes, 0, deeds);
    history
}

fn add_deeds(history: &mut History, random: &mut StdRng, athletes: u128, from: u128, count: u128) {
    for n in from..from + count {
        let (who, which) = (athlete(random.random_range(0..athletes)), workout(random.random_range(0..=n)));
        match random.random_range(0..8) {
            0 => history.rename(who, &format!("Name {n}")),
            1 => history.edit(which, |details| details.distance_m = Some(metres(1_000))),
            2 => history.edit(which, |details| details.visibility = Visibility::Private),
            3 => history.delete(which),
            4 => history.import(who, workout(n), run(|details| details.sport = Sport::Ride)),
            // A watch started by mistake: version 2 of the leaderboards leaves it out.
            5 => history.log(
                who,
                workout(n),
                run(|details| {
                    details.duration_s = seconds(20);
                    details.moving_s = None;
                    details.distance_m = Some(metres(50));
                }),
            ),
            _ => history.log(who, workout(n), run(|_| {})),
        };
    }
}

pub async fn rebuild(place: &Place, name: &str, version: Option<i32>, effort: Effort) -> Result<Done, RebuildError> {
    let target = rebuild::target(&place.owner, name, version).await?;
    rebuild::run(place, target, effort, &on_duty(), &Progress::new(0.0), &CancellationToken::new()).await
}

/// Runs these builds as the projectors do, until stopped.
fn feed(parts: &Parts, workers: &[&str]) -> Vec<Running<()>> {
    workers.iter().map(|worker| support::run_build(parts, built(worker), &Road::Store)).collect()
}

async fn stop(running: Vec<Running<()>>) {
    for one in running {
        one.stop().await;
    }
}

async fn other(place: &Place, name: &str) -> Known {
    switch::other(&place.owner, name, None, None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_build_loaded_from_the_history_has_the_rows_that_live_work_made() {
    let databases = Databases::new().await;
    let mut history = history(&mut StdRng::seed_from_u64(1), 40, 600);
    // Somebody's history was erased.
    history.add(athlete(0), "workout", workout(9_000), "redacted", &serde_json::json!({"type": "redacted"}));
    databases.append(&history.events).await;
    let (parts, place) = (databases.parts(), databases.place());
    let running = support::run_all(&parts, &Road::Store);
    databases.eventually_all_at(history.heads()).await;
    for name in names() {
        let done = rebuild(&place, name, None, AT_ONCE).await.unwrap();
        assert_eq!((done.events, done.left.len()), (i64::try_from(history.events.len()).unwrap(), 0), "{done:?}");
        let candidate = other(&place, name).await;
        let rows = databases.rows(&candidate.built.build.table()).await;
        assert_eq!(rows, databases.rows(name).await, "{name}");
        assert!(!rows.is_empty() || done.rows == 0);
        databases.eventually_at(&candidate.built.worker(), history.heads()).await;
        let verified = verify::verify(&parts.store, &parts.read_models, &place.owner, &candidate).await.unwrap();
        assert!(verified.is_sound() && verified.differing_buckets == 0, "{verified:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_rule_is_an_intended_difference_and_readers_are_switched_there_and_back() {
    let databases = Databases::new().await;
    let mut random = StdRng::seed_from_u64(2);
    let mut history = history(&mut random, 40, 400);
    databases.append(&history.events).await;
    let (parts, place) = (databases.parts(), databases.place());
    let running = feed(&parts, &["leaderboards.v2"]);
    databases.eventually_at("leaderboards.v2", history.heads()).await;
    let with_v2 = databases.rows("leaderboards").await;
    rebuild(&place, "leaderboards", Some(1), AT_ONCE).await.unwrap();
    let v1 = other(&place, "leaderboards").await;
    let nobody = Notices::nowhere();
    let refused = switch::promote(&place.owner, &v1, false, &on_duty(), &nobody).await.unwrap_err();
    assert!(matches!(refused, SwitchError::NotVerified(..)), "{refused}");

    let verified = verify::verify(&parts.store, &parts.read_models, &place.owner, &v1).await.unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    let intended: Vec<bool> = verified.intended.iter().map(|one| one.rows.is_some_and(|rows| rows > 0)).collect();
    assert_eq!(intended, [false, true], "a column and a rule: {:?}", verified.intended);

    let v1 = other(&place, "leaderboards").await;
    let switched = switch::promote(&place.owner, &v1, false, &on_duty(), &nobody).await.unwrap();
    assert_eq!((switched.from.as_str(), switched.to.as_str()), ("leaderboards.v2", "leaderboards.v1"));
    assert_eq!(databases.rows("leaderboards").await, databases.rows("leaderboards_v1.leaderboards").await);
    assert_ne!(databases.rows("leaderboards").await, with_v2);

    // Both are fed; so what comes meanwhile is there after the way back.
    let more = feed(&parts, &["leaderboards.v1"]);
    let stored = history.events.len();
    add_deeds(&mut history, &mut random, 40, 400, 100);
    databases.append(&history.events[stored..]).await;
    databases.eventually_at("leaderboards.v1", history.heads()).await;
    switch::rollback(&place.owner, "leaderboards", &on_duty(), &nobody).await.unwrap();
    databases.eventually_at("leaderboards.v2", history.heads()).await;
    assert_eq!(databases.rows("leaderboards").await, databases.rows("leaderboards_v2.leaderboards").await);
    let no_way = switch::rollback(&place.owner, "leaderboards", &on_duty(), &nobody).await.unwrap_err();
    assert!(matches!(no_way, SwitchError::NoWayBack(_)), "{no_way}");

    let shown = switch::retire(&place.owner, "leaderboards", 2, None, 0, &on_duty()).await.unwrap_err();
    assert!(matches!(shown, SwitchError::IsShown(_)), "{shown}");
    let in_grace = switch::retire(&place.owner, "leaderboards", 1, None, 24, &on_duty()).await.unwrap_err();
    assert!(matches!(in_grace, SwitchError::InGrace(..)), "{in_grace}");
    stop(more).await;
    switch::retire(&place.owner, "leaderboards", 1, None, 0, &on_duty()).await.unwrap();
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'leaderboards%'";
    assert_eq!(databases.count(schemas).await, 1);
    assert_eq!(databases.count("SELECT count(*) FROM checkpoints WHERE worker = 'leaderboards.v1'").await, 0);
    stop(running).await;
    let decided = audit::newest(&parts.read_models, 20).await.unwrap();
    let actions: Vec<&str> = decided.iter().rev().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["rebuild_begun", "rebuild_done", "promoted", "rolled_back", "retired"]);
}

/// A fold that counts rides twice.
struct Faulty;

impl Projection for Faulty {
    const NAME: &'static str = "leaderboards";
    const VERSION: i32 = 2;
    const COLUMNS: &'static str = Leaderboards::COLUMNS;
    const KEY_BYTES: usize = Leaderboards::KEY_BYTES;
    type Changes = Changes;

    fn wants(event_type: &str) -> bool {
        Leaderboards::wants(event_type)
    }

    fn fold(changes: &mut Changes, moment: Moment, event: Event) -> Result<(), FoldError> {
        let is_ride = matches!(&event, Event::WorkoutImported(imported) if imported.details.sport == Sport::Ride);
        if is_ride {
            Leaderboards::fold(changes, moment, event.clone())?;
        }
        Leaderboards::fold(changes, moment, event)
    }

    fn keys(changes: &Changes) -> usize {
        Leaderboards::keys(changes)
    }

    async fn write(connection: &mut PgConnection, build: Build, changes: &Changes) -> Result<(), sqlx::Error> {
        Leaderboards::write(connection, build, changes).await
    }

    fn rows(changes: &Changes) -> impl Iterator<Item = CopyRow> + Send {
        Leaderboards::rows(changes)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fault_in_a_fold_is_found_with_its_rows_and_their_events() {
    let databases = Databases::new().await;
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {})).import(
        athlete(2),
        workout(2),
        run(|details| details.sport = Sport::Ride),
    );
    databases.append(&history.events).await;
    let (parts, place) = (databases.parts(), databases.place());
    let running = feed(&parts, &["leaderboards.v2"]);
    databases.eventually_at("leaderboards.v2", history.heads()).await;
    rebuild(&place, "leaderboards", None, AT_ONCE).await.unwrap();
    // As if the new generation had been made by the faulty fold.
    let again = Build { generation: 2, ..Build::first("leaderboards", 2) };
    databases.execute("TRUNCATE leaderboards_v2_g2.leaderboards").await;
    databases.execute("UPDATE checkpoints SET position = 0, epoch = 99 WHERE worker = 'leaderboards.v2.g2'").await;
    for (partition, head) in history.heads() {
        let fill = Fill {
            store: parts.store.clone(),
            read_models: parts.read_models.clone(),
            build: again,
            partition: *partition,
            epoch: 99,
            after: 0,
            upto: *head,
            next_offset: None,
            memory_bytes: 64 << 20,
            throttle: Throttle::new(1, None),
        };
        fill::partition::<Faulty>(fill, CancellationToken::new()).await.unwrap();
    }
    let candidate = other(&place, "leaderboards").await;
    let verified = verify::verify(&parts.store, &parts.read_models, &place.owner, &candidate).await.unwrap();
    assert!(!verified.is_sound());
    assert_eq!((verified.unexplained_rows, verified.differing_buckets), (8, 1), "the boards of one ride");
    assert!(verified.unexplained.iter().all(|row| row.owner_id == athlete(2)), "{verified:?}");
    let event = &verified.events[0].steps[0];
    assert_eq!((event.event_type.as_str(), event.position), ("workout_imported", history.events[1].position));
    let candidate = other(&place, "leaderboards").await;
    let refused = switch::promote(&place.owner, &candidate, false, &on_duty(), &Notices::nowhere()).await.unwrap_err();
    assert!(matches!(refused, SwitchError::NotVerified(..)), "{refused}");
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn poison_is_parked_in_the_new_build_too_and_everybody_else_is_there() {
    let databases = Databases::new().await;
    let mut history = history(&mut StdRng::seed_from_u64(3), 20, 200);
    history
        .add(athlete(7), "workout", workout(9_000), "workout_logged", &serde_json::json!({"type": "workout_logged"}))
        .log(athlete(7), workout(9_001), run(|_| {}))
        .log(athlete(8), workout(9_002), run(|_| {}));
    databases.append(&history.events).await;
    let (parts, place) = (databases.parts(), databases.place());
    let running = feed(&parts, &["totals.v1"]);
    databases.eventually_at("totals.v1", history.heads()).await;
    let done = rebuild(&place, "totals", None, AT_ONCE).await.unwrap();
    assert!(done.left.len() == 1 && done.left[0].contains("cannot be folded"), "{done:?}");
    assert_eq!(databases.rows("totals_v1_g2.totals").await, databases.rows("totals").await);
    let parked =
        "SELECT count(*) FROM parked_events WHERE owner_id = '01920000-0000-7000-8000-000000000007' AND worker = ";
    for worker in ["'totals.v1'", "'totals.v1.g2'"] {
        assert_eq!(databases.count(&format!("{parked}{worker}")).await, 2, "{worker}");
    }
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_that_outgrow_their_memory_are_finished_in_batches() {
    let databases = Databases::new().await;
    let mut history = History::default();
    for n in 0..300 {
        history.log(athlete(1), workout(n), run(|_| {}));
    }
    databases.append(&history.events).await;
    let (parts, place) = (databases.parts(), databases.place());
    let running = feed(&parts, &["workouts.v1"]);
    databases.eventually_at("workouts.v1", history.heads()).await;
    let tight = Effort { memory_bytes: 100_000, ..AT_ONCE };
    let done = rebuild(&place, "workouts", None, tight).await.unwrap();
    assert!(done.rows < 300 && done.left.len() == 1 && done.left[0].contains("--memory-mb"), "{done:?}");
    assert_eq!(databases.rows("workouts_v1_g2.workouts").await, databases.rows("workouts").await);
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_rebuild_of_the_same_version_is_told_who_is_at_it() {
    let databases = Databases::new().await;
    let place = databases.place();
    let one = Claim::take(&place.owner, built("totals.v1.g2"), &on_duty()).await.unwrap();
    let refused = rebuild(&place, "totals", None, AT_ONCE).await.unwrap_err();
    assert!(matches!(&refused, RebuildError::Busy { build, .. } if build.starts_with("totals.v1")), "{refused}");
    rebuild(&place, "profiles", None, AT_ONCE).await.unwrap();
    one.release().await;
    rebuild(&place, "totals", None, AT_ONCE).await.unwrap();
    let waits = rebuild(&place, "totals", None, AT_ONCE).await.unwrap_err();
    assert!(matches!(waits, RebuildError::Waits(_)), "{waits}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn only_what_readers_see_is_told() {
    let databases = Databases::new().await;
    let mut history = history(&mut StdRng::seed_from_u64(4), 10, 50);
    databases.append(&history.events).await;
    let mut listener = sqlx::postgres::PgListener::connect_with(&databases.read_models).await.unwrap();
    listener.listen("fittrack_read_model_changes").await.unwrap();
    let (mut parts, place) = (databases.parts(), databases.place());
    rebuild(&place, "totals", None, AT_ONCE).await.unwrap();
    let stopping = CancellationToken::new();
    parts.notices = Notices::over_postgres(parts.read_models.clone(), stopping.clone());
    let warm = feed(&parts, &["totals.v1.g2"]);
    let stored = history.events.len();
    history.log(athlete(1), workout(900), run(|_| {}));
    databases.append(&history.events[stored..]).await;
    databases.eventually_at("totals.v1.g2", history.heads()).await;
    // The first thing said is of what is shown, though the other came first.
    let live = feed(&parts, &["totals.v1"]);
    let said = tokio::time::timeout(support::PATIENCE, listener.recv()).await.unwrap().unwrap();
    let notice: serde_json::Value = serde_json::from_str(said.payload()).unwrap();
    assert_eq!((&notice["read_model"], &notice["generation"]), (&"totals".into(), &1.into()), "{notice}");
    stop(warm).await;
    stop(live).await;
    stopping.cancel();
}

/// The property of the whole: whatever comes between live batches, loading, crashes, sleepers that wake up late, and switches,
/// the rows are those of one undisturbed reading.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_interleaving_of_live_work_rebuilds_crashes_and_switches_ends_in_the_same_rows() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (databases, calm) = (Databases::new().await, Databases::new().await);
    let mut history = history(&mut random, 30, 300);
    databases.append(&history.events).await;
    let (parts, place) = (databases.parts(), databases.place());
    let mut running = feed(&parts, &["leaderboards.v2"]);
    let mut deeds = 300;
    let mut finished = false;
    for _ in 0..6 {
        // Slow enough to be interrupted, at any moment.
        let slow = Effort { max_rate: Some(f64::from(random.random_range(300..4_000))), ..AT_ONCE };
        let loading = {
            let place = place.clone();
            tokio::spawn(async move { rebuild(&place, "leaderboards", Some(1), slow).await })
        };
        let stored = history.events.len();
        add_deeds(&mut history, &mut random, 30, deeds, 40);
        deeds += 40;
        databases.append(&history.events[stored..]).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
        if random.random_bool(0.5) {
            // Nobody is told: its tasks go on without it, as after a pause of the whole process, and must change nothing.
            loading.abort();
        }
        match loading.await {
            Ok(Ok(_)) => {
                finished = true;
                break;
            }
            Ok(Err(error)) => assert!(matches!(error, RebuildError::Busy { .. } | RebuildError::Waits(_)), "{error}"),
            Err(aborted) => assert!(aborted.is_cancelled()),
        }
    }
    eventually("the rebuild to be done", async || {
        finished |= match rebuild(&place, "leaderboards", Some(1), AT_ONCE).await {
            Ok(_) | Err(RebuildError::Waits(_)) => true,
            Err(RebuildError::Busy { .. }) => false,
            Err(error) => panic!("{error}"),
        };
        finished
    })
    .await;
    running.extend(feed(&parts, &["leaderboards.v1"]));
    for _ in 0..4 {
        let to = other(&place, "leaderboards").await;
        let stored = history.events.len();
        add_deeds(&mut history, &mut random, 30, deeds, 30);
        deeds += 30;
        let appending = databases.append(&history.events[stored..]);
        let switching =
            async { switch::promote(&place.owner, &to, true, &on_duty(), &Notices::nowhere()).await.unwrap() };
        tokio::join!(appending, switching);
    }
    for worker in ["leaderboards.v1", "leaderboards.v2"] {
        databases.eventually_at(worker, history.heads()).await;
    }
    stop(running).await;

    calm.append(&history.events).await;
    rebuild(&calm.place(), "leaderboards", Some(1), AT_ONCE).await.unwrap();
    let parts = calm.parts();
    let undisturbed = feed(&parts, &["leaderboards.v2"]);
    calm.eventually_at("leaderboards.v2", history.heads()).await;
    stop(undisturbed).await;
    for table in ["leaderboards_v1.leaderboards", "leaderboards_v2.leaderboards"] {
        assert_eq!(databases.rows(table).await, calm.rows(table).await, "{table}, seed {seed}");
    }
}

/// Stores an event as a command would that took so long from decision to storage.
async fn command_that_took(databases: &Databases, history: &mut History, n: u128, milliseconds: i64) {
    history.log(athlete(1), workout(n), run(|_| {}));
    let event = history.events.last_mut().unwrap();
    event.recorded_at = fittrack_runtime::clock::now();
    event.occurred_at = event.recorded_at - chrono::TimeDelta::milliseconds(milliseconds);
    databases.append(&history.events[history.events.len() - 1..]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rebuild_gives_way_while_commands_take_longer_and_takes_up_its_pace_again() {
    let databases = Databases::new().await;
    let mut history = History::default();
    let (place, throttle, progress) = (databases.place(), Throttle::new(4, None), Progress::new(0.0));
    command_that_took(&databases, &mut history, 0, 2).await;
    let governing = Governor::new(&place, throttle.clone(), Arc::clone(&progress)).spawn();
    let mut n = 1;
    let mut reasons = Vec::new();
    eventually("the pace to be lowered for the commands' sake", async || {
        // Once the governor knows what is usual, commands become slow. A busy machine may give it other reasons as well.
        command_that_took(&databases, &mut history, n, if n < 40 { 2 } else { 500 }).await;
        n += 1;
        reasons.extend(progress.snapshot().slowed_by);
        throttle.share() < throttle.usual_share() / 2.0 && reasons.iter().any(|reason| reason.contains("commands take"))
    })
    .await;
    // Somebody was there: it leaves them most of the machine, however quiet it is.
    assert!(throttle.usual_share() < 0.5);
    eventually("the pace to be raised", async || throttle.share() >= throttle.usual_share()).await;
    eventually("the reason to be another", async || {
        progress.snapshot().slowed_by.is_some_and(|reason| reason.contains("live work"))
    })
    .await;
    drop(governing);
}
