//! An athlete leaves: the password is checked, then the account is closed for good and its erasure asked for, all or nothing. What
//! follows is the business of [`crate::erasure`].
use fittrack_domain::ids::AthleteId;

use super::{
    AccountError,
    accounts::{self, Account},
    audit::{self, AuditEvent, Entry, Origin},
    passwords::Verdict,
    sign_in::{SignIn, said},
    throttle::Subject,
};
use crate::erasure::request::{By, Requested, request};

impl SignIn {
    /// Closes an athlete's own account for good, if the password is theirs; `None` where it is another. Guessing it is slowed
    /// down as guessing at the door is.
    pub async fn erase_account(
        &self,
        athlete_id: AthleteId,
        password: String,
        origin: &Origin,
    ) -> Result<Option<Requested>, AccountError> {
        let tried = self.throttle.begin(Subject::password_of(athlete_id.0), origin).await??;
        match self.erase(athlete_id, password, origin).await {
            Ok(Some(requested)) => {
                said(self.throttle.succeeded(tried).await);
                self.sessions.announce(requested.ended.clone());
                Ok(Some(requested))
            }
            Ok(None) => {
                audit::note(&self.pool, Entry::by_athlete(AuditEvent::UserDeleteFail, athlete_id.0, origin)).await;
                self.failed(tried, Entry::by_athlete(AuditEvent::LoginLock, athlete_id.0, origin), origin).await;
                Ok(None)
            }
            Err(error) => {
                said(self.throttle.give_back(tried).await);
                Err(error)
            }
        }
    }

    async fn erase(
        &self,
        athlete_id: AthleteId,
        password: String,
        origin: &Origin,
    ) -> Result<Option<Requested>, AccountError> {
        let account = accounts::by_athlete(&self.pool, athlete_id.0).await?.filter(Account::is_active);
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let verdict = self.passwords.verify(password, stored).await?;
        let (Some(account), Verdict::Right { .. }) = (account, verdict) else { return Ok(None) };
        let mut transaction = self.pool.begin().await?;
        // The password may have been changed since it was checked, by its owner against whoever asks for this.
        if !accounts::is_unchanged(&mut transaction, &account).await? {
            return Err(AccountError::Busy);
        }
        let requested = request(&mut transaction, athlete_id.0, By::Athlete, origin).await?;
        transaction.commit().await?;
        Ok(Some(requested))
    }
}
