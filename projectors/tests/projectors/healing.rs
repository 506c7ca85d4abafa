//! What a source leaves out is read from the event store.
use std::time::Duration;

use projectors::{projections::totals::Totals, runner::Tuning};

use crate::{
    given::{History, athlete, run, workout},
    scripted::scripted,
    support::{self, Databases},
};

const WORKER: &str = "totals.v1";

fn ten_workouts() -> History {
    let mut history = History::default();
    for n in 0..10 {
        history.log(athlete(1), workout(n), run(|_| {}));
    }
    history
}

#[tokio::test]
async fn a_gap_is_filled_and_a_repeat_is_skipped() {
    let databases = Databases::new().await;
    let history = ten_workouts();
    databases.append(&history.events).await;
    let (script, source) = scripted();
    let running = support::run::<Totals>(databases.parts(), source);
    script.deliver(&history.events[0..2]);
    script.deliver([&history.events[6], &history.events[1], &history.events[9]]);
    script.deliver(&history.events);
    databases.eventually_at(WORKER, history.heads()).await;
    assert!(running.stop().await.is_ok());
    assert_eq!(databases.count("SELECT workouts FROM totals").await, 10);
}

#[tokio::test]
async fn what_never_comes_is_read_from_the_store_after_a_while() {
    let databases = Databases::new().await;
    let history = ten_workouts();
    databases.append(&history.events).await;
    let mut parts = databases.parts();
    parts.tuning = Tuning { overdue: Duration::from_millis(200), ..parts.tuning };
    let (script, source) = scripted();
    let running = support::run::<Totals>(parts, source);
    script.deliver(&history.events[0..3]);
    databases.eventually_at(WORKER, history.heads()).await;
    assert!(running.stop().await.is_ok());
    assert_eq!(databases.count("SELECT workouts FROM totals").await, 10);
}

#[tokio::test]
async fn a_hole_in_the_store_is_never_passed() {
    let databases = Databases::new().await;
    let history = ten_workouts();
    // The fifth is not visible yet.
    databases.append(&history.events[..4]).await;
    databases.append(&history.events[5..]).await;
    let (script, source) = scripted();
    let running = support::run::<Totals>(databases.parts(), source);
    script.deliver([&history.events[0], &history.events[9]]);
    let partition = history.events[0].partition;
    support::eventually("the events before the hole", async || databases.position(WORKER, partition).await >= 1).await;
    script.deliver([&history.events[9]]);
    // When it becomes visible, everything follows.
    databases.append(&history.events[4..5]).await;
    script.deliver([&history.events[9]]);
    script.deliver([&history.events[9]]);
    databases.eventually_at(WORKER, history.heads()).await;
    assert!(running.stop().await.is_ok());
    assert_eq!(databases.count("SELECT workouts FROM totals").await, 10);
}
