//! Who may sign in: accounts with their passwords, access tokens, and the saga that makes an account and its athlete together.
//! Not event-sourced (an address is unique by constraint, a password must be forgettable); see `schemas/identity/`.
pub mod accounts;
pub mod email;
pub mod passwords;
pub mod registration;
pub mod sweeper;
pub mod tokens;

use fittrack_domain::athlete::AthleteRefusal;

use crate::{dispatch::DispatchError, store::LoadError};
use passwords::NoCapacity;

/// Why an account could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Somebody else's account has the address.
    #[error("the e-mail address has an account")]
    EmailTaken,
    /// The idempotency key belongs to another registration of the address.
    #[error("the idempotency key was used for another registration")]
    KeyReused,
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
    /// Our fault.
    #[error("{0}")]
    Internal(String),
}
