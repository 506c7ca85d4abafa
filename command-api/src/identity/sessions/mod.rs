//! Sessions: begun by a sign-in, kept alive by refresh tokens ([`refresh`]), listed and ended by their athlete, removed when they
//! are long over ([`sweep`]). See `schemas/identity/0003_sessions.sql`. That one has ended is announced by [`super::ended`].
pub mod refresh;
pub mod sweep;

use chrono::{DateTime, Utc};
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::{clock, config::Secret};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::{
    AccountError,
    accounts::Account,
    audit::{self, AuditEvent, Entry, Origin},
    ended::EndedSessions,
    secrets::OpaqueSecret,
    tokens::{Grant, Tokens},
};

/// How long a session lasts, in days, however much it is used.
pub const LIFETIME_DAYS: i32 = 30;
/// How long it lasts without being used.
pub const IDLE_DAYS: i32 = 14;
/// How many an athlete may have; a further one ends the one that was not used for longest.
const MAX_SESSIONS: i64 = 100;

/// Begins, refreshes, lists and ends sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    pool: PgPool,
    tokens: Tokens,
    ended: EndedSessions,
}

/// What a client holds of a session.
#[derive(Debug)]
pub struct Pair {
    /// Good for ten minutes.
    pub access_token: Secret,
    /// Good once, for the next pair.
    pub refresh_token: OpaqueSecret,
}

/// A session as its athlete sees it.
#[derive(Debug, Clone, FromRow)]
pub struct Session {
    /// Its id.
    pub session_id: Uuid,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When an access token was last issued.
    pub last_used_at: DateTime<Utc>,
    /// When it is over if it goes on being used.
    pub expires_at: DateTime<Utc>,
    /// What its client called itself.
    pub user_agent: Option<String>,
}

/// Why a session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Its athlete signed out.
    Logout,
    /// The password was changed.
    PasswordChange,
    /// A spent refresh token came again.
    TokenReuse,
    /// The athlete began too many others.
    TooMany,
    /// An administrator.
    Administrator,
    /// The account was erased.
    Erasure,
}

impl EndedBy {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::PasswordChange => "password_change",
            Self::TokenReuse => "token_reuse",
            Self::TooMany => "too_many",
            Self::Administrator => "administrator",
            Self::Erasure => "erasure",
        }
    }
}

/// The account as it was when the password was checked is locked against a change of it, so no session begins after one.
const BEGIN: &str = "
    WITH account AS (
        SELECT athlete_id FROM accounts
        WHERE athlete_id = $2 AND status = 'active' AND password_changes = $3 FOR SHARE
    ), session AS (
        INSERT INTO sessions (session_id, athlete_id, expires_at, user_agent)
        SELECT $1, athlete_id, clock_timestamp() + make_interval(days => $4), $5 FROM account
        RETURNING session_id
    )
    INSERT INTO refresh_tokens (token_hash, session_id) SELECT $6, session_id FROM session";

const LIVE: &str = "
    SELECT session_id, created_at, last_used_at, expires_at, user_agent FROM sessions
    WHERE athlete_id = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()
      AND last_used_at > clock_timestamp() - make_interval(days => $2)
    ORDER BY last_used_at DESC, session_id LIMIT $3";

const END_ONE: &str = "
    UPDATE sessions SET ended_at = clock_timestamp(), ended_by = $3
    WHERE session_id = $2 AND athlete_id = $1 AND ended_at IS NULL RETURNING session_id";

const END_OTHERS: &str = "
    UPDATE sessions SET ended_at = clock_timestamp(), ended_by = $3
    WHERE athlete_id = $1 AND session_id IS DISTINCT FROM $2 AND ended_at IS NULL RETURNING session_id";

const END_SURPLUS: &str = "
    UPDATE sessions SET ended_at = clock_timestamp(), ended_by = $3
    WHERE ended_at IS NULL AND session_id IN (
        SELECT session_id FROM sessions WHERE athlete_id = $1 AND ended_at IS NULL
        ORDER BY last_used_at DESC, session_id OFFSET $2)
    RETURNING session_id";

const IS_ANOTHER_S: &str = "SELECT EXISTS (SELECT FROM sessions WHERE session_id = $2 AND athlete_id <> $1)";

impl Sessions {
    /// Over the identity database.
    pub fn new(pool: PgPool, tokens: Tokens, ended: EndedSessions) -> Self {
        Self { pool, tokens, ended }
    }

    /// Begins a session of an account whose password was just checked; `None` where the account changed meanwhile.
    pub async fn begin(&self, account: &Account, origin: &Origin) -> Result<Option<Pair>, AccountError> {
        let (session_id, refresh_token) = (Uuid::new_v4(), OpaqueSecret::generate());
        let mut transaction = self.pool.begin().await?;
        let begun = sqlx::query(BEGIN)
            .bind(session_id)
            .bind(account.athlete_id)
            .bind(account.password_changes)
            .bind(LIFETIME_DAYS)
            .bind(&origin.user_agent)
            .bind(&refresh_token.hash()[..])
            .execute(&mut *transaction)
            .await?;
        if begun.rows_affected() == 0 {
            return Ok(None);
        }
        let surplus: Vec<Uuid> = sqlx::query_scalar(END_SURPLUS)
            .bind(account.athlete_id)
            .bind(MAX_SESSIONS)
            .bind(EndedBy::TooMany.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        let entry = Entry::by_athlete(AuditEvent::LoginSuccess, account.athlete_id, origin).session(session_id);
        audit::record(&mut *transaction, entry).await?;
        transaction.commit().await?;
        self.ended.note(surplus);
        self.pair(account.athlete_id, session_id, refresh_token).map(Some)
    }

    /// The sessions an athlete is signed in with, the one used last first.
    pub async fn list(&self, athlete_id: Uuid) -> Result<Vec<Session>, sqlx::Error> {
        sqlx::query_as(LIVE).bind(athlete_id).bind(IDLE_DAYS).bind(MAX_SESSIONS).fetch_all(&self.pool).await
    }

    /// Ends one of an athlete's sessions; `false` where there is none of this id, or it has ended before.
    pub async fn end(&self, athlete_id: Uuid, session_id: Uuid, origin: &Origin) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let ended: Option<Uuid> = sqlx::query_scalar(END_ONE)
            .bind(athlete_id)
            .bind(session_id)
            .bind(EndedBy::Logout.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        if ended.is_some() {
            let entry = Entry::by_athlete(AuditEvent::SessionEnded, athlete_id, origin).session(session_id);
            audit::record(&mut *transaction, entry).await?;
            transaction.commit().await?;
        }
        self.ended.note(ended);
        Ok(ended.is_some())
    }

    /// Whether a session is somebody else's.
    pub async fn is_another_s(&self, athlete_id: Uuid, session_id: Uuid) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(IS_ANOTHER_S).bind(athlete_id).bind(session_id).fetch_one(&self.pool).await
    }

    /// What ends in a transaction is announced once it has committed: pass the ids to [`Sessions::announce`].
    pub async fn end_others(
        connection: &mut PgConnection,
        athlete_id: Uuid,
        current: Option<Uuid>,
        why: EndedBy,
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        sqlx::query_scalar(END_OTHERS).bind(athlete_id).bind(current).bind(why.as_str()).fetch_all(connection).await
    }

    /// Refuses the access tokens of sessions that have ended, here at once and elsewhere within seconds.
    pub fn announce(&self, ended: Vec<Uuid>) {
        self.ended.note(ended);
    }

    fn pair(&self, athlete_id: Uuid, session_id: Uuid, refresh_token: OpaqueSecret) -> Result<Pair, AccountError> {
        let grant = Grant::of_session(AthleteId(athlete_id), session_id);
        let access_token = Secret::new(self.tokens.issue(&grant, clock::now())?);
        Ok(Pair { access_token, refresh_token })
    }
}
