//! The accounts table: each query with its row beside it. See `schemas/identity/0002_accounts.sql`.
use std::fmt;

use chrono::{DateTime, Utc};
use fittrack_domain::ids::AthleteId;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::email::Email;

/// One account.
#[derive(Clone, FromRow)]
pub struct Account {
    /// Whose it is.
    pub athlete_id: Uuid,
    /// Argon2id, PHC string.
    pub password_hash: String,
    /// `pending`, `active`, `disabled` or `erasing`.
    pub status: String,
    /// Of `athlete_registered`.
    pub command_id: Uuid,
    /// What the event will say; only while pending.
    pub display_name: Option<String>,
    /// What the event will say; only while pending.
    pub time_zone: Option<String>,
    /// How often the password was changed.
    pub password_changes: i32,
    /// Until when the password is a one-time secret, where it is one.
    pub one_time_until: Option<DateTime<Utc>>,
}

impl Account {
    /// Whether its athlete may sign in.
    pub fn is_active(&self) -> bool {
        self.status == "active"
    }

    /// Whether its athlete's event is still to be made sure of.
    pub fn is_pending(&self) -> bool {
        self.status == "pending"
    }
}

/// An account about to be made.
#[derive(Clone)]
pub struct NewAccount {
    /// Whose it will be.
    pub athlete_id: AthleteId,
    /// Where to reach them.
    pub email: Email,
    /// Argon2id, PHC string.
    pub password_hash: String,
    /// Of `athlete_registered`.
    pub command_id: Uuid,
    /// What the event will say.
    pub display_name: String,
    /// What the event will say.
    pub time_zone: String,
}

/// Without the hash.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { athlete_id, status, .. } = self;
        f.debug_struct("Account").field("athlete_id", athlete_id).field("status", status).finish_non_exhaustive()
    }
}

/// Without address and hash.
impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount").field("athlete_id", &self.athlete_id).finish_non_exhaustive()
    }
}

const INSERT_PENDING: &str = "
    INSERT INTO accounts (athlete_id, email, password_hash, status, command_id, display_name, time_zone)
    VALUES ($1, $2, $3, 'pending', $4, $5, $6)
    ON CONFLICT (lower(email)) DO NOTHING";

/// Claims the address for a new account; `false` where it has one.
pub async fn insert_pending(pool: &PgPool, account: &NewAccount) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(INSERT_PENDING)
        .bind(account.athlete_id.0)
        .bind(account.email.as_str())
        .bind(&account.password_hash)
        .bind(account.command_id)
        .bind(&account.display_name)
        .bind(&account.time_zone)
        .execute(pool)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

const BY_EMAIL: &str = "
    SELECT athlete_id, password_hash, status, command_id, display_name, time_zone, password_changes, one_time_until
    FROM accounts WHERE lower(email) = lower($1)";

/// The account of an address.
pub async fn by_email(pool: &PgPool, email: &Email) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as(BY_EMAIL).bind(email.as_str()).fetch_optional(pool).await
}

const BY_ATHLETE: &str = "
    SELECT athlete_id, password_hash, status, command_id, display_name, time_zone, password_changes, one_time_until
    FROM accounts WHERE athlete_id = $1";

/// The account of an athlete.
pub async fn by_athlete(pool: &PgPool, athlete_id: Uuid) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as(BY_ATHLETE).bind(athlete_id).fetch_optional(pool).await
}

const EMAIL_OF: &str = "SELECT email FROM accounts WHERE athlete_id = $1";

/// The address of an athlete.
pub async fn email_of(pool: &PgPool, athlete_id: Uuid) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(EMAIL_OF).bind(athlete_id).fetch_optional(pool).await
}

const ACTIVATE: &str = "
    UPDATE accounts SET status = 'active', display_name = NULL, time_zone = NULL
    WHERE athlete_id = $1 AND status = 'pending'";

/// Lets the athlete sign in, once their event is stored. Doing it again changes nothing and is `false`.
pub async fn activate(connection: &mut PgConnection, athlete_id: Uuid) -> Result<bool, sqlx::Error> {
    let activated = sqlx::query(ACTIVATE).bind(athlete_id).execute(connection).await?;
    Ok(activated.rows_affected() == 1)
}

const REMOVE_PENDING: &str = "DELETE FROM accounts WHERE athlete_id = $1 AND status = 'pending'";

/// Takes back a pending account whose athlete will have no event.
pub async fn remove_pending(pool: &PgPool, athlete_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(REMOVE_PENDING).bind(athlete_id).execute(pool).await.map(|_| ())
}

const PENDING: &str = "
    SELECT athlete_id, password_hash, status, command_id, display_name, time_zone, password_changes, one_time_until
    FROM accounts WHERE status = 'pending' AND created_at <= clock_timestamp() - make_interval(secs => $1)
    ORDER BY created_at LIMIT $2";

/// Accounts that have been pending for so many seconds, the oldest first.
pub async fn pending_for(pool: &PgPool, seconds: f64, limit: i64) -> Result<Vec<Account>, sqlx::Error> {
    sqlx::query_as(PENDING).bind(seconds).bind(limit).fetch_all(pool).await
}

const CHANGE_PASSWORD: &str = "
    UPDATE accounts SET password_hash = $3, password_changes = password_changes + 1
    WHERE athlete_id = $1 AND password_changes = $2 AND status = 'active'";

/// Replaces the password an account had; `false` where it has got another one meanwhile, or may not sign in any more.
pub async fn change_password(
    connection: &mut PgConnection,
    account: &Account,
    new_hash: &str,
) -> Result<bool, sqlx::Error> {
    let changed = sqlx::query(CHANGE_PASSWORD)
        .bind(account.athlete_id)
        .bind(account.password_changes)
        .bind(new_hash)
        .execute(connection)
        .await?;
    Ok(changed.rows_affected() == 1)
}

const IS_UNCHANGED: &str = "
    SELECT FROM accounts WHERE athlete_id = $1 AND password_changes = $2 AND status = 'active' FOR UPDATE";

/// Whether the account still has the password it had, and may sign in; locks it until the end of the transaction.
pub async fn is_unchanged(connection: &mut PgConnection, account: &Account) -> Result<bool, sqlx::Error> {
    let found = sqlx::query(IS_UNCHANGED)
        .bind(account.athlete_id)
        .bind(account.password_changes)
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

const REHASH: &str = "UPDATE accounts SET password_hash = $3 WHERE athlete_id = $1 AND password_hash = $2";

/// Replaces a hash by a stronger one of the same password, unless the password has changed meanwhile.
pub async fn rehash(pool: &PgPool, account: &Account, stronger: &str) -> Result<(), sqlx::Error> {
    sqlx::query(REHASH)
        .bind(account.athlete_id)
        .bind(&account.password_hash)
        .bind(stronger)
        .execute(pool)
        .await
        .map(|_| ())
}
