//! Refreshing: a refresh token is good once and gives its one successor. A client whose answer was lost may ask again for ten
//! seconds and gets that successor again; a spent token that comes later was stolen, by whoever came first or second, and ends
//! the session (RFC 9700, 4.14.2).
use serde_json::json;
use sqlx::FromRow;
use uuid::Uuid;

use super::{EndedBy, IDLE_DAYS, Pair, Sessions};
use crate::identity::{
    AccountError,
    audit::{self, AuditEvent, Entry, Origin},
    secrets::{self, OpaqueSecret},
};

/// How long a spent token still gives its successor, in seconds.
const GRACE_S: f64 = 10.0;

/// What became of a refresh.
#[derive(Debug)]
pub enum Refreshed {
    /// The next pair.
    Pair(Pair),
    /// The token is none, is spent, or its session is over.
    Refused,
}

/// Spends the token; of many who try at once, one does. `clock_timestamp()`, because `now()` is when the transaction began.
const SPEND: &str = "
    UPDATE refresh_tokens SET rotated_at = clock_timestamp(), successor_salt = $2
    WHERE token_hash = $1 AND rotated_at IS NULL RETURNING session_id";

/// The account is locked against being disabled meanwhile.
const USE_SESSION: &str = "
    WITH account AS (
        SELECT athlete_id FROM accounts
        WHERE athlete_id = (SELECT athlete_id FROM sessions WHERE session_id = $1) AND status = 'active' FOR SHARE
    )
    UPDATE sessions SET last_used_at = clock_timestamp() FROM account
    WHERE session_id = $1 AND sessions.athlete_id = account.athlete_id AND ended_at IS NULL
      AND expires_at > clock_timestamp() AND last_used_at > clock_timestamp() - make_interval(days => $2)
    RETURNING sessions.athlete_id";

const ADD_TOKEN: &str = "INSERT INTO refresh_tokens (token_hash, session_id) VALUES ($1, $2)";

/// The successor is in use, so nobody needs to be given it again.
const FORGET_SALTS: &str = "
    UPDATE refresh_tokens SET successor_salt = NULL
    WHERE session_id = $1 AND successor_salt IS NOT NULL AND token_hash <> $2";

const SPENT: &str = "
    SELECT session_id, athlete_id, successor_salt,
           refresh_tokens.rotated_at > clock_timestamp() - make_interval(secs => $2) AS in_grace,
           extract(epoch FROM clock_timestamp() - refresh_tokens.rotated_at)::float8 AS since_s
    FROM refresh_tokens JOIN sessions USING (session_id)
    WHERE token_hash = $1 AND refresh_tokens.rotated_at IS NOT NULL AND ended_at IS NULL";

const IS_UNSPENT: &str = "SELECT EXISTS (SELECT FROM refresh_tokens WHERE token_hash = $1 AND rotated_at IS NULL)";

const END_FAMILY: &str = "
    UPDATE sessions SET ended_at = clock_timestamp(), ended_by = $2
    WHERE session_id = $1 AND ended_at IS NULL RETURNING session_id";

#[derive(FromRow)]
struct Spent {
    session_id: Uuid,
    athlete_id: Uuid,
    successor_salt: Option<Vec<u8>>,
    in_grace: bool,
    since_s: f64,
}

impl Sessions {
    /// The next pair for a refresh token.
    pub async fn refresh(&self, token: &OpaqueSecret, origin: &Origin) -> Result<Refreshed, AccountError> {
        let salt = secrets::random();
        let mut transaction = self.pool.begin().await?;
        let spent: Option<Uuid> =
            sqlx::query_scalar(SPEND).bind(&token.hash()[..]).bind(&salt[..]).fetch_optional(&mut *transaction).await?;
        let Some(session_id) = spent else {
            transaction.rollback().await?;
            return self.again(token, origin).await;
        };
        let Some(athlete_id) = use_session(&mut transaction, session_id).await? else {
            return Ok(Refreshed::Refused);
        };
        let successor = token.successor(&salt);
        sqlx::query(ADD_TOKEN).bind(&successor.hash()[..]).bind(session_id).execute(&mut *transaction).await?;
        sqlx::query(FORGET_SALTS).bind(session_id).bind(&token.hash()[..]).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.pair(athlete_id, session_id, successor).map(Refreshed::Pair)
    }

    /// The token is spent, or was never one.
    async fn again(&self, token: &OpaqueSecret, origin: &Origin) -> Result<Refreshed, AccountError> {
        let spent: Option<Spent> =
            sqlx::query_as(SPENT).bind(&token.hash()[..]).bind(GRACE_S).fetch_optional(&self.pool).await?;
        let Some(spent) = spent else { return Ok(Refreshed::Refused) };
        if !spent.in_grace {
            self.end_family(&spent, origin).await?;
            return Ok(Refreshed::Refused);
        }
        let salt: Option<[u8; 32]> = spent.successor_salt.and_then(|salt| salt.try_into().ok());
        let Some(successor) = salt.map(|salt| token.successor(&salt)) else { return Ok(Refreshed::Refused) };
        let mut transaction = self.pool.begin().await?;
        let is_unspent: bool =
            sqlx::query_scalar(IS_UNSPENT).bind(&successor.hash()[..]).fetch_one(&mut *transaction).await?;
        if !is_unspent || use_session(&mut transaction, spent.session_id).await?.is_none() {
            return Ok(Refreshed::Refused);
        }
        transaction.commit().await?;
        self.pair(spent.athlete_id, spent.session_id, successor).map(Refreshed::Pair)
    }

    async fn end_family(&self, spent: &Spent, origin: &Origin) -> Result<(), AccountError> {
        let mut transaction = self.pool.begin().await?;
        let ended: Option<Uuid> = sqlx::query_scalar(END_FAMILY)
            .bind(spent.session_id)
            .bind(EndedBy::TokenReuse.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        if ended.is_some() {
            let entry = Entry::anonymous(AuditEvent::TokenReuse, origin)
                .about(Some(spent.athlete_id))
                .session(spent.session_id)
                .details(json!({"spent_for_s": spent.since_s.round()}));
            audit::record(&mut *transaction, entry).await?;
            transaction.commit().await?;
        }
        self.ended.note(ended);
        Ok(())
    }
}

/// Whose the session is, which is in use from now on; `None` where it is over.
async fn use_session(connection: &mut sqlx::PgConnection, session_id: Uuid) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar(USE_SESSION).bind(session_id).bind(IDLE_DAYS).fetch_optional(connection).await
}
