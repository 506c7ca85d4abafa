//! Keys for an athlete's programs: made by the athlete, limited to scopes, ended by the athlete. A program exchanges its key for
//! access tokens of ten minutes, which both APIs check as any other; so a key that was ended is refused as an ended session is.
use chrono::{DateTime, Utc};
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::{clock, config::Secret};
use serde_json::json;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{
    AccountError,
    audit::{self, AuditEvent, Entry, Origin},
    ended::EndedSessions,
    secrets::OpaqueSecret,
    tokens::{Grant, LIFETIME_S, Tokens},
};

/// What every key begins with, so that leaked ones are found by searching.
const PREFIX: &str = "ftk_";
/// How many keys an athlete may have.
const MAX_KEYS: i64 = 50;
/// The most rows that one sweep removes.
const BATCH: i64 = 5_000;

/// Makes, exchanges, lists and ends keys. Cheap to clone.
#[derive(Clone)]
pub struct ApiKeys {
    pool: PgPool,
    tokens: Tokens,
    ended: EndedSessions,
}

/// What a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything its athlete may read.
    Read,
    /// Everything its athlete may change, but nothing of the account.
    Write,
}

impl Scope {
    /// As it is in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A key somebody wants.
#[derive(Debug)]
pub struct NewKey {
    /// What its athlete calls it.
    pub name: String,
    /// What it is to allow.
    pub scopes: Vec<Scope>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A key as its athlete sees it.
#[derive(Debug, Clone, FromRow)]
pub struct ApiKey {
    /// Its id.
    pub key_id: Uuid,
    /// What its athlete calls it.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When an access token was last issued.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

/// An access token for a program.
#[derive(Debug)]
pub struct Exchanged {
    /// Good for ten minutes, or until the key ends by itself.
    pub access_token: Secret,
    /// How long that is, in seconds.
    pub expires_in: i64,
    /// What it allows, separated by blanks.
    pub scope: String,
}

/// What became of the wish for a key.
#[derive(Debug)]
pub enum Created {
    /// It is there. The key itself is given out this once.
    Key(ApiKey, Secret),
    /// The athlete has as many as may be.
    Full,
    /// The account, or the session that asks, has ended; its access token does not know yet.
    SignedOut,
}

/// One at a time for each athlete: a statement counts what was there when it began, so it must begin after the one before. Whoever
/// closes an account or ends its keys takes the same lock.
const TAKE_TURN: &str = "SELECT true FROM accounts WHERE athlete_id = $1 AND status = 'active' FOR NO KEY UPDATE";

/// Asked under the lock: a session that ended while it was waited for has ended.
const HAS_ENDED: &str = "SELECT EXISTS (SELECT FROM sessions WHERE session_id = $1 AND ended_at IS NOT NULL)";

const CREATE: &str = "
    INSERT INTO api_keys (key_id, athlete_id, key_hash, name, scopes, expires_at)
    SELECT $1, $2, $3, $4, $5, $6
    WHERE (SELECT count(*) FROM api_keys WHERE athlete_id = $2 AND ended_at IS NULL
             AND (expires_at IS NULL OR expires_at > clock_timestamp())) < $7
    RETURNING key_id, name, scopes, created_at, last_used_at, expires_at";

const LIST: &str = "
    SELECT key_id, name, scopes, created_at, last_used_at, expires_at FROM api_keys
    WHERE athlete_id = $1 AND ended_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
    ORDER BY created_at DESC, key_id LIMIT $2";

const END: &str = "
    UPDATE api_keys SET ended_at = clock_timestamp()
    WHERE key_id = $2 AND athlete_id = $1 AND ended_at IS NULL RETURNING key_id";

const USE: &str = "
    UPDATE api_keys SET last_used_at = clock_timestamp() FROM accounts
    WHERE key_hash = $1 AND ended_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
      AND accounts.athlete_id = api_keys.athlete_id AND accounts.status = 'active'
    RETURNING key_id, api_keys.athlete_id, scopes, expires_at";

const IS_ANOTHER_S: &str = "SELECT EXISTS (SELECT FROM api_keys WHERE key_id = $2 AND athlete_id <> $1)";

const SWEEP: [&str; 2] = [
    "DELETE FROM api_keys WHERE key_id IN (
        SELECT key_id FROM api_keys WHERE ended_at < clock_timestamp() - interval '1 day' ORDER BY ended_at LIMIT $1)",
    "DELETE FROM api_keys WHERE key_id IN (
        SELECT key_id FROM api_keys WHERE expires_at < clock_timestamp() - interval '1 day' ORDER BY expires_at LIMIT $1)",
];

#[derive(FromRow)]
struct Used {
    key_id: Uuid,
    athlete_id: Uuid,
    scopes: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
}

impl ApiKeys {
    /// Over the identity database.
    pub fn new(pool: PgPool, tokens: Tokens, ended: EndedSessions) -> Self {
        Self { pool, tokens, ended }
    }

    /// Makes a key for the athlete of a session.
    pub async fn create(
        &self,
        athlete_id: Uuid,
        session_id: Uuid,
        new: NewKey,
        origin: &Origin,
    ) -> Result<Created, sqlx::Error> {
        let secret = OpaqueSecret::generate();
        let mut scopes: Vec<Scope> = new.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        let scopes: Vec<&str> = scopes.into_iter().map(Scope::as_str).collect();
        let mut transaction = self.pool.begin().await?;
        let is_active: Option<bool> =
            sqlx::query_scalar(TAKE_TURN).bind(athlete_id).fetch_optional(&mut *transaction).await?;
        let has_ended: bool = sqlx::query_scalar(HAS_ENDED).bind(session_id).fetch_one(&mut *transaction).await?;
        if is_active.is_none() || has_ended {
            return Ok(Created::SignedOut);
        }
        let created: Option<ApiKey> = sqlx::query_as(CREATE)
            .bind(Uuid::new_v4())
            .bind(athlete_id)
            .bind(&secret.hash()[..])
            .bind(&new.name)
            .bind(&scopes)
            .bind(new.expires_at)
            .bind(MAX_KEYS)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(key) = created else { return Ok(Created::Full) };
        let entry = Entry::by_athlete(AuditEvent::TokenCreated, athlete_id, origin)
            .session(key.key_id)
            .details(json!({"scopes": scopes, "expires_at": key.expires_at}));
        audit::record(&mut *transaction, entry).await?;
        transaction.commit().await?;
        Ok(Created::Key(key, Secret::new(format!("{PREFIX}{}", secret.expose()))))
    }

    /// An athlete's keys, the newest first.
    pub async fn list(&self, athlete_id: Uuid) -> Result<Vec<ApiKey>, sqlx::Error> {
        sqlx::query_as(LIST).bind(athlete_id).bind(MAX_KEYS).fetch_all(&self.pool).await
    }

    /// Ends one of an athlete's keys; `false` where there is none of this id, or it has ended before.
    pub async fn end(&self, athlete_id: Uuid, key_id: Uuid, origin: &Origin) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let ended: Option<Uuid> =
            sqlx::query_scalar(END).bind(athlete_id).bind(key_id).fetch_optional(&mut *transaction).await?;
        if ended.is_some() {
            let entry = Entry::by_athlete(AuditEvent::TokenRevoked, athlete_id, origin).session(key_id);
            audit::record(&mut *transaction, entry).await?;
            transaction.commit().await?;
        }
        self.ended.note(ended);
        Ok(ended.is_some())
    }

    /// Whether a key is somebody else's.
    pub async fn is_another_s(&self, athlete_id: Uuid, key_id: Uuid) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(IS_ANOTHER_S).bind(athlete_id).bind(key_id).fetch_one(&self.pool).await
    }

    /// An access token for a key; `None` where it is none, or has ended.
    pub async fn exchange(&self, key: &str) -> Result<Option<Exchanged>, AccountError> {
        let Some(secret) = key.strip_prefix(PREFIX).and_then(OpaqueSecret::parse) else { return Ok(None) };
        let used: Option<Used> = sqlx::query_as(USE).bind(&secret.hash()[..]).fetch_optional(&self.pool).await?;
        let Some(Used { key_id, athlete_id, scopes, expires_at }) = used else { return Ok(None) };
        let (scope, now) = (scopes.join(" "), clock::now());
        let left = expires_at.map_or(LIFETIME_S, |end| (end - now).num_seconds());
        let expires_in = left.clamp(0, LIFETIME_S);
        let grant = Grant::of_key(AthleteId(athlete_id), key_id, scope.clone(), expires_at);
        Ok(Some(Exchanged { access_token: Secret::new(self.tokens.issue(&grant, now)?), expires_in, scope }))
    }

    /// Removes keys that ended a day ago, by their athlete or by themselves; says how many.
    pub async fn sweep(pool: &PgPool) -> Result<u64, sqlx::Error> {
        let mut removed = 0;
        for statement in SWEEP {
            removed += sqlx::query(statement).bind(BATCH).execute(pool).await?.rows_affected();
        }
        Ok(removed)
    }
}
