//! Why a command to a workout is refused.
use thiserror::Error;

/// A refusal, stated plainly.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WorkoutRefusal {
    /// There is no such workout, or it is somebody else's: the two are not told apart.
    #[error("there is no such workout")]
    NotFound,
    /// The id was used before.
    #[error("a workout with this id already exists")]
    AlreadyExists,
    /// It was deleted; what is gone is not edited.
    #[error("the workout was deleted")]
    Deleted,
    /// A field contradicts the rules; the field's name and what it must be.
    #[error("{field} {must}")]
    Invalid {
        /// The field, as in the request.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
}
