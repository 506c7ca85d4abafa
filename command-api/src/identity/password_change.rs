//! Changing a password: the current one is checked, the new one hashed, and with it every other session ends, all or nothing.
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::config::Secret;
use serde_json::json;
use uuid::Uuid;

use super::{
    AccountError,
    accounts::{self, Account},
    audit::{self, AuditEvent, Entry, Origin},
    passwords::{NewPassword, Verdict},
    sessions::{EndedBy, Sessions},
    sign_in::{SignIn, said},
    throttle::Subject,
};

/// Somebody signed in who wants another password.
#[derive(Debug)]
pub struct PasswordChange {
    /// Whose.
    pub athlete_id: AthleteId,
    /// The session that stays.
    pub session_id: Uuid,
    /// What they say their password is.
    pub current: Secret,
    /// What it is to be.
    pub new: NewPassword,
    /// Where the request came from.
    pub origin: Origin,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is the new one.
    Done,
    /// The current one is another.
    WrongPassword,
    /// The account changed meanwhile.
    Conflict,
}

impl SignIn {
    /// Changes a password. Guessing the current one is slowed down as guessing at the door is.
    pub async fn change_password(&self, change: PasswordChange) -> Result<Changed, AccountError> {
        let (athlete_id, origin) = (change.athlete_id.0, change.origin.clone());
        let tried = self.throttle.begin(Subject::password_of(athlete_id), &origin).await??;
        match self.change(change).await {
            Ok(Changed::WrongPassword) => {
                let entry = Entry::by_athlete(AuditEvent::PasswordChangeFail, athlete_id, &origin);
                audit::note(&self.pool, entry).await;
                let lock = Entry::by_athlete(AuditEvent::LoginLock, athlete_id, &origin);
                self.failed(tried, lock, &origin).await;
                Ok(Changed::WrongPassword)
            }
            Ok(changed) => {
                said(self.throttle.succeeded(tried).await);
                Ok(changed)
            }
            Err(error) => {
                said(self.throttle.give_back(tried).await);
                Err(error)
            }
        }
    }

    async fn change(&self, change: PasswordChange) -> Result<Changed, AccountError> {
        let PasswordChange { athlete_id, session_id, current, new, origin } = change;
        let account = accounts::by_athlete(&self.pool, athlete_id.0).await?.filter(Account::is_active);
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let turn = self.passwords.turn().await?;
        let verdict = turn.verify(current.expose().to_owned(), stored).await?;
        let (Some(account), Verdict::Right { .. }) = (account, verdict) else { return Ok(Changed::WrongPassword) };
        let new_hash = turn.hash(new).await?;
        drop(turn);
        let mut transaction = self.pool.begin().await?;
        if !accounts::change_password(&mut transaction, &account, &new_hash).await? {
            return Ok(Changed::Conflict);
        }
        let ended =
            Sessions::end_others(&mut transaction, athlete_id.0, Some(session_id), EndedBy::PasswordChange).await?;
        let entry = Entry::by_athlete(AuditEvent::PasswordChange, athlete_id.0, &origin)
            .details(json!({"sessions_ended": ended.len()}));
        audit::record(&mut *transaction, entry).await?;
        transaction.commit().await?;
        self.sessions.announce(ended);
        Ok(Changed::Done)
    }
}
