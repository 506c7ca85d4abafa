//! The relay against a real Kafka: everything in order, nothing lost, holders that come and go.
use std::{sync::Arc, time::Duration};

use command_api::{
    check::{Check, Report},
    relay::Relay,
    store::{EventStore, append::Outcome},
};
use fittrack_domain::partition::DEFAULT_PARTITIONS;
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Database, append_to, eventually, setting};

struct Road {
    database: Database,
    store: EventStore,
    topic: String,
    brokers: String,
}

impl Road {
    async fn new() -> Self {
        let database = Database::new().await;
        let store = database.store().await;
        let topic = format!("events-{}", Uuid::now_v7().simple());
        Self { database, store, topic, brokers: setting("FITTRACK_TEST_KAFKA_BROKERS") }
    }

    async fn relay(&self) -> Running {
        let stop = CancellationToken::new();
        let relay = Relay {
            pool: self.database.pool_as("fittrack_relay").await,
            brokers: self.brokers.clone(),
            topic: self.topic.clone(),
            partitions: DEFAULT_PARTITIONS,
            wake: Arc::clone(self.store.wake()),
            holder: Uuid::now_v7(),
        };
        Running { task: tokio::spawn(relay.run(stop.clone())), stop }
    }

    async fn append(&self, streams: std::ops::Range<u128>) {
        let answers: Vec<_> = stream::iter(streams)
            .map(|n| self.store.append(append_to(Uuid::from_u128(n), Uuid::from_u128(n % 40), 0, 2)))
            .buffer_unordered(64)
            .collect()
            .await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(Outcome::Stored(_)))));
    }

    async fn published(&self) -> Report {
        let check = Check { store: &self.database.admin, brokers: Some(&self.brokers), topic: &self.topic };
        check.run().await.unwrap()
    }

    async fn eventually_all_published(&self) -> Report {
        eventually("the relay's cursors reach the heads", async || {
            let behind =
                "SELECT count(*) FROM (SELECT partition, max(position) AS head FROM events GROUP BY partition) h
                          LEFT JOIN checkpoints c ON c.worker = 'relay' AND c.partition = h.partition
                          WHERE coalesce(c.position, 0) < h.head";
            self.database.count(behind).await == 0
        })
        .await;
        self.published().await
    }
}

struct Running {
    task: tokio::task::JoinHandle<Result<(), command_api::relay::RelayError>>,
    stop: CancellationToken,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_event_reaches_kafka_in_store_order() {
    let road = Road::new().await;
    road.append(0..300).await;
    let relay = road.relay().await;
    road.append(300..600).await;
    let report = road.eventually_all_published().await;
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!((report.events, report.messages, report.repeats), (1200, Some(1200), Some(0)));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_relays_share_the_partitions_and_a_stopped_ones_share_goes_on() {
    let road = Road::new().await;
    let (one, two) = (road.relay().await, road.relay().await);
    eventually("both hold partitions", async || {
        road.database
            .count("SELECT count(DISTINCT holder) FROM checkpoints WHERE lease_expires_at > clock_timestamp()")
            .await
            == 2
    })
    .await;
    road.append(0..300).await;
    one.stop().await;
    road.append(300..600).await;
    let report = road.eventually_all_published().await;
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.events, 1200);
    two.stop().await;
}

/// A killed relay gives nothing back; the next one waits for the leases to run out and goes on from the written cursors.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_relay_is_replaced_and_nothing_is_lost() {
    let road = Road::new().await;
    let killed = road.relay().await;
    road.append(0..200).await;
    tokio::time::timeout(Duration::from_secs(30), async {
        while road.database.count("SELECT count(*) FROM checkpoints WHERE position > 0").await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    killed.task.abort();
    road.append(200..400).await;
    let next = road.relay().await;
    let report = road.eventually_all_published().await;
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.events, 800);
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_check_finds_a_planted_hole_and_a_foreign_owner() {
    let road = Road::new().await;
    road.append(0..10).await;
    assert_eq!(road.published_without_kafka().await, Vec::<String>::new());
    let plant = "ALTER TABLE events DISABLE TRIGGER events_are_never_changed;
                 UPDATE events SET position = position + 1 WHERE (partition, position) IN
                     (SELECT partition, max(position) FROM events GROUP BY partition ORDER BY partition LIMIT 1);
                 UPDATE events SET owner_id = gen_random_uuid() WHERE (partition, position) IN
                     (SELECT partition, max(position) FROM events GROUP BY partition ORDER BY partition DESC LIMIT 1);";
    sqlx::raw_sql(plant).execute(&road.database.admin).await.unwrap();
    let found = road.published_without_kafka().await.join("\n");
    assert!(found.contains("I4: partition") && found.contains("I4: stream"), "{found}");
}

impl Road {
    async fn published_without_kafka(&self) -> Vec<String> {
        Check { store: &self.database.admin, brokers: None, topic: "" }.run().await.unwrap().violations
    }
}
