//! Long work outside requests: exports and imports of zips. A job is a row; a worker takes one at a time by a lease, and whoever
//! takes over from one that died begins again or goes on. Zips are in pieces of 1 MiB in the database and never in memory whole.
//!
//! The work itself is plain code on a thread of its own that waits for the database where it must: reading and writing zips is
//! computing, and a thread may take as long as it likes.
pub mod pieces;
pub mod turns;
pub mod worker;

use std::{future::Future, io, time::Duration};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use zip::result::ZipError;

use crate::store::LoadError;

/// How long a worker keeps a job without a sign of life.
pub const LEASE: Duration = Duration::from_secs(120);
/// How often it gives one.
pub const BEAT: Duration = Duration::from_secs(15);
/// After so many attempts a job fails for good.
pub const MAX_ATTEMPTS: i32 = 5;
/// The longest zip that is made or taken in, in bytes: what was exported can be imported.
pub const MAX_ZIP_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// The most entries of a zip that is made or taken in.
pub const MAX_ENTRIES: usize = 200_000;

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It never will be; the words are for its athlete.
    #[error("{0}")]
    GivenUp(String),
    /// Somebody else has it, or it is gone.
    #[error("the job was taken over or removed")]
    Lost,
    /// The process is stopping.
    #[error("the process is stopping")]
    Stopped,
    /// A database failed; later it may not.
    #[error("a database failed")]
    Database(#[from] sqlx::Error),
    /// The event store could not be read; later it may.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Anything else that may be better later.
    #[error("{0}")]
    Unfinished(String),
}

/// An error of ours comes back as it went through a reader or writer.
impl From<io::Error> for JobError {
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(|error| Self::Unfinished(error.to_string()))
    }
}

impl From<ZipError> for JobError {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) => error.into(),
            error => Self::Unfinished(error.to_string()),
        }
    }
}

impl From<JobError> for io::Error {
    fn from(error: JobError) -> Self {
        Self::other(error)
    }
}

/// The thread of a job: waits for the runtime's futures, and hears when the process is stopping.
#[derive(Debug, Clone)]
pub struct Thread {
    runtime: Handle,
    stop: CancellationToken,
}

impl Thread {
    /// For a job that is about to begin on a thread of its own.
    pub fn new(stop: CancellationToken) -> Self {
        Self { runtime: Handle::current(), stop }
    }

    /// Waits for it; not for use on the runtime's own threads.
    pub fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// An error once the process is stopping.
    pub fn go_on(&self) -> Result<(), JobError> {
        if self.stop.is_cancelled() { Err(JobError::Stopped) } else { Ok(()) }
    }
}
