//! The event store's appends: group commit against single-row INSERT transactions into a table of the same columns and
//! indexes on the same Postgres; the two take turns, so that both meet the same machine.
use std::{str::FromStr, time::Duration};

use command_api::store::{EventStore, append::Append, append::Outcome};
use fittrack_domain::partition::DEFAULT_PARTITIONS;
use fittrack_local::{POSTGRES, Stack, databases};
use fittrack_schemas::migrations;
use sqlx::{
    Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Failure,
    figure::{Bound, Figure},
    measure::{cpu_seconds, median, ms, own_pid, percentile},
    workload,
};

/// How long each measurement takes.
const SPAN: Duration = Duration::from_secs(5);
/// How many ask the store at once.
const CALLERS: u64 = 512;
/// How many connections insert single rows.
const CONNECTIONS: u64 = 32;

/// Operations a second and CPU microseconds per operation.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Operations a second.
    pub per_second: f64,
    /// CPU time of this process and Postgres per operation.
    pub cpu_us: f64,
}

/// A database of its own in the stack's Postgres: an empty event store and a plain table beside it.
pub struct Bench {
    admin: PgPool,
    store: EventStore,
    single: PgConnectOptions,
    pids: Vec<i32>,
}

impl Bench {
    /// Makes the database `bench` anew.
    pub async fn new(stack: &Stack) -> Result<Self, Failure> {
        let server = stack.database_url(databases::EVENT_STORE)?;
        let root = PgPool::connect(&server).await?;
        root.execute("DROP DATABASE IF EXISTS bench WITH (FORCE)").await?;
        root.execute("CREATE DATABASE bench").await?;
        let admin_options = PgConnectOptions::from_str(&server)?.database("bench");
        let admin = PgPoolOptions::new().max_connections(4).connect_with(admin_options).await?;
        migrations::apply(&migrations::EVENT_STORE, &admin).await?;
        admin.execute("CREATE TABLE single_rows (LIKE events INCLUDING ALL)").await?;
        admin.execute("CREATE SEQUENCE single_rows_position").await?;
        admin.execute("GRANT INSERT ON single_rows TO fittrack_command").await?;
        admin.execute("GRANT USAGE ON SEQUENCE single_rows_position TO fittrack_command").await?;
        let role = stack.role_url(databases::EVENT_STORE, databases::Role::Command)?;
        let command = PgConnectOptions::from_str(&role)?.database("bench");
        let pool = PgPoolOptions::new().max_connections(4).connect_with(command.clone()).await?;
        let (store, lanes) = EventStore::open(pool, DEFAULT_PARTITIONS);
        tokio::spawn(lanes.run(CancellationToken::new()));
        let pids = vec![own_pid(), stack.pid(POSTGRES)?.ok_or("Postgres is not the stack's own")?];
        Ok(Self { admin, store, single: command, pids })
    }

    /// Single-row INSERT transactions at `connections` connections for `span`.
    pub async fn single_rows(&self, connections: u64, span: Duration) -> Result<Rate, Failure> {
        let tasks = (0..connections).map(|n| {
            let options = self.single.clone();
            tokio::spawn(async move {
                let mut connection = PgConnection::connect_with(&options).await?;
                let (until, mut done) = (Instant::now() + span, 0_u64);
                while Instant::now() < until {
                    insert_one(&mut connection, &workload::workout(n, done)).await?;
                    done += 1;
                }
                Ok::<u64, sqlx::Error>(done)
            })
        });
        self.rate(tasks.collect(), span).await
    }

    /// Appends of one event by `callers` callers through the lanes for `span`.
    pub async fn appends(&self, callers: u64, span: Duration) -> Result<Rate, Failure> {
        let tasks = (0..callers).map(|n| {
            let store = self.store.clone();
            tokio::spawn(async move {
                let (until, mut done) = (Instant::now() + span, 0_u64);
                while Instant::now() < until {
                    match store.append(workload::workout(n, done)).await {
                        Ok(Outcome::Stored(_)) => done += 1,
                        other => return Err(sqlx::Error::Protocol(format!("an append ended as {other:?}"))),
                    }
                }
                Ok::<u64, sqlx::Error>(done)
            })
        });
        self.rate(tasks.collect(), span).await
    }

    async fn rate(
        &self,
        tasks: Vec<tokio::task::JoinHandle<Result<u64, sqlx::Error>>>,
        span: Duration,
    ) -> Result<Rate, Failure> {
        let cpu_before = cpu_seconds(&self.pids);
        let mut done = 0;
        for task in tasks {
            done += task.await??;
        }
        let cpu = cpu_seconds(&self.pids) - cpu_before;
        Ok(Rate { per_second: done as f64 / span.as_secs_f64(), cpu_us: cpu * 1e6 / done as f64 })
    }

    /// Median milliseconds of one insert, and of one append, with nothing else going on.
    async fn alone(&self) -> Result<(f64, f64), Failure> {
        let mut connection = PgConnection::connect_with(&self.single).await?;
        let (mut inserts, mut appends) = (Vec::new(), Vec::new());
        for k in 0..2_000 {
            let event = workload::workout(k % 50, k);
            let started = Instant::now();
            insert_one(&mut connection, &event).await?;
            inserts.push(ms(started.elapsed()));
            let event = workload::workout(k % 50, k);
            let started = Instant::now();
            self.store.append(event).await?;
            appends.push(ms(started.elapsed()));
        }
        Ok((percentile(&inserts, 0.5), percentile(&appends, 0.5)))
    }
}

const INSERT: &str = "INSERT INTO single_rows (partition, position, aggregate_type, aggregate_id, sequence, owner_id, event_id, \
     event_type, event_version, payload, metadata, command_id, command_index, occurred_at, recorded_at) \
     VALUES ($1, nextval('single_rows_position'), $2, $3, 1, $4, $5, $6, $7, $8::json, $9::json, $10, 0, $11, clock_timestamp())";

async fn insert_one(connection: &mut PgConnection, append: &Append) -> Result<(), sqlx::Error> {
    let Some(event) = append.events.first() else { return Ok(()) };
    sqlx::query(INSERT)
        .bind(append.partition)
        .bind(append.aggregate_type)
        .bind(append.aggregate_id.to_string())
        .bind(append.owner_id)
        .bind(event.event_id)
        .bind(&event.event_type)
        .bind(&event.event_version)
        .bind(&event.payload)
        .bind(&event.metadata)
        .bind(append.command_id)
        .bind(event.occurred_at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Throughput at many callers, and latency of a lone append.
pub async fn run(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    let bench = Bench::new(stack).await?;
    let (mut appends, mut inserts, mut lone_appends, mut lone_inserts) = (vec![], vec![], vec![], vec![]);
    for _ in 0..repeats {
        inserts.push(bench.single_rows(CONNECTIONS, SPAN).await?);
        appends.push(bench.appends(CALLERS, SPAN).await?);
        let (insert, append) = bench.alone().await?;
        lone_inserts.push(insert);
        lone_appends.push(append);
    }
    let middle = |rates: &[Rate], of: fn(&Rate) -> f64| median(&rates.iter().map(of).collect::<Vec<_>>());
    Ok(vec![
        Figure {
            name: format!("appends at {CALLERS} callers / single-row inserts at {CONNECTIONS}"),
            value: middle(&appends, |rate| rate.per_second),
            unit: "events/s",
            baseline: Some(middle(&inserts, |rate| rate.per_second)),
            bound: Bound::RatioAtLeast(3.0),
            cpu_us: Some(middle(&appends, |rate| rate.cpu_us)),
        },
        Figure {
            name: "CPU of a single-row insert (baseline of the above)".to_owned(),
            value: middle(&inserts, |rate| rate.cpu_us),
            unit: "us",
            baseline: None,
            bound: Bound::None,
            cpu_us: Some(middle(&inserts, |rate| rate.cpu_us)),
        },
        Figure {
            name: "a lone append, p50 / a lone insert, p50".to_owned(),
            value: median(&lone_appends),
            unit: "ms",
            baseline: Some(median(&lone_inserts)),
            bound: Bound::RatioAtMost(2.5),
            cpu_us: None,
        },
    ])
}

/// Throughput in the last ten of sixty seconds in which somebody keeps a snapshot of the store, against the same ten seconds
/// of a store that nobody looks at: both have grown by as much.
pub async fn beside_an_open_transaction(stack: &Stack) -> Result<Vec<Figure>, Failure> {
    let without = last_ten_of_sixty_seconds(&Bench::new(stack).await?).await?;
    let bench = Bench::new(stack).await?;
    let mut open = bench.admin.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *open).await?;
    sqlx::query("SELECT count(*) FROM store_settings").execute(&mut *open).await?;
    let beside = last_ten_of_sixty_seconds(&bench).await?;
    open.rollback().await?;
    Ok(vec![Figure {
        name: "the same beside a transaction open for 60 s / without".to_owned(),
        value: beside.per_second,
        unit: "events/s",
        baseline: Some(without.per_second),
        bound: Bound::RatioAtLeast(0.8),
        cpu_us: Some(beside.cpu_us),
    }])
}

async fn last_ten_of_sixty_seconds(bench: &Bench) -> Result<Rate, Failure> {
    bench.appends(CALLERS, Duration::from_secs(50)).await?;
    bench.appends(CALLERS, Duration::from_secs(10)).await
}
