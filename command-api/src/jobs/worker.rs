//! The loop that does jobs: woken when one was asked for here, looking every few seconds for what others left, one at a time.
use std::{future::Future, sync::Arc, time::Duration};

use metrics::counter;
use tokio::{sync::Notify, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{JobError, MAX_ATTEMPTS};

/// How often jobs of other processes are looked for.
const LOOK: Duration = Duration::from_secs(5);
/// How often finished jobs that are over are removed, in looks.
const SWEEP_EVERY: u32 = 60;
/// How long a job waits after an attempt that failed, times the attempts.
const PAUSE: Duration = Duration::from_secs(5);

/// What is done with a job whose attempt did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Nothing: it is somebody else's.
    LetGo,
    /// It is given back as if it had not been taken.
    GiveBack,
    /// It is tried again after a while.
    Postpone(Duration),
    /// It has failed; the words are for its athlete.
    Fail(String),
}

impl Then {
    /// Of a job that is tried again: how many attempts are forgiven, and how long it waits.
    pub fn again(&self) -> Option<(i32, Duration)> {
        match self {
            Self::GiveBack => Some((1, Duration::ZERO)),
            Self::Postpone(wait) => Some((0, *wait)),
            Self::LetGo | Self::Fail(_) => None,
        }
    }
}

/// Jobs of one kind.
pub trait Queue: Send + Sync {
    /// Their name in logs and metrics.
    const KIND: &'static str;
    /// A job that was taken.
    type Job: Send + Sync;

    /// Takes the next job, where there is one.
    fn take(&self) -> impl Future<Output = Result<Option<Self::Job>, sqlx::Error>> + Send;
    /// How often it was taken, this time included.
    fn attempts(job: &Self::Job) -> i32;
    /// Does it, and writes down that it is done.
    fn perform(&self, job: &Self::Job, stop: CancellationToken) -> impl Future<Output = Result<(), JobError>> + Send;
    /// Writes down what becomes of it.
    fn end(&self, job: &Self::Job, then: &Then) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
    /// Removes what is over.
    fn sweep(&self) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;
}

/// Does jobs until cancelled.
pub async fn run<Q: Queue>(queue: Q, woken: Arc<Notify>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0_u32;
    loop {
        tokio::select! {
            () = woken.notified() => {}
            _ = ticks.tick() => {
                if looks.is_multiple_of(SWEEP_EVERY) && let Err(error) = queue.sweep().await {
                    tracing::warn!(%error, kind = Q::KIND, "jobs that are over could not be swept");
                }
                looks = looks.wrapping_add(1);
            }
            () = stop.cancelled() => return,
        }
        while !stop.is_cancelled() {
            match work_once(&queue, &stop).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, kind = Q::KIND, "jobs could not be looked for");
                    break;
                }
            }
        }
    }
}

/// Takes and does one job; false where there was none.
pub async fn work_once<Q: Queue>(queue: &Q, stop: &CancellationToken) -> Result<bool, sqlx::Error> {
    let Some(job) = queue.take().await? else { return Ok(false) };
    let attempts = Q::attempts(&job);
    let done = if attempts > MAX_ATTEMPTS {
        // Taken and left so often without a word: it ends every process that does it.
        Err(JobError::GivenUp("it could not be done".to_owned()))
    } else {
        queue.perform(&job, stop.clone()).await
    };
    let outcome = match &done {
        Ok(()) => "done",
        Err(JobError::GivenUp(_)) => "given up",
        Err(_) => "not done",
    };
    counter!("fittrack_jobs_total", "kind" => Q::KIND, "outcome" => outcome).increment(1);
    if let Err(error) = done {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let then = then(error, attempts);
        tracing::warn!(kind = Q::KIND, attempts, ?then, ?source, "a job was not done");
        queue.end(&job, &then).await?;
    }
    Ok(true)
}

fn then(error: JobError, attempts: i32) -> Then {
    match error {
        JobError::Lost => Then::LetGo,
        JobError::Stopped => Then::GiveBack,
        JobError::GivenUp(reason) => Then::Fail(reason),
        JobError::Database(_) | JobError::Load(_) | JobError::Unfinished(_) if attempts < MAX_ATTEMPTS => {
            Then::Postpone(PAUSE * u32::try_from(attempts).unwrap_or(1))
        }
        JobError::Database(_) | JobError::Load(_) => Then::Fail("our databases could not be reached".to_owned()),
        JobError::Unfinished(reason) => {
            tracing::error!(reason, "a job fails for good");
            Then::Fail("a fault on our side; it has been logged".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_failed_is_made_again_a_few_times() {
        let unfinished = || JobError::Unfinished("odd".to_owned());
        assert_eq!(then(unfinished(), 1), Then::Postpone(PAUSE));
        assert_eq!(then(unfinished(), 4), Then::Postpone(PAUSE * 4));
        assert!(matches!(then(unfinished(), MAX_ATTEMPTS), Then::Fail(_)));
        assert!(matches!(then(JobError::Database(sqlx::Error::PoolTimedOut), MAX_ATTEMPTS), Then::Fail(_)));
        assert_eq!(then(JobError::GivenUp("no".to_owned()), 1), Then::Fail("no".to_owned()));
        assert_eq!((then(JobError::Stopped, 9), then(JobError::Lost, 9)), (Then::GiveBack, Then::LetGo));
    }
}
