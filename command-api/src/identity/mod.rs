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
