//! Databases of its own for each test, runners over them, and short ways to ask what they hold.
use std::{collections::BTreeMap, str::FromStr, time::Duration};

use fittrack_domain::partition::DEFAULT_PARTITIONS;
use fittrack_runtime::private::Readiness;
use fittrack_schemas::{
    envelope::StoredEvent,
    migrations,
    read_models::{self, Build},
};
use projectors::{
    notices::Notices,
    projection::Projection,
    rebuild::Place,
    registry::{Built, Road},
    runner::{Halt, Parts, Runner, ShownCheck, Tuning},
    source::Source,
};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a condition may take on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run through deploy/fittrack test"))
}

/// A migrated event store and migrated read models that nobody else uses.
pub struct Databases {
    /// The event store, as its owner.
    pub store: PgPool,
    /// The read models, as their owner.
    pub read_models: PgPool,
    store_options: PgConnectOptions,
    read_model_options: PgConnectOptions,
}

impl Databases {
    pub async fn new() -> Self {
        let (store, store_options) = create("projectors_store", &migrations::EVENT_STORE).await;
        let (read_models, read_model_options) = create("projectors_models", &migrations::READ_MODELS).await;
        read_models::migrate(&read_models).await.unwrap();
        Self { store, read_models, store_options, read_model_options }
    }

    /// What a projection works with, as the role of the projectors.
    pub fn parts(&self) -> Parts {
        Parts {
            store: as_projector(&self.store_options),
            read_models: as_projector(&self.read_model_options),
            build: Build::first("totals", 1),
            partitions: DEFAULT_PARTITIONS,
            notices: Notices::nowhere(),
            check: ShownCheck::new(Readiness::new().check("projection"), true),
            tuning: Tuning { heartbeat: Duration::from_millis(100), ..Tuning::default() },
        }
    }

    /// Where a rebuild works.
    pub fn place(&self) -> Place {
        Place {
            store: as_projector(&self.store_options),
            read_models: as_projector(&self.read_model_options),
            owner: PgPoolOptions::new().max_connections(5).connect_lazy_with(self.read_model_options.clone()),
        }
    }

    /// Stores events as they are; positions are the test's.
    pub async fn append(&self, events: &[StoredEvent]) {
        for event in events {
            sqlx::query(
                "INSERT INTO events (partition, position, aggregate_type, aggregate_id, sequence, owner_id, event_id,
                     event_type, event_version, payload, metadata, command_id, command_index, occurred_at, recorded_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::json, $11::text::json, $12, 0, $13, $14)",
            )
            .bind(event.partition)
            .bind(event.position)
            .bind(&event.aggregate_type)
            .bind(&event.aggregate_id)
            .bind(event.sequence)
            .bind(event.owner_id)
            .bind(event.event_id)
            .bind(&event.event_type)
            .bind(&event.event_version)
            .bind(event.payload.get())
            .bind(serde_json::to_string(&event.metadata).unwrap())
            .bind(event.command_id)
            .bind(event.occurred_at)
            .bind(event.recorded_at)
            .execute(&self.store)
            .await
            .unwrap();
        }
    }

    /// The rows of a read model, each as JSON, in a fixed order.
    pub async fn rows(&self, read_model: &str) -> Vec<String> {
        let rows = format!("SELECT to_jsonb(r)::text FROM {read_model} r ORDER BY 1");
        sqlx::query_scalar(&rows).fetch_all(&self.read_models).await.unwrap()
    }

    /// All rows of all read models.
    pub async fn all_rows(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut all = BTreeMap::new();
        for built in Built::newest() {
            all.insert(built.name(), self.rows(built.name()).await);
        }
        all
    }

    /// One number.
    pub async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.read_models).await.unwrap()
    }

    /// Changes something in the read models' database, as its owner.
    pub async fn execute(&self, sql: &str) {
        sqlx::raw_sql(sql).execute(&self.read_models).await.unwrap();
    }

    /// The position of a worker's checkpoint.
    pub async fn position(&self, worker: &str, partition: i32) -> i64 {
        let sql = "SELECT coalesce(max(position), 0) FROM checkpoints WHERE worker = $1 AND partition = $2";
        sqlx::query_scalar(sql).bind(worker).bind(partition).fetch_one(&self.read_models).await.unwrap()
    }

    /// Waits until a worker's checkpoints stand at these heads.
    pub async fn eventually_at(&self, worker: &str, heads: &BTreeMap<i32, i64>) {
        eventually(&format!("{worker} to come to {heads:?}"), async || {
            for (partition, head) in heads {
                if self.position(worker, *partition).await != *head {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// Waits until all four projections stand at these heads.
    pub async fn eventually_all_at(&self, heads: &BTreeMap<i32, i64>) {
        for built in Built::newest() {
            self.eventually_at(&built.worker(), heads).await;
        }
    }
}

async fn create(name: &str, migrator: &sqlx::migrate::Migrator) -> (PgPool, PgConnectOptions) {
    let server = PgConnectOptions::from_str(&setting("FITTRACK_TEST_POSTGRES_URL")).unwrap();
    let name = format!("{name}_{}", Uuid::now_v7().simple());
    let root = PgPoolOptions::new().max_connections(1).connect_with(server.clone()).await.unwrap();
    sqlx::query(&format!("CREATE DATABASE {name}")).execute(&root).await.unwrap();
    root.close().await;
    let options = server.database(&name);
    let owner = PgPoolOptions::new().max_connections(2).connect_with(options.clone()).await.unwrap();
    migrations::apply(migrator, &owner).await.unwrap();
    (owner, options)
}

fn as_projector(options: &PgConnectOptions) -> PgPool {
    let options = options.clone().options([("role", "fittrack_projector"), ("jit", "off")]);
    PgPoolOptions::new().max_connections(16).connect_lazy_with(options)
}

/// Projections at work, until stopped.
pub struct Running<T> {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<T>>,
}

impl<T> Running<T> {
    /// Stops them as SIGTERM does, and returns how the first ended.
    pub async fn stop(self) -> T {
        self.stop.cancel();
        let mut ended = Vec::new();
        for task in self.tasks {
            ended.push(task.await.unwrap());
        }
        ended.remove(0)
    }

    /// Waits until the first ends by itself.
    pub async fn end(mut self) -> T {
        tokio::time::timeout(PATIENCE, self.tasks.remove(0)).await.expect("it goes on").unwrap()
    }
}

/// Runs all four projections over this road.
pub fn run_all(parts: &Parts, road: &Road) -> Running<()> {
    let stop = CancellationToken::new();
    let tasks = Built::newest().into_iter().map(|built| {
        let (parts, road, stop) = (parts.clone(), road.clone(), stop.clone());
        tokio::spawn(async move { built.run(parts, road, stop).await })
    });
    let tasks = tasks.collect();
    Running { stop, tasks }
}

/// Runs one build over this road.
pub fn run_build(parts: &Parts, built: Built, road: &Road) -> Running<()> {
    let stop = CancellationToken::new();
    let (parts, road, stopped) = (parts.clone(), road.clone(), stop.clone());
    Running { stop, tasks: vec![tokio::spawn(async move { built.run(parts, road, stopped).await })] }
}

/// Runs one projection over this source.
pub fn run<P: Projection>(parts: Parts, source: impl Source + 'static) -> Running<Result<(), Halt>> {
    let stop = CancellationToken::new();
    let parts = Parts { build: Build::first(P::NAME, P::VERSION), ..parts };
    let runner = Runner::<P, _>::new(parts, source);
    let stopped = stop.clone();
    Running { stop, tasks: vec![tokio::spawn(async move { runner.run(&stopped).await })] }
}

/// Waits until the condition holds, or fails with what it waited for.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "waited {PATIENCE:?} for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
