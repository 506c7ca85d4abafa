//! A store with its relay and a Kafka topic of its own: what the tests of the road append to and look at.
use std::{collections::BTreeMap, sync::Arc};

use command_api::{
    check::{Check, Report},
    relay::Relay,
    store::{EventStore, append::Outcome},
};
use fittrack_domain::partition::DEFAULT_PARTITIONS;
use fittrack_runtime::kafka::KafkaAccess;
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::given_kafka;
use crate::support::{Database, append_to, eventually};

pub struct Road {
    pub database: Database,
    store: EventStore,
    topic: String,
    kafka: KafkaAccess,
}

impl Road {
    pub async fn new() -> Self {
        let database = Database::new().await;
        let store = database.store().await;
        let topic = format!("events-{}", Uuid::now_v7().simple());
        Self { database, store, topic, kafka: given_kafka::access() }
    }

    pub async fn relay(&self) -> Running {
        let stop = CancellationToken::new();
        let relay = Relay {
            pool: self.database.pool_as("fittrack_relay").await,
            kafka: self.kafka.clone(),
            topic: self.topic.clone(),
            partitions: DEFAULT_PARTITIONS,
            wake: Arc::clone(self.store.wake()),
            holder: Uuid::now_v7(),
        };
        Running { task: tokio::spawn(relay.run(stop.clone())), stop }
    }

    pub async fn append(&self, streams: std::ops::Range<u128>) {
        let answers: Vec<_> = stream::iter(streams)
            .map(|n| self.store.append(append_to(Uuid::from_u128(n), Uuid::from_u128(n % 40), 0, 2)))
            .buffer_unordered(64)
            .collect()
            .await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(Outcome::Stored(_)))));
    }

    pub async fn published(&self) -> Report {
        let check = Check { store: &self.database.admin, kafka: Some(&self.kafka), topic: &self.topic };
        check.run().await.unwrap()
    }

    pub async fn eventually_all_published(&self) -> Report {
        eventually("the relay's cursors reach the heads", async || {
            let behind =
                "SELECT count(*) FROM (SELECT partition, max(position) AS head FROM events GROUP BY partition) h
                          LEFT JOIN checkpoints c ON c.worker = 'relay' AND c.partition = h.partition
                          WHERE coalesce(c.position, 0) < h.head";
            self.database.count(behind).await == 0
        })
        .await;
        let report = self.published().await;
        assert_eq!((report.proven, report.unproven), (report.events, 0), "{:?}", report.violations);
        report
    }

    /// The last position of each partition.
    pub async fn heads(&self) -> BTreeMap<i32, i64> {
        let heads = "SELECT partition, max(position) FROM events GROUP BY partition";
        let heads: Vec<(i32, i64)> = sqlx::query_as(heads).fetch_all(&self.database.admin).await.unwrap();
        heads.into_iter().collect()
    }

    /// Changes the log as only a superuser could.
    pub async fn spoil(&self, sql: &str) {
        let sql = format!("ALTER TABLE events DISABLE TRIGGER events_are_never_changed; {sql}");
        sqlx::raw_sql(&sql).execute(&self.database.admin).await.unwrap();
    }

    pub async fn published_without_kafka(&self) -> Vec<String> {
        Check { store: &self.database.admin, kafka: None, topic: "" }.run().await.unwrap().violations
    }
}

/// A relay at work.
pub struct Running {
    pub task: tokio::task::JoinHandle<Result<(), command_api::relay::RelayError>>,
    stop: CancellationToken,
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}
