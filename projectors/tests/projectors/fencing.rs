//! Two workers of one projection: whatever they do, each event counts once.
use std::time::Duration;

use projectors::{projections::totals::Totals, registry::Road, runner::Tuning};

use crate::{
    given::{History, athlete, run, workout},
    scripted::scripted,
    support::{self, Databases, eventually},
};

const WORKER: &str = "totals.v1";

#[tokio::test]
async fn a_worker_whose_partition_was_taken_changes_nothing() {
    let databases = Databases::new().await;
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {})).log(athlete(1), workout(2), run(|_| {}));
    databases.append(&history.events).await;
    let partition = history.events[0].partition;
    let (script, source) = scripted();
    let running = support::run::<Totals>(databases.parts(), source);
    script.deliver(&history.events[..1]);
    eventually("the first event", async || databases.position(WORKER, partition).await == 1).await;

    // Another process takes everything over, as after a long pause of this one.
    databases
        .execute(
            "UPDATE checkpoints SET epoch = epoch + 1, holder = '00000000-0000-7000-8000-000000000001',
                 lease_expires_at = clock_timestamp() + interval '1 hour';
             INSERT INTO lease_members VALUES
                 ('totals.v1', '00000000-0000-7000-8000-000000000001', clock_timestamp() + interval '1 hour')",
        )
        .await;
    script.deliver(&history.events[1..]);
    // The worker has noticed when it has announced itself again and holds nothing.
    eventually("the worker to see that it holds nothing", async || {
        databases.count("SELECT count(*) FROM lease_members").await == 2
    })
    .await;
    script.deliver(&history.events[1..]);
    assert!(running.stop().await.is_ok());
    assert_eq!(databases.position(WORKER, partition).await, 1);
    assert_eq!(databases.count("SELECT workouts FROM totals").await, 1);
}

#[tokio::test]
async fn two_workers_share_the_partitions_and_count_each_event_once() {
    let databases = Databases::new().await;
    let mut history = History::default();
    let mut parts = databases.parts();
    parts.tuning = Tuning { lease: Duration::from_secs(2), ..parts.tuning };
    let first = support::run_all(&parts, &Road::Store);
    let mut second = support::run_all(&parts, &Road::Store);
    eventually("both to hold some", async || {
        databases.count("SELECT count(DISTINCT holder) FROM checkpoints WHERE worker = 'totals.v1'").await == 2
    })
    .await;
    for round in 0..4 {
        let stored = history.events.len();
        for n in 0..100 {
            history.log(athlete(n % 20), workout(round * 100 + n), run(|_| {}));
        }
        databases.append(&history.events[stored..]).await;
        // One of them goes and another comes while events flow.
        second.stop().await;
        second = support::run_all(&parts, &Road::Store);
    }
    databases.eventually_all_at(history.heads()).await;
    first.stop().await;
    second.stop().await;
    assert_eq!(databases.count("SELECT sum(workouts)::bigint FROM totals").await, 400);
    assert_eq!(databases.rows("workouts").await.len(), 400);
    let all_time = "SELECT sum(workouts)::bigint FROM leaderboards WHERE period = 'all' AND sport = 'all'";
    assert_eq!(databases.count(all_time).await, 400);
}
