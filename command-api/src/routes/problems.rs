//! The kinds of problem only this service has, and how its layers' errors become problems: one exhaustive match for each.
use std::time::Duration;

use fittrack_domain::{
    athlete::AthleteRefusal, measurement::MeasurementRefusal, privacy::PrivacyZonesRefusal, workout::WorkoutRefusal,
};
use fittrack_runtime::{
    pg,
    problem::{Kind, Problem},
};

use crate::{
    dispatch::DispatchError,
    identity::{AccountError, passwords::NoCapacity, throttle::TooManyTries},
    imports::{ImportError, zip::receive::NotReceived},
    jobs::JobError,
    store::LoadError,
};

/// Passwords are checked a few at a time.
pub const TEMPORARY_REDUCED_CAPACITY: Kind = Kind {
    slug: "temporary-reduced-capacity",
    title: "Temporarily reduced capacity",
    status: 503,
    meaning: "Too many requests of this costly kind are under way; try again after `Retry-After` seconds.",
};
/// An uploaded file holds no workout that can be stored.
pub const FILE_REFUSED: Kind = Kind {
    slug: "file-refused",
    title: "The file is refused",
    status: 422,
    meaning: "The uploaded file is damaged, is neither an activity file nor a zip that is taken in, or says something no workout can be; `errors` has the reason.",
};

/// This service's own kinds, for documentation and tests.
pub const KINDS: &[Kind] = &[TEMPORARY_REDUCED_CAPACITY, FILE_REFUSED];

/// How long a client should wait before it tries again what could not be done just now.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a rule's refusal is to the client.
pub trait Refusal: std::error::Error {
    /// The problem to answer with.
    fn problem(self) -> Problem;
}

impl Refusal for WorkoutRefusal {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound | Self::Deleted => Problem::not_found("there is no such workout"),
            Self::AlreadyExists => Problem::conflict("a workout with this id already exists"),
            Self::Invalid { field, must } => invalid(field, must),
        }
    }
}

impl Refusal for AthleteRefusal {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found("there is no such athlete"),
            Self::AlreadyRegistered => Problem::conflict("this athlete is already registered"),
            Self::Invalid { field, must } => invalid(field, must),
        }
    }
}

impl Refusal for MeasurementRefusal {
    fn problem(self) -> Problem {
        match self {
            Self::Invalid { field, must } => invalid(field, must),
        }
    }
}

impl Refusal for PrivacyZonesRefusal {
    fn problem(self) -> Problem {
        match self {
            Self::Invalid { field, must } => invalid(field, must),
        }
    }
}

fn invalid(field: &'static str, must: &'static str) -> Problem {
    Problem::invalid_body("a field of the body is refused").error(format_args!("/{field}"), "invalid_value", must)
}

/// What the client is told of a command that was not stored.
pub fn of_dispatch<R: Refusal>(error: DispatchError<R>) -> Problem {
    match error {
        DispatchError::Refused(refusal) => refusal.problem(),
        DispatchError::VersionMismatch { .. } => {
            Problem::precondition_failed("`If-Match` names another version than the current one")
        }
        DispatchError::FingerprintMismatch => {
            Problem::idempotency_key_reused("this `Idempotency-Key` was used for a different request")
        }
        DispatchError::Erased => account_is_gone(),
        DispatchError::Busy => Problem::conflict("others keep changing it at this moment; try again"),
        DispatchError::Overloaded => Problem::unavailable("too many commands are waiting to be stored", RETRY_AFTER),
        DispatchError::Unknown => Problem::unavailable(
            "it is not known whether the command was stored; send it again with the same `Idempotency-Key` to find out",
            RETRY_AFTER,
        ),
        DispatchError::Unavailable(cause) => {
            Problem::unavailable("the event store cannot be reached; nothing was stored", RETRY_AFTER).with_cause(cause)
        }
    }
}

/// What is answered to a token whose account was erased a moment ago.
fn account_is_gone() -> Problem {
    Problem::invalid_token("the athlete of this token is gone")
}

/// What the client is told when the store could not be read.
#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
pub fn of_load(error: LoadError) -> Problem {
    let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
    Problem::unavailable("the event store cannot be read at the moment", RETRY_AFTER).with_cause(cause)
}

/// What the client is told when a database of ours did not do as it should: 503 where it is away, else our fault.
pub fn of_database(error: sqlx::Error) -> Problem {
    if pg::is_unavailable(&error) {
        Problem::unavailable("a database cannot be reached at the moment", RETRY_AFTER).with_cause(error)
    } else {
        Problem::internal(error)
    }
}

impl From<NoCapacity> for Problem {
    fn from(no_capacity: NoCapacity) -> Self {
        Self::new(&TEMPORARY_REDUCED_CAPACITY, no_capacity.to_string()).retry_after(RETRY_AFTER)
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Busy => Self::conflict("the same is being done by another request at this moment; try again"),
            AccountError::KeyReused => {
                Self::idempotency_key_reused("this `Idempotency-Key` was used for a different registration")
            }
            AccountError::TooManyTries(TooManyTries(wait)) => Self::too_many_requests(
                "there were too many tries; the next may be made after `Retry-After` seconds",
                wait,
            ),
            AccountError::Capacity(no_capacity) => no_capacity.into(),
            AccountError::Dispatch(error) => of_dispatch(error),
            AccountError::Load(error) => of_load(error),
            AccountError::Database(error) => of_database(error),
            AccountError::Key(error) => Self::internal(error),
            AccountError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        let refused = |code: &'static str, detail: String| {
            Self::new(&FILE_REFUSED, "the file holds no workout that can be stored").error("", code, detail)
        };
        match error {
            ImportError::File(refusal) => refused(refusal.code(), refusal.to_string()),
            ImportError::Activity { leg, reason } => {
                refused("invalid_value", format!("activity {}: {reason}", leg + 1))
            }
            ImportError::Busy => {
                Self::conflict("the same activity is being imported from another file; try again later")
                    .retry_after(Duration::from_secs(5))
            }
            ImportError::Erased => account_is_gone(),
            ImportError::KeyReused => of_dispatch::<WorkoutRefusal>(DispatchError::FingerprintMismatch),
            ImportError::Dispatch(error) => of_dispatch(error),
            ImportError::Load(error) => of_load(error),
            ImportError::Database(error) => of_database(error),
            ImportError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl From<NotReceived<Self>> for Problem {
    fn from(error: NotReceived<Self>) -> Self {
        match error {
            NotReceived::Arriving(problem) => problem,
            NotReceived::Late => Self::bad_request("the zip did not arrive in time"),
            NotReceived::TooLong => Self::payload_too_large("the zip is longer than 2 GiB"),
            NotReceived::Refused(refusal) => {
                Self::new(&FILE_REFUSED, "the zip is not taken in").error("", refusal.code(), refusal.to_string())
            }
            NotReceived::OneAtATime => {
                Self::conflict("another zip of yours is being worked through; send this one when it is done")
                    .retry_after(Duration::from_secs(5))
            }
            NotReceived::Replaced => Self::conflict("another zip of yours came meanwhile and is taken in instead"),
            NotReceived::TooMany => Self::unavailable("too many zips wait to be worked through", RETRY_AFTER),
            NotReceived::KeyReused => of_dispatch::<WorkoutRefusal>(DispatchError::FingerprintMismatch),
            NotReceived::Failed(JobError::Database(error)) => of_database(error),
            NotReceived::Failed(error) => Self::internal(error),
        }
    }
}
