//! The process `projectors run`: one [`Feeder`] a projection, each build with its own connections, and the checks that say whether it
//! can work. It starts before its databases and its broker, and begins when they are there.
use std::{error::Error, process::ExitCode, time::Duration};

use fittrack_domain::partition::DEFAULT_PARTITIONS;
use fittrack_runtime::{
    backoff::Backoff,
    kafka::{self, KafkaAccess, Producer, TopicError, TopicSpec},
    pg::{self, PoolSettings},
    private::Check,
    process::Process,
};
use fittrack_schemas::topics;
use rdkafka::producer::Producer as _;
use sqlx::PgPool;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    event_log,
    feeder::Feeder,
    notices::Notices,
    proof::prover::Prover,
    registry::Road,
    settings::{Databases, RunSettings},
};

/// How often the broker is asked whether it is there, and how long it may take to answer.
const KAFKA_WATCH: Duration = Duration::from_secs(5);
const KAFKA_ANSWER: Duration = Duration::from_secs(2);

/// Runs these projections until told to stop; events come through Kafka unless `from_store`.
pub async fn run(
    settings: RunSettings,
    projections: Vec<&'static str>,
    from_store: bool,
) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let process = Process::start("projectors", &settings.common).await?;
    let shutdown = process.shutdown.clone();
    let (store, read_models) = pools(&settings.databases, "watch", 2, 3)?;
    watch_database(&process, "event store", store.clone());
    watch_database(&process, "read models", read_models.clone());

    let notices = match &settings.kafka {
        Some(access) => {
            access.warn_if_exposed();
            let log = kafka::LogContext::default();
            let producer = kafka::hint_producer(access, "fittrack-projectors", &log)?;
            let watching = watch_kafka(producer.clone(), log, process.readiness.check("kafka"), shutdown.token());
            shutdown.spawn("kafka watch", watching);
            Notices::over_kafka(producer, topics::READ_MODEL_CHANGES)
        }
        None => Notices::over_postgres(read_models.clone(), shutdown.background_token()),
    };
    let prover = Prover::new(store.clone(), read_models.clone(), None);
    let proving = shutdown.token();
    shutdown.spawn("prover", async move {
        prover.run(proving).await;
        Ok::<_, std::convert::Infallible>(())
    });
    let (tell, told) = watch::channel(None);
    shutdown.spawn("surroundings", prepare(store, settings.kafka.clone(), tell, shutdown.token()));

    let road = match (&settings.kafka, from_store) {
        (Some(access), false) => Road::Kafka { access: access.clone(), topic: topics::EVENTS.to_owned() },
        _ => Road::Store,
    };
    for name in projections {
        let feeder = Feeder {
            name,
            read_models: read_models.clone(),
            databases: settings.databases.clone(),
            partitions: 0,
            notices: notices.clone(),
            check: process.readiness.check(name),
            road: road.clone(),
        };
        let (mut told, stop) = (told.clone(), shutdown.token());
        shutdown.spawn(name, async move {
            let known = stop.run_until_cancelled(told.wait_for(Option::is_some)).await;
            if let Some(partitions) = known.and_then(Result::ok).and_then(|partitions| *partitions) {
                Feeder { partitions, ..feeder }.run(stop).await;
            }
            Ok::<_, std::convert::Infallible>(())
        });
    }
    Ok(process.run_until_done().await)
}

/// Connections to the event store and to the read models, for one purpose.
pub(crate) fn pools(
    databases: &Databases,
    purpose: &str,
    to_store: u32,
    to_read_models: u32,
) -> Result<(PgPool, PgPool), sqlx::Error> {
    let settings = |connections| {
        PoolSettings::new(format!("projectors-{purpose}"))
            .max_connections(connections)
            .option("jit", "off")
            .option("plan_cache_mode", "force_generic_plan")
    };
    let store = databases.event_store.pool(settings(to_store))?;
    Ok((store, databases.read_models.pool(settings(to_read_models))?))
}

fn watch_database(process: &Process, name: &'static str, pool: PgPool) {
    let (check, stop) = (process.readiness.check(name), process.shutdown.token());
    process.shutdown.spawn(name, async move {
        pg::watch(pool, check, stop).await;
        Ok::<_, std::convert::Infallible>(())
    });
}

/// Learns how many log partitions there are and makes sure of the topics, then lets the projections begin.
async fn prepare(
    store: PgPool,
    access: Option<KafkaAccess>,
    tell: watch::Sender<Option<i32>>,
    stop: CancellationToken,
) -> Result<(), TopicError> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    let partitions = loop {
        match stop.run_until_cancelled(event_log::partitions(&store)).await {
            Some(Ok(partitions)) => break partitions,
            None => return Ok(()),
            Some(Err(error)) => tracing::debug!(%error, "the event store is not there yet"),
        }
        if !backoff.wait(&stop).await {
            return Ok(());
        }
    };
    if partitions != DEFAULT_PARTITIONS {
        tracing::info!(partitions, "the event store has its own number of log partitions");
    }
    if let Some(access) = access {
        let specs = [topics::events(partitions), topics::read_model_changes()].map(|topic| TopicSpec {
            name: topic.name.to_owned(),
            partitions: topic.partitions,
            replication: 1,
            config: vec![("retention.ms".to_owned(), topic.retention_ms.to_string())],
        });
        match kafka::ensure_topics(&access, &specs, &stop).await {
            Err(TopicError::Cancelled) => return Ok(()),
            made => made?,
        }
    }
    tell.send_replace(Some(partitions));
    stop.cancelled().await;
    Ok(())
}

/// Keeps the check true to whether the broker answers, and lets us in. The question blocks, so it is asked off the async threads.
async fn watch_kafka(
    producer: Producer,
    log: kafka::LogContext,
    check: Check,
    stop: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    loop {
        let (asking, log) = (producer.clone(), log.clone());
        let asked = tokio::task::spawn_blocking(move || {
            kafka::answers(asking.client(), &log, topics::READ_MODEL_CHANGES, KAFKA_ANSWER)
        });
        match stop.run_until_cancelled(asked).await {
            None => return Ok(()),
            Some(Ok(Ok(()))) => check.ready(),
            Some(Ok(Err(reason))) => check.unready(reason),
            Some(Err(error)) => check.unready(error.to_string()),
        }
        // Soon again while it is away: readiness is what others wait for.
        let pause = if check.is_ready() { KAFKA_WATCH } else { Duration::from_millis(500) };
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return Ok(());
        }
    }
}
