//! Pools of Postgres connections that start before their database, give up in time and never hand over somebody else's transaction.
//! Also the check that a commit means what we tell clients it means, and the loop that keeps a readiness check true.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::config::Secret;
use crate::private::Check;

mod login;

pub use login::{DatabaseUrl, Logins};

/// A connection that was idle this long is asked whether it still lives before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How often a readiness check is renewed, and how long the database may take to answer it.
const WATCH: Duration = Duration::from_secs(2);
/// A transaction that does nothing this long is somebody's mistake and holds a snapshot.
const IDLE_IN_TRANSACTION: &str = "10s";

/// How a pool behaves.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The most connections it opens.
    pub max_connections: u32,
    /// How long a caller waits for one.
    pub acquire_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// What `pg_stat_activity` shows.
    pub application_name: String,
    /// Further settings of each session, such as `("jit", "off")`.
    pub options: Vec<(String, String)>,
}

impl PoolSettings {
    /// Five connections, five seconds to get one, ten seconds a statement.
    pub fn new(application_name: impl Into<String>) -> Self {
        Self {
            max_connections: 5,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            application_name: application_name.into(),
            options: Vec::new(),
        }
    }

    /// The same with at most `connections` connections.
    #[must_use]
    pub fn max_connections(self, connections: u32) -> Self {
        Self { max_connections: connections, ..self }
    }

    /// The same with a further session setting.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }
}

/// A pool to a database whose login never changes, for commands that end soon; what goes on uses [`DatabaseUrl::pool`].
/// It connects when it is first used; call it inside the runtime. Fails only where the URL is none.
pub fn pool(url: &Secret, settings: PoolSettings) -> Result<PgPool, sqlx::Error> {
    DatabaseUrl::from(url.clone()).pool(settings)
}

/// How the connections of a pool log in, and what their sessions are set to.
fn connect_options(url: &Secret, settings: &PoolSettings) -> Result<PgConnectOptions, sqlx::Error> {
    let options = PgConnectOptions::from_str(url.expose())?;
    Ok(options
        .application_name(&settings.application_name)
        .options(session_options(settings.statement_timeout, &settings.options)))
}

fn pool_with(options: PgConnectOptions, settings: &PoolSettings) -> PgPool {
    PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(3600))
        .acquire_slow_threshold(Duration::from_secs(2))
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| Box::pin(end_forgotten_transaction(connection)))
        .connect_lazy_with(options)
}

fn session_options(statement_timeout: Duration, further: &[(String, String)]) -> Vec<(String, String)> {
    let mut options = vec![
        ("statement_timeout".to_owned(), format!("{}ms", statement_timeout.as_millis())),
        ("idle_in_transaction_session_timeout".to_owned(), IDLE_IN_TRANSACTION.to_owned()),
    ];
    options.extend_from_slice(further);
    options
}

/// A `begin()` whose future was dropped leaves the connection inside a transaction that sqlx does not know of, and the next
/// holder's writes would be acknowledged and never seen. Rolling back when a connection comes home costs its next user nothing.
///
/// The BEGIN before it makes the normal case, no open transaction, one without a warning in the server's log; one in an
/// open transaction warns, as it should, and one in a failed transaction fails, which closes the connection.
async fn end_forgotten_transaction(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    connection.execute("BEGIN; ROLLBACK").await?;
    Ok(true)
}

/// Why a database may not be used for what must not be lost.
#[derive(Debug, thiserror::Error)]
pub enum DurabilityError {
    /// It did not answer.
    #[error("the database's durability settings cannot be read: {0}")]
    Query(#[from] sqlx::Error),
    /// A commit there is not on disk.
    #[error(
        "the database has {0}: an acknowledged command could be lost; set fsync, full_page_writes and synchronous_commit to on"
    )]
    Off(String),
}

/// Refuses a database whose commits may be lost: `fsync`, `full_page_writes` and `synchronous_commit` must be on.
pub async fn check_durability(pool: &PgPool) -> Result<(), DurabilityError> {
    const QUERY: &str = "SELECT name, setting FROM pg_settings \
                         WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') ORDER BY name";
    let settings: Vec<(String, String)> = sqlx::query_as(QUERY).fetch_all(pool).await?;
    let off: Vec<String> = settings
        .iter()
        .filter(|(name, value)| !is_durable(name, value))
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    if off.is_empty() { Ok(()) } else { Err(DurabilityError::Off(off.join(", "))) }
}

/// `remote_apply` waits for more than `on` does; `remote_write` and `local` for less.
fn is_durable(name: &str, value: &str) -> bool {
    value == "on" || (name == "synchronous_commit" && value == "remote_apply")
}

/// Waits until the database answers, keeping the check true meanwhile; `false` when cancelled first.
pub async fn wait_for(pool: &PgPool, check: &Check, token: &CancellationToken) -> bool {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    loop {
        match token.run_until_cancelled(answers(pool)).await {
            None => return false,
            Some(Ok(())) => {
                check.ready();
                return true;
            }
            Some(Err(error)) => check.unready(error.to_string()),
        }
        if !backoff.wait(token).await {
            return false;
        }
    }
}

/// Keeps a check true to the database's state until cancelled, looking every two seconds.
pub async fn watch(pool: PgPool, check: Check, token: CancellationToken) {
    let mut ticks = tokio::time::interval(WATCH);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while token.run_until_cancelled(ticks.tick()).await.is_some() {
        match token.run_until_cancelled(answers(&pool)).await {
            None => return,
            Some(Ok(())) => check.ready(),
            Some(Err(error)) => check.unready(error.to_string()),
        }
    }
}

/// Whether the failure is the database being away, overloaded or stopping, so that the client may try again (503),
/// rather than a mistake of ours (500).
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed
        // The last three are what arrives when the server is killed in the middle of an answer.
        | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_unavailable_state(&code)),
        _ => false,
    }
}

/// Connection trouble (08), a login refused (28, as in the middle of its change), resources gone (53, disk full included),
/// operators stepping in (57), I/O errors (58).
fn is_unavailable_state(code: &str) -> bool {
    ["08", "28", "53", "57", "58"].iter().any(|class| code.starts_with(class))
}

async fn answers(pool: &PgPool) -> Result<(), sqlx::Error> {
    let asked = async { pool.execute("SELECT 1").await.map(|_| ()) };
    tokio::time::timeout(WATCH, asked).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

#[cfg(test)]
mod tests;
