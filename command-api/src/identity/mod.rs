//! Who may sign in: accounts with their passwords, sessions with their tokens, and the saga that makes an account and its
//! athlete together. What happens to them is in the [`audit`] log. Not event-sourced (an address is unique by constraint, a
//! password must be forgettable); see `schemas/identity/`.
pub mod accounts;
pub mod administration;
pub mod api_keys;
pub mod audit;
pub mod decoys;
pub mod email;
pub mod ended;
mod leaving;
pub mod notes;
pub mod password_change;
pub mod passwords;
pub mod registration;
pub mod secrets;
pub mod sessions;
pub mod sign_in;
pub mod sweeper;
pub mod throttle;
pub mod tokens;

use fittrack_domain::athlete::AthleteRefusal;
use fittrack_runtime::keys::KeyError;

use crate::{dispatch::DispatchError, store::LoadError};
use passwords::NoCapacity;
use throttle::TooManyTries;

/// Why an account could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The same thing is being done by somebody else at this moment.
    #[error("another request does the same at this moment")]
    Busy,
    /// The idempotency key belongs to another registration of the address.
    #[error("the idempotency key was used for another registration")]
    KeyReused,
    /// Too many tries.
    #[error(transparent)]
    TooManyTries(#[from] TooManyTries),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Capacity(#[from] NoCapacity),
    /// The athlete's event was not stored.
    #[error(transparent)]
    Dispatch(#[from] DispatchError<AthleteRefusal>),
    /// The event store could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The identity database.
    #[error("the identity database failed")]
    Database(#[from] sqlx::Error),
    /// An access token could not be signed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Our fault.
    #[error("{0}")]
    Internal(String),
}

#[cfg(test)]
mod tests {
    use fittrack_domain::ids::AthleteId;
    use fittrack_runtime::config::Secret;
    use uuid::Uuid;

    use super::*;

    const HUSH: &str = "correct horse battery";

    #[test]
    fn what_opens_something_is_not_in_what_is_printed_of_it() {
        let (id, hush) = (Uuid::nil(), || Secret::new(HUSH));
        let account = accounts::Account {
            athlete_id: id,
            password_hash: HUSH.into(),
            status: "active".into(),
            command_id: id,
            display_name: None,
            time_zone: None,
            password_changes: 0,
            one_time_until: None,
        };
        let new_account = accounts::NewAccount {
            athlete_id: AthleteId(id),
            email: email::Email::parse("ann@example.org").unwrap(),
            password_hash: HUSH.into(),
            command_id: id,
            display_name: String::new(),
            time_zone: String::new(),
        };
        let decoy = decoys::Decoy {
            command_id: id,
            athlete_id: id,
            password_hash: HUSH.into(),
            fingerprint: String::new(),
            partition: 0,
            position: 1,
        };
        let change = password_change::PasswordChange {
            athlete_id: AthleteId(id),
            session_id: uuid::Uuid::nil(),
            current: hush(),
            new: passwords::NewPassword::parse(HUSH).unwrap(),
            origin: audit::Origin::default(),
        };
        let refresh_token = secrets::OpaqueSecret::generate();
        let refresh_text = refresh_token.expose();
        let pair = sessions::Pair { access_token: hush(), refresh_token };
        let exchanged = api_keys::Exchanged { access_token: hush(), expires_in: 600, scope: "read".into() };
        let printed = format!("{account:?} {new_account:?} {decoy:?} {change:?} {pair:?} {exchanged:?} {:?}", hush());
        for secret in [HUSH, &refresh_text, "ann@"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        assert!(printed.contains("active"), "{printed}");
    }
}
