//! How fast the projections take a backlog: 200,000 events of 2,000 athletes wait in Kafka while the projectors are
//! stopped; the time runs from their start until every checkpoint stands at the head.
use std::time::Duration;

use command_api::store::{EventStore, append::Outcome};
use fittrack_domain::partition::DEFAULT_PARTITIONS;
use fittrack_local::{POSTGRES, Stack, databases};
use futures::{StreamExt, stream};
use sqlx::{
    Executor, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::str::FromStr;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    Failure,
    figure::{Bound, Figure},
    measure::{cpu_seconds, median},
    workload,
};

/// How many events wait.
const EVENTS: u64 = 200_000;
/// Of how many athletes.
const ATHLETES: u64 = 2_000;
/// The backlog counts as stuck after this.
const PATIENCE: Duration = Duration::from_secs(300);

/// Events a second through all projections, from the start of their process.
pub async fn run(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    let store = PgPool::connect(&stack.database_url(databases::EVENT_STORE)?).await?;
    let models = PgPool::connect(&stack.database_url(databases::READ_MODELS)?).await?;
    stack.stop_process("projectors").await?;
    fill(stack).await?;
    wait_until("the relay has published the backlog", async || relayed(&store).await).await?;
    let heads = heads(&store).await?;
    let (mut rates, mut cpu, mut streamed) = (vec![], vec![], vec![]);
    for _ in 0..repeats {
        streamed.push(stream_rate(&store).await?);
        start_over(&models).await?;
        let started = Instant::now();
        let postgres = [stack.pid(POSTGRES)?.ok_or("Postgres is not the stack's own")?];
        let before = cpu_seconds(&postgres);
        stack.start_process("projectors").await?;
        wait_until("every projection is at the head", async || all_have(heads, &models).await).await?;
        let seconds = started.elapsed().as_secs_f64();
        let projectors = [stack.pid("projectors")?.ok_or("projectors do not run")?];
        let used = cpu_seconds(&projectors) + cpu_seconds(&postgres) - before;
        rates.push(heads as f64 / seconds);
        cpu.push(used * 1e6 / heads as f64);
        stack.stop_process("projectors").await?;
    }
    stack.start_process("projectors").await?;
    Ok(vec![Figure {
        name: "a backlog of 200,000 events through all projections".to_owned(),
        value: median(&rates),
        unit: "events/s",
        baseline: Some(median(&streamed)),
        bound: Bound::AtLeast(30_000.0),
        cpu_us: Some(median(&cpu)),
    }])
}

const HEADS: &str = "SELECT sum(head)::bigint FROM (SELECT max(position) AS head FROM events GROUP BY partition) h";

const AT_HEAD: &str = "
SELECT NOT EXISTS (
    SELECT FROM builds b WHERE b.state = 'fed'
      AND coalesce((SELECT sum(position) FROM checkpoints c WHERE c.worker = b.worker), 0) < $1)";

async fn heads(store: &PgPool) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar(HEADS).fetch_one(store).await?)
}

async fn all_have(heads: i64, models: &PgPool) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar(AT_HEAD).bind(heads).fetch_one(models).await?)
}

/// Whether all projections have applied what the store has now.
pub async fn at_head(store: &PgPool, models: &PgPool) -> Result<bool, Failure> {
    all_have(heads(store).await?, models).await
}

/// Fills the store through the append function, as the command API would.
async fn fill(stack: &Stack) -> Result<(), Failure> {
    let options = PgConnectOptions::from_str(&stack.role_url(databases::EVENT_STORE, databases::Role::Command)?)?;
    let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await?;
    let (store, lanes) = EventStore::open(pool, DEFAULT_PARTITIONS);
    let stop = CancellationToken::new();
    let working = tokio::spawn(lanes.run(stop.clone()));
    let appends = (0..ATHLETES)
        .map(workload::registration)
        .chain((0..EVENTS - ATHLETES).map(|k| workload::workout(k % ATHLETES, k / ATHLETES)));
    let mut answers = stream::iter(appends).map(|append| store.append(append)).buffer_unordered(512);
    while let Some(answer) = answers.next().await {
        if !matches!(answer?, Outcome::Stored(_)) {
            return Err("the made-up events are in the store already: this benchmark needs a fresh stack".into());
        }
    }
    drop(answers);
    stop.cancel();
    working.await?;
    Ok(())
}

pub async fn relayed(store: &PgPool) -> Result<bool, Failure> {
    let behind: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT partition, max(position) AS head FROM events GROUP BY partition) h
         LEFT JOIN checkpoints c ON c.worker = 'relay' AND c.partition = h.partition
         WHERE coalesce(c.position, 0) < h.head",
    )
    .fetch_one(store)
    .await?;
    Ok(behind == 0)
}

/// The baseline: the same events streamed out of Postgres by one query, in position order, and thrown away.
async fn stream_rate(store: &PgPool) -> Result<f64, Failure> {
    let started = Instant::now();
    let mut rows =
        sqlx::query("SELECT partition, position, event_type, payload FROM events ORDER BY partition, position")
            .fetch(store);
    let mut read = 0_u64;
    while let Some(row) = rows.next().await {
        row?;
        read += 1;
    }
    Ok(read as f64 / started.elapsed().as_secs_f64())
}

/// Empties the read models and sets their progress back.
async fn start_over(models: &PgPool) -> Result<(), Failure> {
    models
        .execute(
            "TRUNCATE workouts_v1.workouts, profiles_v1.profiles, totals_v1.totals, leaderboards_v2.leaderboards,
                      measurements_v1.measurements, privacy_zones_v1.privacy_zones;
             UPDATE checkpoints SET position = 0, next_offset = NULL, as_of = NULL;",
        )
        .await?;
    Ok(())
}

/// Waits for a condition, for as long as a backlog may take.
pub async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    while !condition().await? {
        if Instant::now() > until {
            return Err(format!("waited {PATIENCE:?} until {what}").into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
