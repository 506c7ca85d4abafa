//! Why a command to an athlete is refused.
use thiserror::Error;

/// A refusal, stated plainly.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AthleteRefusal {
    /// The id is taken.
    #[error("this athlete is already registered")]
    AlreadyRegistered,
    /// There is no such athlete, or it is not the one who asks.
    #[error("there is no such athlete")]
    NotFound,
    /// A required field was cleared or left its bounds; the field's name and what it must be.
    #[error("{field} {must}")]
    Invalid {
        /// The field, as in the request.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
}
