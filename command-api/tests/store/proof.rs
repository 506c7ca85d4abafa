//! The proof that nothing was lost: whatever is removed, changed or doubled behind everybody's back is found, by the check
//! at once and by the prover in its rounds, and nothing else is.
use std::time::Duration;

use command_api::relay::prover::{Pace, Prover};
use fittrack_domain::partition::DEFAULT_PARTITIONS;

use crate::{road::Road, support::eventually};

/// Everything is read in one round, and due at once.
fn brisk() -> Pace {
    Pace { every: Duration::from_millis(10), grace: Duration::ZERO, new_events: 1_000_000, old_events: 1_000_000 }
}

async fn prover(road: &Road, pace: Pace) -> Prover {
    Prover::new(road.database.pool_as("fittrack_relay").await, DEFAULT_PARTITIONS, pace)
}

/// A store of 320 events that are all published, and nobody at work.
async fn published_road() -> Road {
    let road = Road::new().await;
    road.append(0..160).await;
    let relay = road.relay().await;
    assert_eq!(road.eventually_all_published().await.violations, Vec::<String>::new());
    relay.stop().await;
    road
}

/// A partition of at least six events, and what is done to it.
struct Plant {
    partition: i32,
    head: i64,
    /// SQL over `events e`, in which `:p` and `:h` stand for the two.
    sql: &'static str,
    /// What the check must say of it.
    found: &'static [&'static str],
    /// Whether the log is not what was published any more.
    is_doubtful: bool,
}

impl Plant {
    fn filled(&self, text: &str) -> String {
        text.replace(":p", &self.partition.to_string()).replace(":h", &self.head.to_string())
    }

    async fn put_into(&self, road: &Road) {
        road.spoil(&self.filled(self.sql)).await;
    }
}

const REMOVED: &str = "DELETE FROM events WHERE partition = :p AND position = 3";
const LAST_REMOVED: &str = "DELETE FROM events WHERE partition = :p AND position = :h";
const ID_CHANGED: &str = "UPDATE events SET event_id = gen_random_uuid() WHERE partition = :p AND position = 3";
const DOUBLED_OVER_ANOTHER: &str = "
    UPDATE events e SET event_id = o.event_id FROM events o
    WHERE e.partition = :p AND o.partition = :p AND e.position = 5 AND o.position = 2";
const DOUBLED_AT_THE_END: &str = "
    INSERT INTO events
    SELECT partition, position + :h, aggregate_type, aggregate_id || '-copy', 1, owner_id, event_id, event_type, event_version,
           payload, metadata, gen_random_uuid(), 0, occurred_at, recorded_at
    FROM events WHERE partition = :p AND position = 1";
const EXCHANGED: &str = "
    UPDATE events e SET event_id = o.event_id FROM events o
    WHERE e.partition = :p AND o.partition = :p AND e.position + o.position = 5 AND e.position IN (2, 3)";
const PAYLOAD_CHANGED: &str =
    r#"UPDATE events SET payload = '{"type":"redacted","and":"more"}' WHERE partition = :p AND position = 4"#;

const NOT_PUBLISHED: &str = "proof: the log of partition :p from position 1 to :h is not what was published";

/// What is done, what must be said of it, and whether the log is not what was published any more.
const KINDS: [(&str, &[&str], bool); 7] = [
    (REMOVED, &["I4: partition :p has no event at position 3"], true),
    (LAST_REMOVED, &["I4: partition :p has no event at position :h", "I5: partition :p, position :h: event"], true),
    (ID_CHANGED, &[NOT_PUBLISHED, "I5: partition :p, position 3: event"], true),
    (DOUBLED_OVER_ANOTHER, &["in partition :p more than once, at positions [2, 5]", NOT_PUBLISHED], true),
    (DOUBLED_AT_THE_END, &["in partition :p more than once, at positions [1, "], false),
    (EXCHANGED, &[NOT_PUBLISHED, "I5: partition :p, position 2: event", "I5: partition :p, position 3: event"], true),
    (PAYLOAD_CHANGED, &["I5: partition :p, position 4: the payload of event"], false),
];

/// One of each, in partitions of their own.
async fn plants(road: &Road) -> Vec<Plant> {
    let heads: Vec<_> = road.heads().await.into_iter().filter(|(_, head)| *head >= 6).collect();
    assert!(heads.len() > KINDS.len(), "{heads:?}");
    let plant = |((partition, head), (sql, found, is_doubtful))| Plant { partition, head, sql, found, is_doubtful };
    heads.into_iter().zip(KINDS).map(plant).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_check_names_every_change_of_the_log_with_partition_and_position() {
    let road = published_road().await;
    let plants = plants(&road).await;
    let sound: i64 = road.heads().await.values().sum();
    for plant in &plants {
        plant.put_into(&road).await;
    }
    let report = road.published().await;
    let said = report.violations.join("\n");
    for plant in &plants {
        for found in plant.found {
            let found = plant.filled(found);
            assert!(said.contains(&found), "{found:?} is not said after {}:\n{said}", plant.sql);
        }
    }
    let doubtful: i64 = plants.iter().filter(|plant| plant.is_doubtful).map(|plant| plant.head).sum();
    assert_eq!(report.proven, sound - doubtful, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_prover_counts_a_log_as_unproven_after_each_change_and_no_other() {
    let road = published_road().await;
    let mut prover = prover(&road, brisk()).await;
    assert_eq!(prover.round().await.unwrap(), 0);
    let mut doubtful = 0;
    for plant in plants(&road).await.into_iter().filter(|plant| plant.is_doubtful) {
        plant.put_into(&road).await;
        doubtful += plant.head;
        assert_eq!(prover.round().await.unwrap(), doubtful, "after {}", plant.sql);
    }
    assert_eq!(prover.round().await.unwrap(), doubtful, "it stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_change_is_still_counted_by_the_next_prover_and_not_once_it_is_mended() {
    let road = published_road().await;
    let (partition, head) = road.heads().await.into_iter().find(|(_, head)| *head >= 6).unwrap();
    let mut first = prover(&road, brisk()).await;
    let set_id = |id: &str| format!("UPDATE events SET event_id = {id} WHERE partition = {partition} AND position = 2");
    let id = format!("SELECT event_id::text FROM events WHERE partition = {partition} AND position = 2");
    let id: String = sqlx::query_scalar(&id).fetch_one(&road.database.admin).await.unwrap();
    road.spoil(&set_id("gen_random_uuid()")).await;
    assert_eq!(first.round().await.unwrap(), head);

    first.stop().await;
    let mut next = prover(&road, Pace { old_events: 0, ..brisk() }).await;
    assert_eq!(next.round().await.unwrap(), head);
    next.stop().await;
    let mut last = prover(&road, brisk()).await;
    assert_eq!(last.round().await.unwrap(), head);
    road.spoil(&set_id(&format!("'{id}'"))).await;
    assert_eq!(last.round().await.unwrap(), 0);
    assert_eq!(road.published().await.violations, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_prover_goes_on_from_what_was_proven() {
    let road = published_road().await;
    let events: i64 = road.heads().await.values().sum();
    let nothing_read = Pace { new_events: 0, old_events: 0, ..brisk() };
    let mut idle = prover(&road, nothing_read.clone()).await;
    assert_eq!(idle.round().await.unwrap(), events, "nothing is proven yet");
    idle.stop().await;

    let mut slow = prover(&road, Pace { new_events: 100, old_events: 7, ..brisk() }).await;
    eventually("a hundred events a round prove all", async || slow.round().await.unwrap() == 0).await;
    slow.stop().await;
    let mut idle = prover(&road, nothing_read).await;
    assert_eq!(idle.round().await.unwrap(), 0);
    let differing = "SELECT count(*) FROM checkpoints r JOIN checkpoints s USING (partition)
                     WHERE r.worker = 'relay' AND s.worker = 'store'
                       AND (r.position, r.proof_events, r.proof_hash) <> (s.position, s.proof_events, s.proof_hash)";
    assert_eq!(road.database.count(differing).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_not_published_is_counted_once_its_grace_is_over() {
    let road = Road::new().await;
    let patient = Pace { grace: Duration::from_secs(3600), ..brisk() };
    let (mut strict, mut patient) = (prover(&road, brisk()).await, prover(&road, patient).await);
    assert_eq!(strict.round().await.unwrap(), 0);
    road.append(0..50).await;
    eventually("the events are due", async || strict.round().await.unwrap() == 100).await;
    strict.stop().await;
    // What was there before the prover was has waited long enough.
    assert_eq!(patient.round().await.unwrap(), 100);
    road.append(50..60).await;
    assert_eq!(patient.round().await.unwrap(), 100);

    let relay = road.relay().await;
    eventually("all is published and proven", async || patient.round().await.unwrap() == 0).await;
    assert_eq!(road.eventually_all_published().await.violations, Vec::<String>::new());
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn provers_share_the_partitions_and_their_counts_add_up() {
    let road = published_road().await;
    let (mut one, mut other) = (prover(&road, brisk()).await, prover(&road, brisk()).await);
    let holders = "SELECT count(DISTINCT holder) FROM checkpoints WHERE worker = 'store'";
    eventually("both hold partitions", async || {
        assert_eq!(one.round().await.unwrap() + other.round().await.unwrap(), 0);
        road.database.count(holders).await == 2
    })
    .await;
    let heads = road.heads().await;
    for partition in heads.keys() {
        road.spoil(&format!(
            "UPDATE events SET event_id = gen_random_uuid() WHERE partition = {partition} AND position = 1"
        ))
        .await;
    }
    let counts = (one.round().await.unwrap(), other.round().await.unwrap());
    assert!(counts.0 > 0 && counts.1 > 0, "{counts:?}");
    assert_eq!(counts.0 + counts.1, heads.values().sum::<i64>());
}
