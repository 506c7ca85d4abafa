//! What operators do to accounts at the command line: make an administrator, disable and enable accounts, end sessions. Each is in the
//! audit log. An administrator's account is no athlete's: it has no event, and signs in as any other once it has a password.
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    AccountError,
    accounts::{self, Account},
    audit::{self, AuditEvent, Entry, Origin},
    email::Email,
    passwords::{NewPassword, Passwords, Verdict},
    secrets::OpaqueSecret,
    sessions::{EndedBy, Sessions},
    sign_in::{SignIn, said},
    throttle::Subject,
};

/// How long a one-time secret is good for, in hours.
pub const ONE_TIME_HOURS: i32 = 24;

/// Operators' hands on the identity database.
#[derive(Clone)]
pub struct Administration {
    pool: PgPool,
}

/// What became of a change to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Administered {
    /// It is done, and so many sessions have ended by it.
    Done(usize),
    /// No account has this address, or it is in that state already.
    NotFound,
}

const CREATE: &str = "
    INSERT INTO accounts (athlete_id, email, password_hash, status, command_id, roles, one_time_until)
    VALUES ($1, $2, $3, 'active', $4, '{admin}', clock_timestamp() + make_interval(hours => $5))
    ON CONFLICT (lower(email)) DO NOTHING";

const SET_STATUS: &str = "
    UPDATE accounts SET status = $3 WHERE lower(email) = lower($1) AND status = $2 RETURNING athlete_id";

const TAKE_TURN: &str = "SELECT FROM accounts WHERE athlete_id = $1 FOR NO KEY UPDATE";

const END_KEYS: &str = "UPDATE api_keys SET ended_at = clock_timestamp() WHERE athlete_id = $1 AND ended_at IS NULL";

const SET_FIRST: &str = "
    UPDATE accounts SET password_hash = $3, password_changes = password_changes + 1, one_time_until = NULL
    WHERE athlete_id = $1 AND password_changes = $2 AND status = 'active' AND one_time_until > clock_timestamp()";

impl Administration {
    /// Over the identity database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Makes an administrator and gives out the secret that sets their password, this once; `None` where the address has an account.
    pub async fn create(&self, passwords: &Passwords, email: &Email) -> Result<Option<String>, AccountError> {
        let secret = OpaqueSecret::generate().expose();
        let password_hash = passwords.hash(NewPassword::parse(secret.clone()).map_err(internal)?).await?;
        let athlete_id = Uuid::now_v7();
        let mut transaction = self.pool.begin().await?;
        let created = sqlx::query(CREATE)
            .bind(athlete_id)
            .bind(email.as_str())
            .bind(password_hash)
            .bind(Uuid::now_v7())
            .bind(ONE_TIME_HOURS)
            .execute(&mut *transaction)
            .await?;
        if created.rows_affected() == 0 {
            return Ok(None);
        }
        let origin = Origin::default();
        for event in [AuditEvent::UserCreated, AuditEvent::AdminActivity] {
            let entry = Entry::by_operator(event, &origin).about(Some(athlete_id)).details(json!({"role": "admin"}));
            audit::record(&mut *transaction, entry).await?;
        }
        transaction.commit().await?;
        Ok(Some(secret))
    }

    /// Keeps an account from signing in and ends all of its sessions and keys.
    pub async fn disable(&self, email: &Email) -> Result<Administered, AccountError> {
        self.set_status(email, "active", "disabled").await
    }

    /// Lets an account sign in again.
    pub async fn enable(&self, email: &Email) -> Result<Administered, AccountError> {
        self.set_status(email, "disabled", "active").await
    }

    /// Ends all sessions and keys of an account, which may sign in again.
    pub async fn end_sessions(&self, email: &Email) -> Result<Administered, AccountError> {
        let Some(account) = accounts::by_email(&self.pool, email).await? else { return Ok(Administered::NotFound) };
        self.end_all(account.athlete_id, "end_sessions", None).await
    }

    async fn set_status(&self, email: &Email, from: &str, to: &str) -> Result<Administered, AccountError> {
        let mut transaction = self.pool.begin().await?;
        let changed: Option<Uuid> = sqlx::query_scalar(SET_STATUS)
            .bind(email.as_str())
            .bind(from)
            .bind(to)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(athlete_id) = changed else { return Ok(Administered::NotFound) };
        self.end_all(athlete_id, to, Some(transaction)).await
    }

    async fn end_all(
        &self,
        athlete_id: Uuid,
        what: &str,
        begun: Option<sqlx::Transaction<'static, sqlx::Postgres>>,
    ) -> Result<Administered, AccountError> {
        let mut transaction = match begun {
            Some(transaction) => transaction,
            None => self.pool.begin().await?,
        };
        // A key that is being made is there before, or finds its session ended.
        sqlx::query(TAKE_TURN).bind(athlete_id).execute(&mut *transaction).await?;
        let ended = Sessions::end_others(&mut transaction, athlete_id, None, EndedBy::Administrator).await?;
        let keys = sqlx::query(END_KEYS).bind(athlete_id).execute(&mut *transaction).await?.rows_affected();
        let origin = Origin::default();
        let entry = Entry::by_operator(AuditEvent::AdminActivity, &origin)
            .about(Some(athlete_id))
            .details(json!({"what": what, "sessions_ended": ended.len(), "keys_ended": keys}));
        audit::record(&mut *transaction, entry).await?;
        transaction.commit().await?;
        Ok(Administered::Done(ended.len()))
    }
}

impl SignIn {
    /// Sets the first password of an account that has a one-time secret; `false` where the secret is another, or was used.
    pub async fn set_first_password(
        &self,
        email: Email,
        secret: String,
        new: NewPassword,
        origin: &Origin,
    ) -> Result<bool, AccountError> {
        let tried = self.throttle.begin(Subject::sign_in(email.as_str(), origin), origin).await??;
        match self.set_first(&email, secret, new, origin).await {
            Ok(true) => {
                said(self.throttle.succeeded(tried).await);
                Ok(true)
            }
            Ok(false) => {
                audit::note(&self.pool, Entry::anonymous(AuditEvent::PasswordChangeFail, origin)).await;
                self.failed(tried, Entry::anonymous(AuditEvent::LoginLock, origin), origin).await;
                Ok(false)
            }
            Err(error) => {
                said(self.throttle.give_back(tried).await);
                Err(error)
            }
        }
    }

    async fn set_first(
        &self,
        email: &Email,
        secret: String,
        new: NewPassword,
        origin: &Origin,
    ) -> Result<bool, AccountError> {
        let account = accounts::by_email(&self.pool, email).await?.filter(Account::is_active);
        let account = account.filter(|account| account.one_time_until.is_some());
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let turn = self.passwords.turn().await?;
        let verdict = turn.verify(secret, stored).await?;
        let (Some(account), Verdict::Right { .. }) = (account, verdict) else { return Ok(false) };
        let new_hash = turn.hash(new).await?;
        drop(turn);
        let mut transaction = self.pool.begin().await?;
        let set = sqlx::query(SET_FIRST)
            .bind(account.athlete_id)
            .bind(account.password_changes)
            .bind(new_hash)
            .execute(&mut *transaction)
            .await?;
        if set.rows_affected() == 1 {
            let entry = Entry::by_athlete(AuditEvent::PasswordChange, account.athlete_id, origin);
            audit::record(&mut *transaction, entry.details(json!({"with": "one-time secret"}))).await?;
            transaction.commit().await?;
        }
        Ok(set.rows_affected() == 1)
    }
}

fn internal(error: impl std::fmt::Display) -> AccountError {
    AccountError::Internal(error.to_string())
}
