//! What every route needs: who may call, where to read, what is ready, how far the read models have come.
//! Built once at start; cloning is counting a reference.
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use fittrack_runtime::auth::Verifier;
use fittrack_runtime::problem::Problem;
use fittrack_schemas::consistency::TokenKey;
use sqlx::PgPool;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::cache::Cache;
use crate::cache::stamps::{Stamp, Stamps};
use crate::changes::Changes;
use crate::cursor::CursorKey;
use crate::freshness::{MAX_WAIT, Waits};
use crate::problems::of_database;
use crate::queries::cursor_key;
use crate::read_model::ReadModel;
use crate::transfers::Transfers;

/// Queries that may wait for their consistency token at once.
const MAX_WAITS: usize = 2_000;
/// Recordings and originals being read at once; one may take some 100 MB while it is decoded.
const MAX_BLOBS: usize = 4;
/// How long a query waits for a place among them.
const BLOB_WAIT: Duration = Duration::from_secs(3);

/// The state of all routes.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// See [`App`].
pub struct Parts {
    /// Checks access tokens.
    pub verifier: Verifier,
    /// The read models.
    pub read_models: PgPool,
    /// The blobs of recordings.
    pub recordings: PgPool,
    /// Ready answers.
    pub cache: Cache,
    /// Changes of the read models.
    pub changes: Arc<Changes>,
    /// Queries that wait for their token.
    pub waits: Waits,
    /// Blobs being read.
    pub blobs: Semaphore,
    /// Long answers being sent.
    pub transfers: Transfers,
    cursor_key: OnceCell<CursorKey>,
    token_key: OnceCell<TokenKey>,
}

impl App {
    /// An app over these databases, with at most `cache_bytes` of ready answers.
    pub fn new(verifier: Verifier, read_models: PgPool, recordings: PgPool, cache_bytes: u64) -> Self {
        let stamps = Arc::new(Stamps::default());
        Self(Arc::new(Parts {
            verifier,
            changes: Arc::new(Changes::new(read_models.clone(), Arc::clone(&stamps))),
            read_models,
            recordings,
            cache: Cache::new(cache_bytes, stamps),
            waits: Waits::new(MAX_WAITS, MAX_WAIT),
            blobs: Semaphore::new(MAX_BLOBS),
            transfers: Transfers::default(),
            cursor_key: OnceCell::new(),
            token_key: OnceCell::new(),
        }))
    }

    /// To be taken before one owner's rows are read.
    pub fn stamp_of(&self, model: ReadModel, owner: Uuid) -> Stamp {
        self.cache.stamps().of_owner(model, owner)
    }

    /// To be taken before one owner's rows are read from several read models.
    pub fn stamp_in(&self, models: &[ReadModel], owner: Uuid) -> Stamp {
        self.cache.stamps().of_owner_in(models, owner)
    }

    /// What cursors are signed with; 503 while the database that has it is away or not set up.
    pub async fn cursor_key(&self) -> Result<&CursorKey, Problem> {
        let read = || async { cursor_key::secret(&self.read_models).await.map(CursorKey::new).map_err(of_database) };
        self.cursor_key.get_or_try_init(read).await
    }

    /// What consistency tokens are signed with; 503 as for the cursors'.
    pub async fn token_key(&self) -> Result<&TokenKey, Problem> {
        let read = || async { TokenKey::read(&self.recordings).await.map_err(of_database) };
        self.token_key.get_or_try_init(read).await
    }

    /// A place for one blob that is read; 503 where none gets free in time.
    pub async fn blob_permit(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let busy = || Problem::unavailable("too many recordings are being read", Duration::from_secs(1));
        tokio::time::timeout(BLOB_WAIT, self.blobs.acquire()).await.ok().and_then(Result::ok).ok_or_else(busy)
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}
