//! A database of its own for each test, and short ways to say what a test is about.
use std::{str::FromStr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use command_api::{
    dispatch::Dispatcher,
    store::{
        EventStore,
        append::{Append, NewEvent},
        hints::Hints,
    },
};
use fittrack_domain::partition::{DEFAULT_PARTITIONS, partition_of};
use fittrack_schemas::migrations;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a condition may take on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A migrated event store that nobody else uses.
pub struct Database {
    pub admin: PgPool,
    options: PgConnectOptions,
}

pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run through deploy/fittrack test"))
}

impl Database {
    pub async fn new() -> Self {
        let server = PgConnectOptions::from_str(&setting("FITTRACK_TEST_POSTGRES_URL")).unwrap();
        let name = format!("store_{}", Uuid::now_v7().simple());
        let root = PgPoolOptions::new().max_connections(1).connect_with(server.clone()).await.unwrap();
        sqlx::query(&format!("CREATE DATABASE {name}")).execute(&root).await.unwrap();
        let options = server.database(&name);
        let admin = PgPoolOptions::new().max_connections(4).connect_with(options.clone()).await.unwrap();
        migrations::apply(&migrations::EVENT_STORE, &admin).await.unwrap();
        Self { admin, options }
    }

    /// Connects as one of FitTrack's roles.
    pub fn options_as(&self, role: &str) -> PgConnectOptions {
        self.options.clone().options([("role", role)])
    }

    pub async fn pool_as(&self, role: &str) -> PgPool {
        PgPoolOptions::new().max_connections(5).connect_with(self.options_as(role)).await.unwrap()
    }

    /// A store as one process has it, with its lanes running.
    pub async fn store(&self) -> EventStore {
        let pool = self.pool_as("fittrack_command").await;
        let (store, lanes) = EventStore::open(pool, DEFAULT_PARTITIONS);
        tokio::spawn(lanes.run(CancellationToken::new()));
        store
    }

    pub async fn dispatcher(&self) -> Dispatcher {
        Dispatcher::new(self.store().await, Arc::new(Hints::default()))
    }

    /// I4 of reliability.md, in one statement each.
    pub async fn assert_log_is_whole(&self) {
        let report = command_api::check::Check { store: &self.admin, kafka: None, topic: "" }.run().await.unwrap();
        assert_eq!(report.violations, Vec::<String>::new());
    }

    pub async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.admin).await.unwrap()
    }
}

/// The instant at which tests decide.
pub fn noon() -> DateTime<Utc> {
    "2026-11-01T12:00:00Z".parse().unwrap()
}

/// `events` events for a stream.
pub fn append_to(stream: Uuid, owner: Uuid, expected_version: i64, events: usize) -> Append {
    Append {
        command_id: Uuid::now_v7(),
        partition: partition_of(owner, DEFAULT_PARTITIONS),
        aggregate_type: "workout",
        aggregate_id: stream,
        owner_id: owner,
        expected_version,
        events: (0..events).map(|_| new_event()).collect(),
    }
}

pub fn new_event() -> NewEvent {
    NewEvent {
        event_id: Uuid::now_v7(),
        event_type: "redacted".into(),
        event_version: "1".into(),
        payload: r#"{"type":"redacted"}"#.into(),
        metadata: "{}".into(),
        occurred_at: noon(),
    }
}

/// Waits until the condition holds, or fails with what it waited for.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "waited {PATIENCE:?} for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
