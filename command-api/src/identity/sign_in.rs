//! Signing in: a try is counted, the password checked, a session begun. An unknown address, a wrong password and an account that may
//! not sign in take the same way with the same work, and so get the same answer.
use metrics::counter;
use serde_json::json;
use sqlx::PgPool;

use super::{
    AccountError,
    accounts::{self, Account},
    audit::{self, AuditEvent, Entry, Origin, printable},
    email::{self, Email},
    passwords::{Passwords, Turn, Verdict},
    sessions::{Pair, Sessions},
    throttle::{Subject, Throttle, Try},
};

/// Lets in who knows the password. Cheap to clone.
#[derive(Clone)]
pub struct SignIn {
    pub(super) pool: PgPool,
    pub(super) passwords: Passwords,
    pub(super) throttle: Throttle,
    pub(super) sessions: Sessions,
}

impl SignIn {
    /// Over the identity database.
    pub fn new(pool: PgPool, passwords: Passwords, throttle: Throttle, sessions: Sessions) -> Self {
        Self { pool, passwords, throttle, sessions }
    }

    /// Begins a session; `None` where address and password are not an account's.
    pub async fn sign_in(
        &self,
        email: String,
        password: String,
        origin: &Origin,
    ) -> Result<Option<Pair>, AccountError> {
        // First of all: who cannot be served costs the database nothing, and whoever has to write there feels nothing of it.
        let turn = self.passwords.turn().await?;
        let subject = Subject::sign_in(&printable(&email, email::MAX_BYTES), origin);
        let tried = self.throttle.begin(subject, origin).await??;
        let account = match Email::parse(email) {
            Ok(email) => accounts::by_email(&self.pool, &email).await,
            Err(_) => Ok(None),
        };
        let outcome = match account {
            Ok(account) => {
                let known = account.as_ref().map(|account| account.athlete_id);
                self.judge(turn, account, password, origin).await.map(|pair| pair.ok_or(known))
            }
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(Ok(pair)) => {
                said(self.throttle.succeeded(tried).await);
                counter!("fittrack_sign_ins_total", "outcome" => "signed_in").increment(1);
                Ok(Some(pair))
            }
            Ok(Err(known)) => {
                counter!("fittrack_sign_ins_total", "outcome" => "refused").increment(1);
                let entry = Entry::anonymous(AuditEvent::LoginFail, origin).about(known);
                audit::note(&self.pool, entry).await;
                self.failed(tried, Entry::anonymous(AuditEvent::LoginLock, origin).about(known), origin).await;
                Ok(None)
            }
            Err(error) => {
                said(self.throttle.give_back(tried).await);
                Err(error)
            }
        }
    }

    /// Counts a failure, and notes in the audit log that the next try has to wait where it has.
    pub(super) async fn failed(&self, tried: Try, lock: Entry<'_>, origin: &Origin) {
        if tried.locks() {
            audit::note(&self.pool, lock.details(json!({"tries": tried.count()}))).await;
        }
        said(self.throttle.failed(tried, origin).await);
    }

    async fn judge(
        &self,
        turn: Turn,
        account: Option<Account>,
        password: String,
        origin: &Origin,
    ) -> Result<Option<Pair>, AccountError> {
        let account = account.filter(|account| account.is_active() && account.one_time_until.is_none());
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let verdict = turn.verify(password, stored).await?;
        drop(turn);
        let (Some(account), Verdict::Right { rehashed }) = (account, verdict) else { return Ok(None) };
        if let Some(stronger) = rehashed
            && let Err(error) = accounts::rehash(&self.pool, &account, &stronger).await
        {
            tracing::warn!(%error, "a password hash was not renewed; the next sign-in tries again");
        }
        self.sessions.begin(&account, origin).await
    }
}

/// A counter that could not be written costs a try's effect, not the answer.
pub(super) fn said(outcome: Result<(), sqlx::Error>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "the counter of a try was not written");
    }
}
