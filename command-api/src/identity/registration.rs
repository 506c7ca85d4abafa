//! The saga of a registration, over two databases: a pending account, the athlete's event under the command id the account
//! names, the account made active. Each step may be repeated, so whoever comes back (the client with its key, the sweeper
//! without) goes through the same steps and finds those that were done.
use std::time::Duration;

use fittrack_domain::{
    aggregate::Context,
    athlete::{Athlete, AthleteCommand, AthleteRefusal, RegisterAthlete},
    ids::AthleteId,
    values::{DisplayName, TimeZone, ValueError, Visibility},
};
use fittrack_runtime::{clock, trace};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    AccountError,
    accounts::{self, Account, NewAccount},
    audit::{self, AuditEvent, Entry, Origin},
    decoys::{self, Decoy},
    email::Email,
    passwords::{NewPassword, Passwords, Turn, Verdict},
    sign_in::said,
    throttle::{Subject, Throttle},
};
use crate::{
    dispatch::{DispatchError, Dispatcher, Receipt, Request},
    store::{EventStore, append::Place},
};

/// A registration is answered at a whole number of these after it came. What an account needs that a decoy does not takes a few
/// milliseconds, and would tell which of the two it was.
const STEP: Duration = Duration::from_millis(50);

/// Somebody who wants an account.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// Their address.
    pub email: Email,
    /// Their password.
    pub password: NewPassword,
    /// What they want to be called.
    pub display_name: DisplayName,
    /// Where their days begin and end.
    pub time_zone: TimeZone,
    /// The command id their idempotency key names, where they gave one.
    pub keyed: Option<Uuid>,
    /// Where the request came from.
    pub origin: Origin,
}

/// Makes accounts.
#[derive(Clone)]
pub struct Registration {
    accounts: PgPool,
    dispatcher: Dispatcher,
    passwords: Passwords,
    throttle: Throttle,
}

/// What a registration came to; its client is told the same either way.
enum Outcome {
    /// The athlete is there.
    Registered(Receipt),
    /// The address has an account already.
    Decoy(Receipt),
}

impl Registration {
    /// Over the identity database and the event store.
    pub fn new(accounts: PgPool, dispatcher: Dispatcher, passwords: Passwords, throttle: Throttle) -> Self {
        Self { accounts, dispatcher, passwords, throttle }
    }

    /// The identity database.
    pub fn accounts(&self) -> &PgPool {
        &self.accounts
    }

    /// The event store.
    pub fn store(&self) -> &EventStore {
        self.dispatcher.store()
    }

    /// Makes the account and its athlete, or finishes and answers for what the same request began before. Where the address has an
    /// account, it makes nothing and answers as if it had (see [`super::decoys`]).
    pub async fn register(&self, newcomer: Newcomer) -> Result<Receipt, AccountError> {
        let started = Instant::now();
        // As at the door: who cannot be served costs the database nothing.
        let turn = self.passwords.turn().await?;
        let subject = Subject::registration(newcomer.email.as_str());
        let origin = newcomer.origin.clone();
        let tried = self.throttle.begin(subject, &origin).await??;
        let answer = match self.try_to_register(newcomer, turn).await {
            Ok(Outcome::Registered(receipt)) => Ok(receipt),
            Ok(Outcome::Decoy(receipt)) => {
                said(self.throttle.failed(tried, &origin).await);
                Ok(receipt)
            }
            Err(error) => {
                if !matches!(error, AccountError::KeyReused) {
                    said(self.throttle.give_back(tried).await);
                }
                Err(error)
            }
        };
        // Last, for what comes before it differs.
        sleep(until_the_next_step(started.elapsed())).await;
        answer
    }

    async fn try_to_register(&self, newcomer: Newcomer, turn: Turn) -> Result<Outcome, AccountError> {
        if let Some(account) = accounts::by_email(&self.accounts, &newcomer.email).await? {
            return self.again(&newcomer, account, turn).await;
        }
        let password_hash = turn.hash(newcomer.password.clone()).await?;
        let account = NewAccount {
            athlete_id: AthleteId(Uuid::now_v7()),
            email: newcomer.email.clone(),
            password_hash,
            command_id: newcomer.keyed.unwrap_or_else(Uuid::now_v7),
            display_name: newcomer.display_name.as_str().to_owned(),
            time_zone: newcomer.time_zone.name().to_owned(),
        };
        if !accounts::insert_pending(&self.accounts, &account).await? {
            let account = accounts::by_email(&self.accounts, &newcomer.email).await?;
            return self.again(&newcomer, account.ok_or(AccountError::Busy)?, turn).await;
        }
        drop(turn);
        let receipt = self
            .complete(
                account.athlete_id,
                account.command_id,
                newcomer.display_name,
                newcomer.time_zone,
                &newcomer.origin,
            )
            .await?;
        Ok(Outcome::Registered(receipt))
    }

    /// The steps that follow the pending row; done already, they change nothing.
    pub async fn finish(&self, account: &Account) -> Result<Receipt, AccountError> {
        let unreadable = |error: ValueError| {
            AccountError::Internal(format!("the pending account of {} cannot be read: {error}", account.athlete_id))
        };
        let display_name = DisplayName::parse(account.display_name.clone().unwrap_or_default()).map_err(unreadable)?;
        let time_zone = TimeZone::parse(account.time_zone.as_deref().unwrap_or_default()).map_err(unreadable)?;
        let athlete_id = AthleteId(account.athlete_id);
        self.complete(athlete_id, account.command_id, display_name, time_zone, &Origin::default()).await
    }

    /// The event under the command id, then the account made active. An address that is registered once more after its account was
    /// erased may come with the key of the first time, whose event is the erased athlete's: then nobody is registered.
    async fn complete(
        &self,
        athlete_id: AthleteId,
        command_id: Uuid,
        display_name: DisplayName,
        time_zone: TimeZone,
        origin: &Origin,
    ) -> Result<Receipt, AccountError> {
        let receipt = self.store_athlete(athlete_id, command_id, display_name, time_zone).await?;
        if receipt.stream_id != athlete_id.0 {
            accounts::remove_pending(&self.accounts, athlete_id.0).await?;
            return Err(AccountError::KeyReused);
        }
        self.activate(athlete_id.0, origin).await?;
        Ok(receipt)
    }

    async fn activate(&self, athlete_id: Uuid, origin: &Origin) -> Result<(), AccountError> {
        let mut transaction = self.accounts.begin().await?;
        if accounts::activate(&mut transaction, athlete_id).await? {
            audit::record(&mut *transaction, Entry::by_athlete(AuditEvent::UserCreated, athlete_id, origin)).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The address has an account: this request's own from before, or somebody's.
    async fn again(&self, newcomer: &Newcomer, account: Account, turn: Turn) -> Result<Outcome, AccountError> {
        if newcomer.keyed != Some(account.command_id) {
            return self.decoy(newcomer, account.athlete_id, turn).await.map(Outcome::Decoy);
        }
        let asked = fingerprint(&newcomer.display_name, newcomer.time_zone);
        same_password(newcomer, account.password_hash.clone(), turn).await?;
        if account.is_pending() {
            let stored = (account.display_name.as_deref(), account.time_zone.as_deref());
            if stored != (Some(newcomer.display_name.as_str()), Some(newcomer.time_zone.name())) {
                return Err(AccountError::KeyReused);
            }
            return self.finish(&account).await.map(Outcome::Registered);
        }
        let no_event = || AccountError::Internal(format!("the athlete of account {} has no event", account.athlete_id));
        let earlier = self.dispatcher.find_command(account.command_id).await?.ok_or_else(no_event)?;
        if earlier.metadata.fingerprint.as_ref() != Some(&asked) {
            return Err(AccountError::KeyReused);
        }
        Ok(Outcome::Registered(replayed(account.athlete_id, earlier.place)))
    }

    /// The answer for an address that has the account of `owner`.
    async fn decoy(&self, newcomer: &Newcomer, owner: Uuid, turn: Turn) -> Result<Receipt, AccountError> {
        let entry = Entry::anonymous(AuditEvent::UserCreateFail, &newcomer.origin).about(Some(owner));
        audit::note(&self.accounts, entry).await;
        let asked = fingerprint(&newcomer.display_name, newcomer.time_zone);
        if let Some(command_id) = newcomer.keyed
            && let Some(earlier) = decoys::find(&self.accounts, command_id).await?
        {
            same_password(newcomer, earlier.password_hash, turn).await?;
            if earlier.fingerprint != asked {
                return Err(AccountError::KeyReused);
            }
            let place = Place { version: 1, partition: earlier.partition, position: earlier.position };
            return Ok(replayed(earlier.athlete_id, place));
        }
        let athlete_id = Uuid::now_v7();
        let password_hash = turn.hash(newcomer.password.clone()).await?;
        drop(turn);
        let partition = self.dispatcher.store().partition_of(athlete_id);
        let position = self.dispatcher.store().head(partition).await?.max(1);
        if let Some(command_id) = newcomer.keyed {
            let decoy = Decoy { command_id, athlete_id, password_hash, fingerprint: asked, partition, position };
            if !decoys::remember(&self.accounts, &decoy).await? {
                return Err(AccountError::Busy);
            }
        }
        Ok(Receipt { replayed: false, ..replayed(athlete_id, Place { version: 1, partition, position }) })
    }

    async fn store_athlete(
        &self,
        athlete_id: AthleteId,
        command_id: Uuid,
        display_name: DisplayName,
        time_zone: TimeZone,
    ) -> Result<Receipt, AccountError> {
        let request = Request::<Athlete> {
            stream_id: athlete_id.0,
            owner_id: athlete_id,
            fingerprint: Some(fingerprint(&display_name, time_zone)),
            command: AthleteCommand::RegisterAthlete(RegisterAthlete { athlete_id, display_name, time_zone }),
            context: Context {
                now: clock::now(),
                actor: athlete_id,
                time_zone,
                default_visibility: Visibility::default(),
            },
            command_id,
            keyed: false,
            precondition: None,
            traceparent: trace::current().map(trace::TraceContext::to_traceparent),
            correlation_id: None,
        };
        match self.dispatcher.dispatch(request).await {
            Ok(receipt) => Ok(receipt),
            // Ids are never given out twice, so another command can have made this athlete only by an operator's hand.
            Err(DispatchError::Refused(AthleteRefusal::AlreadyRegistered)) => {
                Err(AccountError::Internal(format!("athlete {athlete_id} was registered by another command")))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The password is part of the request, and it must not be written down as a fast hash to compare it with.
async fn same_password(newcomer: &Newcomer, stored: String, turn: Turn) -> Result<(), AccountError> {
    match turn.verify(newcomer.password.expose().to_owned(), Some(stored)).await? {
        Verdict::Right { .. } => Ok(()),
        Verdict::Wrong => Err(AccountError::KeyReused),
    }
}

/// Identifies a registration by what its event says; neither address nor password is in it.
fn fingerprint(display_name: &DisplayName, time_zone: TimeZone) -> String {
    hex::encode(Sha256::digest(format!("register\n{}\n{}", time_zone.name(), display_name.as_str())))
}

fn replayed(athlete_id: Uuid, place: Place) -> Receipt {
    Receipt {
        stream_id: athlete_id,
        version: place.version,
        partition: place.partition,
        position: place.position,
        replayed: true,
        changed: true,
    }
}

/// From then until the next whole number of steps.
fn until_the_next_step(elapsed: Duration) -> Duration {
    let steps = elapsed.as_millis() / STEP.as_millis() + 1;
    let next = STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
    next.saturating_sub(elapsed).min(STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_at_whole_numbers_of_steps() {
        for (elapsed_ms, wait_ms) in [(0, 50), (1, 49), (17, 33), (49, 1), (50, 50), (51, 49), (1_234, 16)] {
            let wait = until_the_next_step(Duration::from_millis(elapsed_ms));
            assert_eq!(wait, Duration::from_millis(wait_ms), "after {elapsed_ms} ms");
        }
    }
}
