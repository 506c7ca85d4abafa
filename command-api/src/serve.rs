//! The processes: `serve` (HTTP, append lanes, relay, prover, sweepers) and `relay` alone. Both start before their databases and
//! become ready when those are; commands are let in once the event store is known to be durable and the one we think it is, and the
//! key of consistency tokens was read.
use std::{convert::Infallible, error::Error, process::ExitCode, sync::Arc, time::Duration};

use fittrack_runtime::{
    backoff::Backoff,
    pg::{self, DurabilityError, PoolSettings},
    private::Check,
    process::Process,
    server,
};
use fittrack_schemas::{consistency::TokenKey, topics};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    app::{App, Foundations, Gate},
    blobs,
    dispatch::Dispatcher,
    erasure::eraser::Eraser,
    identity::{sweeper, tokens::Tokens},
    jobs::worker,
    key_file::KeyFile,
    relay::{
        Relay,
        prover::{Pace, Prover},
    },
    routes,
    settings::{EraserAccess, RelayAccess, RelaySettings, ServeSettings},
    store::{EventStore, hints::Hints, wake::Wake},
};

/// Anything that keeps a process from starting.
type StartError = Box<dyn Error + Send + Sync>;

/// Connections for loading streams, claims and replays; appends have their own.
const EVENT_STORE_CONNECTIONS: u32 = 8;
const IDENTITY_CONNECTIONS: u32 = 8;
/// A blob may be 25 MiB, so few at once.
const RECORDINGS_CONNECTIONS: u32 = 4;
const RELAY_CONNECTIONS: u32 = 4;
const PROVER_CONNECTIONS: u32 = 1;
/// One erasure at a time, one database at a time.
const ERASER_CONNECTIONS: u32 = 1;
/// Longest wait for one statement about a blob.
const LONG_STATEMENT: Duration = Duration::from_secs(30);

/// Runs the whole command API until it is told to stop.
pub async fn serve(settings: ServeSettings) -> Result<ExitCode, StartError> {
    let process = Process::start("command-api", &settings.common).await?;
    // All of them before anything else: a process without checks would count as ready.
    let [api_check, store_check, identity_check, recordings_check, key_check, ended_check] =
        ["public API", "event store", "identity database", "recordings database", "token key", "ended sessions"]
            .map(|name| process.readiness.check(name));
    let shutdown = process.shutdown.clone();
    let event_store = settings.event_store.pool(pool("command-api", EVENT_STORE_CONNECTIONS))?;
    let identity = settings.identity.pool(pool("command-api", IDENTITY_CONNECTIONS))?;
    let recordings = settings
        .recordings
        .pool(PoolSettings { statement_timeout: LONG_STATEMENT, ..pool("command-api", RECORDINGS_CONNECTIONS) })?;

    let (store, lanes) = EventStore::open(event_store.clone(), settings.partitions);
    let wake = Arc::clone(store.wake());
    let (sender, hints) = (Uuid::new_v4(), Arc::new(Hints::default()));
    let dispatcher = Dispatcher::new(store, Arc::clone(&hints));
    let background = shutdown.background_token();
    shutdown.spawn_background("append lanes", endless(lanes.run(background.clone())));
    let (pool, stop) = (event_store.clone(), background.clone());
    shutdown.spawn_background("hints", endless(async move { hints.send(pool, sender, stop).await }));

    let gate = Gate::default();
    let keys = settings.signing_keys.ok_or("there is no signing key")?;
    let app = App::new(Foundations {
        dispatcher,
        event_store: event_store.clone(),
        identity: identity.clone(),
        recordings: recordings.clone(),
        tokens: Tokens::new(keys, &settings.issuer, &settings.audience),
        issuer_and_audience: (settings.issuer, settings.audience),
        tasks: shutdown.tasks(),
        gate: gate.clone(),
    })?;
    let eraser = settings.eraser.as_ref().map(|access| {
        let pools = [&identity, &event_store, &recordings].map(PgPool::clone);
        eraser_of(access, pools, settings.partitions)
    });
    let eraser = eraser.transpose()?;
    for (name, pool, check) in
        [("identity database", identity, identity_check), ("recordings database", recordings.clone(), recordings_check)]
    {
        shutdown.spawn_background(name, endless(pg::watch(pool, check, background.clone())));
    }
    shutdown.spawn_background("token key", token_key(gate.clone(), recordings.clone(), key_check, background.clone()));
    let following = app.ended.clone().follow(ended_check, background.clone());
    shutdown.spawn_background("ended sessions", endless(following));
    if let Some(file) = settings.signing_key_file {
        let following = KeyFile::new(file).follow(app.clone(), background.clone());
        shutdown.spawn_background("signing keys", endless(following));
    }
    let store_check = StoreCheck {
        pool: event_store.clone(),
        check: store_check,
        stop: background.clone(),
        expected_partitions: Some(settings.partitions),
    };
    let (registration, exports, zip_imports) = (app.registration.clone(), app.exports.clone(), app.zip_imports.clone());
    let sweeping = shutdown.token();
    let prover = settings.relay.as_ref().map(|access| prover_of(access, settings.partitions)).transpose()?;
    shutdown.spawn_background("event store check", async move {
        if store_check.pass().await?.is_some() {
            gate.found_store();
            let blobs = blobs::Sweeper::new(recordings, event_store);
            let erasing = async {
                if let Some(eraser) = eraser {
                    eraser.run(store_check.stop.clone()).await;
                }
            };
            let proving = async {
                if let Some(prover) = prover {
                    prover.run(store_check.stop.clone()).await;
                }
            };
            tokio::join!(
                proving,
                erasing,
                pg::watch(store_check.pool, store_check.check, store_check.stop.clone()),
                sweeper::run(registration, sweeping.clone()),
                blobs.run(sweeping.clone()),
                worker::run(exports.clone(), exports.woken, sweeping.clone()),
                worker::run(zip_imports.clone(), zip_imports.woken, sweeping),
            );
        }
        Ok::<_, StoreRefusal>(())
    });
    if let Some(access) = settings.relay {
        let relay = relay_of(&access, settings.partitions, wake, sender)?;
        shutdown.spawn_background("relay", relay.run(background));
    } else {
        tracing::warn!("no Kafka brokers are set: events are stored and not published by this process");
    }

    let listener = server::bind(settings.listen).await?;
    api_check.ready();
    tracing::info!(listen = %settings.listen, "serving");
    let limits = settings.edge.server_limits();
    let edge = routes::edge(&app, settings.edge);
    let serving = server::serve(listener, routes::router(app, &edge), limits, shutdown.token());
    shutdown.spawn("public API", serving);
    Ok(process.run_until_done().await)
}

/// Runs a relay alone until it is told to stop.
pub async fn relay(settings: RelaySettings) -> Result<ExitCode, StartError> {
    let process = Process::start("command-api-relay", &settings.common).await?;
    let shutdown = process.shutdown.clone();
    let store_check = StoreCheck {
        pool: settings.relay.event_store.pool(pool("command-api-relay", RELAY_CONNECTIONS))?,
        check: process.readiness.check("event store"),
        stop: shutdown.token(),
        expected_partitions: None,
    };
    shutdown.spawn("relay", async move {
        if let Some(partitions) = store_check.pass().await? {
            let wake = Arc::new(Wake::new(partitions));
            let relay = relay_of(&settings.relay, partitions, wake, Uuid::new_v4())?;
            let proving = prover_of(&settings.relay, partitions)?.run(store_check.stop.clone());
            let watching = pg::watch(store_check.pool, store_check.check, store_check.stop.clone());
            let (relayed, (), ()) = tokio::join!(relay.run(store_check.stop), proving, watching);
            relayed?;
        }
        Ok::<_, StartError>(())
    });
    Ok(process.run_until_done().await)
}

fn relay_of(access: &RelayAccess, partitions: i32, wake: Arc<Wake>, holder: Uuid) -> Result<Relay, sqlx::Error> {
    Ok(Relay {
        pool: access.event_store.pool(pool("command-api-relay", RELAY_CONNECTIONS))?,
        kafka: access.kafka.clone(),
        topic: topics::EVENTS.to_owned(),
        partitions,
        wake,
        holder,
    })
}

/// With a connection of its own: it never waits for the relay, nor the relay for it.
fn prover_of(access: &RelayAccess, partitions: i32) -> Result<Prover, sqlx::Error> {
    let pool = access.event_store.pool(pool("command-api-prover", PROVER_CONNECTIONS))?;
    Ok(Prover::new(pool, partitions, Pace::default()))
}

fn pool(name: &str, connections: u32) -> PoolSettings {
    PoolSettings::new(name).max_connections(connections)
}

/// Over our own pools and the two of its role, where a span of the log may take its time.
fn eraser_of(
    access: &EraserAccess,
    [identity, event_store, recordings]: [PgPool; 3],
    partitions: i32,
) -> Result<Eraser, sqlx::Error> {
    let settings =
        || PoolSettings { statement_timeout: LONG_STATEMENT, ..pool("command-api-eraser", ERASER_CONNECTIONS) };
    let (log, read_models) = (access.log.pool(settings())?, access.read_models.pool(settings())?);
    Ok(Eraser { identity, event_store, recordings, log, read_models, partitions })
}

/// A part that ends only when it is told to.
async fn endless(part: impl Future<Output = ()>) -> Result<(), Infallible> {
    part.await;
    Ok(())
}

/// Why an event store is refused; the process ends, because commands would be lost or misplaced.
#[derive(Debug, thiserror::Error)]
enum StoreRefusal {
    #[error(transparent)]
    Durability(DurabilityError),
    #[error("the event store has {found} log partitions, FITTRACK_LOG_PARTITIONS says {expected}")]
    Partitions { found: i32, expected: i32 },
}

/// Waits for the event store and looks whether it may be used.
struct StoreCheck {
    pool: PgPool,
    check: Check,
    stop: CancellationToken,
    expected_partitions: Option<i32>,
}

impl StoreCheck {
    /// How many log partitions it has; `None` when told to stop first.
    async fn pass(&self) -> Result<Option<i32>, StoreRefusal> {
        let mut backoff = until_there();
        loop {
            match self.stop.run_until_cancelled(self.look()).await {
                None => return Ok(None),
                Some(Ok(partitions)) => {
                    if let Some(expected) = self.expected_partitions.filter(|expected| *expected != partitions) {
                        return Err(StoreRefusal::Partitions { found: partitions, expected });
                    }
                    self.check.ready();
                    return Ok(Some(partitions));
                }
                Some(Err(DurabilityError::Query(error))) => self.check.unready(reason(&error)),
                Some(Err(error @ DurabilityError::Off(_))) => return Err(StoreRefusal::Durability(error)),
            }
            if !backoff.wait(&self.stop).await {
                return Ok(None);
            }
        }
    }

    async fn look(&self) -> Result<i32, DurabilityError> {
        pg::check_durability(&self.pool).await?;
        let partitions = sqlx::query_scalar("SELECT partitions FROM store_settings").fetch_one(&self.pool).await?;
        Ok(partitions)
    }
}

/// Reads what consistency tokens are signed with, and lets commands in as far as that goes.
async fn token_key(gate: Gate, recordings: PgPool, check: Check, stop: CancellationToken) -> Result<(), Infallible> {
    // Known before the check holds: whoever sees the process ready may send commands.
    let read = || async {
        let key = TokenKey::read(&recordings).await.map_err(|error| reason(&error))?;
        gate.found_token_key(key);
        Ok::<_, String>(())
    };
    check.once(until_there(), &stop, read).await;
    Ok(())
}

/// The pauses between looks at a database that is away.
fn until_there() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(2))
}

fn reason(error: &sqlx::Error) -> String {
    const UNDEFINED_TABLE: &str = "42P01";
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) if code == UNDEFINED_TABLE => "not migrated yet: run `command-api migrate`".to_owned(),
        _ => error.to_string(),
    }
}
