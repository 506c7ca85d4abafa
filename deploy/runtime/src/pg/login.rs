//! Where a database is and how this process logs in there. A URL that is in a file is read again when the file changes, so that a
//! new password needs no restart; how to rotate one is in `deploy/runbooks/keys-and-secrets.md`.

use std::fmt::{self, Debug, Formatter};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{ConnectOptions, Connection};
use tokio_util::sync::CancellationToken;

use super::{PoolSettings, connect_options, pool_with};
use crate::config::Secret;

/// No URL is longer, in bytes: what is put there by mistake is not read.
const LONGEST: u64 = 8 * 1024;
/// Between two looks at the files.
const PAUSE: Duration = Duration::from_secs(2);
/// So long a login that the database refuses is tried at each look: its role has its new password any moment now.
const SOON: Duration = Duration::from_secs(600);
/// Then only so often: servers ban whoever fails to log in for hours.
const SELDOM: Duration = Duration::from_secs(60);
/// How long a new login may take to be tried.
const TRIAL: Duration = Duration::from_secs(2);

const GOING_ON: &str = "the file of a database's URL is not used; going on with the login last used";

/// A database by its URL, and every pool this process has to it. Clones are the same database.
///
/// A new login is used from the moment the database takes it; until then the one before it is. Connections that are open go
/// on: Postgres does not end them, and a pool replaces each within an hour.
#[derive(Clone)]
pub struct DatabaseUrl {
    inner: Arc<Inner>,
}

struct Inner {
    setting: &'static str,
    file: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    url: Secret,
    /// Only of a URL that is in a file, and only those that are not closed.
    pools: Vec<(PgPool, PoolSettings)>,
    /// What was wrong at the last look, so that it is said once.
    trouble: Option<String>,
    /// The login that the database did not take last.
    refused: Option<Refused>,
}

/// A login that the database does not take.
#[derive(Clone)]
struct Refused {
    url: Secret,
    since: Instant,
    tried_at: Instant,
}

impl Refused {
    fn is_due(&self, now: Instant) -> bool {
        now.duration_since(self.since) < SOON || now.duration_since(self.tried_at) >= SELDOM
    }
}

/// The setting and the file alone: the URL is a secret.
impl Debug for DatabaseUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Inner { setting, file, .. } = &*self.inner;
        f.debug_struct("DatabaseUrl").field("setting", setting).field("file", file).finish_non_exhaustive()
    }
}

/// Why a file's URL is not used; never contains any of it.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it cannot be read: {0}")]
    Unread(#[from] std::io::Error),
    #[error("it is no file of at most {LONGEST} bytes")]
    NotAShortFile,
    #[error("it is empty")]
    Empty,
    #[error("it has no URL of a database: {0}")]
    NotAUrl(sqlx::Error),
    #[error("it names another place than at the start, not only another user or password: that needs a restart")]
    Elsewhere,
    #[error("the database does not take its user and password: {0}")]
    Untaken(sqlx::Error),
    #[error("the database did not take its user and password, and is not asked again so soon")]
    AskedLately,
}

impl DatabaseUrl {
    /// The database of a setting, whose URL may be in a file.
    pub fn new(setting: &'static str, url: Secret, file: Option<PathBuf>) -> Self {
        let state = Mutex::new(State { url, pools: Vec::new(), trouble: None, refused: None });
        Self { inner: Arc::new(Inner { setting, file, state }) }
    }

    /// A pool that connects when it is first used, always with the newest login; call it inside the runtime.
    /// One that is not needed any more must be closed, not only dropped. Fails only where the URL is none.
    pub fn pool(&self, settings: PoolSettings) -> Result<PgPool, sqlx::Error> {
        // Held until it is on the list: a login that comes in between would pass it by.
        let mut state = self.state();
        let pool = pool_with(connect_options(&state.url, &settings)?, &settings);
        if self.inner.file.is_some() {
            state.pools.retain(|(pool, _)| !pool.is_closed());
            state.pools.push((pool.clone(), settings));
        }
        Ok(pool)
    }

    /// Looks at the file once, and hands a login that is new and good to every pool.
    async fn look(&self, file: &Path) {
        let setting = self.inner.setting;
        match self.changed(file).await {
            Ok(changed) => {
                self.state().trouble = None;
                if let Some(url) = changed {
                    self.adopt(url);
                    tracing::info!(setting, file = %file.display(), "the login of a database has changed and is used from now on");
                }
            }
            Err(Refusal::AskedLately) => {}
            Err(refusal) => {
                let reason = refusal.to_string();
                let file = file.display();
                if self.state().trouble.replace(reason.clone()).as_ref() == Some(&reason) {
                    return;
                }
                // The first half of a change, in the order the runbook has it, is no error.
                if matches!(refusal, Refusal::Untaken(_)) {
                    tracing::warn!(setting, %file, reason, "{GOING_ON}");
                } else {
                    tracing::error!(setting, %file, reason, "{GOING_ON}");
                }
            }
        }
    }

    /// The URL in the file, where it is another and the database takes it.
    async fn changed(&self, file: &Path) -> Result<Option<Secret>, Refusal> {
        let metadata = tokio::fs::metadata(file).await?;
        if !metadata.is_file() || metadata.len() > LONGEST {
            return Err(Refusal::NotAShortFile);
        }
        let text = tokio::fs::read_to_string(file).await?;
        let url = Secret::new(text.trim_end_matches(['\n', '\r']));
        let known = self.state().url.clone();
        if url == known {
            return Ok(None);
        }
        if url.expose().is_empty() {
            return Err(Refusal::Empty);
        }
        let options = PgConnectOptions::from_str(url.expose()).map_err(Refusal::NotAUrl)?;
        // Half of a pool here and half there would be two databases taken for one.
        if place(&url) != place(&known) {
            return Err(Refusal::Elsewhere);
        }
        let refused = self.state().refused.take().filter(|refused| refused.url == url);
        let now = Instant::now();
        if let Some(refused) = refused.clone().filter(|refused| !refused.is_due(now)) {
            self.state().refused = Some(refused);
            return Err(Refusal::AskedLately);
        }
        if let Err(error) = try_login(&options.application_name("fittrack-login-trial")).await {
            let since = refused.map_or(now, |refused| refused.since);
            self.state().refused = Some(Refused { url, since, tried_at: now });
            return Err(Refusal::Untaken(error));
        }
        Ok(Some(url))
    }

    fn adopt(&self, url: Secret) {
        let mut state = self.state();
        state.pools.retain(|(pool, _)| !pool.is_closed());
        for (pool, settings) in &state.pools {
            // It was a URL a moment ago, when it was tried.
            if let Ok(options) = connect_options(&url, settings) {
                pool.set_connect_options(options);
            }
        }
        state.url = url;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known under a URL without a file.
impl From<Secret> for DatabaseUrl {
    fn from(url: Secret) -> Self {
        Self::new("", url, None)
    }
}

async fn try_login(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let connected = tokio::time::timeout(TRIAL, async {
        let connection: PgConnection = options.connect().await?;
        connection.close().await
    });
    connected.await.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// A URL without who logs in and with what: its address, its database and its other parameters.
fn place(url: &Secret) -> Option<(String, Vec<(String, String)>)> {
    let mut url = reqwest::Url::parse(url.expose()).ok()?;
    let parameters = url.query_pairs().filter(|(name, _)| name != "user" && name != "password");
    let parameters = parameters.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    url.set_query(None);
    // They fail where there is no host, and then there is no user either.
    let _hostless = url.set_username("").and_then(|()| url.set_password(None));
    Some((url.into(), parameters))
}

/// The databases whose files a process has to follow: all that its settings name.
#[derive(Debug, Clone, Default)]
pub struct Logins(Arc<Mutex<Vec<DatabaseUrl>>>);

impl Logins {
    /// Adds a database, where its URL is in a file.
    pub fn add(&self, database: &DatabaseUrl) {
        if database.inner.file.is_some() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(database.clone());
        }
    }

    /// Looks at each file every two seconds until cancelled.
    pub async fn follow(self, stop: CancellationToken) {
        self.follow_every(PAUSE, stop).await;
    }

    async fn follow_every(self, pause: Duration, stop: CancellationToken) {
        let databases = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if databases.is_empty() {
            return;
        }
        let mut ticks = tokio::time::interval(pause);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            for database in &databases {
                let Some(file) = &database.inner.file else { continue };
                if stop.run_until_cancelled(database.look(file)).await.is_none() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
