//! Group commit: a lane owns one connection and stores all that waits for it in one transaction, one fsync.
//!
//! There is no timer: an idle lane stores a batch of one at once, a busy one stores what has gathered meanwhile. The queue
//! is bounded; what does not fit is refused at once. Each append gets its own answer, and only after COMMIT.
use std::{sync::Arc, time::Duration};

use metrics::{counter, histogram};
use sqlx::{ConnectOptions, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    append::{self, Append, Outcome},
    wake::Wake,
};

/// How many appends may wait for one lane.
const QUEUE_APPENDS: usize = 4096;
/// How many appends go into one transaction.
const BATCH_APPENDS: usize = 512;
/// About how many bytes go into one transaction.
const BATCH_BYTES: usize = 1024 * 1024;
/// How long the outcome of a cut connection is looked for before the caller is told that it is unknown.
const RESOLVE_FOR: Duration = Duration::from_secs(5);
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one statement of an append may take.
const STATEMENT: Duration = Duration::from_secs(30);
/// What `append_events` says of an owner whose account was erased.
const LOG_IS_CLOSED: &str = "FT001";

/// Why an append has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The lane's queue is full; nothing was stored.
    #[error("the event store has more waiting than it can take")]
    Overloaded,
    /// The event store cannot be reached; nothing was stored.
    #[error("the event store cannot be reached")]
    Unavailable,
    /// The connection broke during COMMIT and the outcome could not be looked up in time.
    #[error("the event store did not say whether it stored the command")]
    Unknown,
    /// The owner's log is closed for good: the account was erased. Nothing was stored.
    #[error("the owner's log is closed")]
    Closed,
    /// The database refuses this very append; nothing was stored.
    #[error("the event store refused the append: {0}")]
    Rejected(String),
}

type Answer = Result<Outcome, AppendError>;

struct Waiting {
    append: Append,
    answer: oneshot::Sender<Answer>,
}

/// The sending side of a lane.
#[derive(Clone)]
pub struct Lane {
    queue: mpsc::Sender<Waiting>,
}

impl Lane {
    /// Stores one command. Resolves after COMMIT, or when it is known that it will not be stored.
    pub async fn append(&self, append: Append) -> Answer {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Waiting { append, answer }) {
            Ok(()) => answered.await.unwrap_or(Err(AppendError::Unknown)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(AppendError::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(AppendError::Unavailable),
        }
    }
}

/// The working side of a lane.
pub struct LaneWorker {
    /// Says how to log in at the moment; connections of it are not taken.
    pool: PgPool,
    connection: Option<PgConnection>,
    queue: mpsc::Receiver<Waiting>,
    wake: Arc<Wake>,
}

/// A lane and its worker, which somebody has to [`LaneWorker::run`]; it logs in as `pool` does.
pub fn lane(pool: PgPool, wake: Arc<Wake>) -> (Lane, LaneWorker) {
    let (sender, queue) = mpsc::channel(QUEUE_APPENDS);
    (Lane { queue: sender }, LaneWorker { pool, connection: None, queue, wake })
}

impl LaneWorker {
    /// Works until cancelled, then stores what still waits and ends.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut waiting = Vec::with_capacity(BATCH_APPENDS);
        loop {
            if waiting.is_empty() {
                tokio::select! {
                    biased;
                    taken = self.queue.recv_many(&mut waiting, BATCH_APPENDS) => if taken == 0 { return },
                    () = stop.cancelled() => self.queue.close(),
                }
            }
            while waiting.len() < BATCH_APPENDS
                && let Ok(more) = self.queue.try_recv()
            {
                waiting.push(more);
            }
            let batch = first_batch(&mut waiting);
            if !batch.is_empty() {
                self.store(batch).await;
            }
        }
    }

    async fn store(&mut self, batch: Vec<Waiting>) {
        let started = Instant::now();
        histogram!("fittrack_append_batch_events").record(batch.len() as f64);
        let answers = self.outcomes(&batch).await;
        histogram!("fittrack_append_batch_seconds").record(started.elapsed().as_secs_f64());
        let stored = answers.iter().zip(&batch).filter(|(answer, _)| matches!(answer, Ok(Outcome::Stored(_))));
        self.wake.ring(stored.map(|(_, waiting)| waiting.append.partition));
        for (waiting, answer) in batch.into_iter().zip(answers) {
            count(&answer);
            // A caller that went away does not change what was stored.
            let _gone = waiting.answer.send(answer);
        }
    }

    /// One answer per append, whatever happens.
    async fn outcomes(&mut self, batch: &[Waiting]) -> Vec<Answer> {
        let appends: Vec<&Append> = batch.iter().map(|waiting| &waiting.append).collect();
        match self.append_resolving(&appends).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error @ (AppendError::Rejected(_) | AppendError::Closed)) if appends.len() == 1 => vec![Err(error)],
            // One of them is poison or too late, or two of them collide on a stream across partitions: each on its own then.
            Err(error @ (AppendError::Rejected(_) | AppendError::Closed)) => {
                tracing::warn!(
                    %error,
                    appends = appends.len(),
                    "a batch was refused; storing each of its appends alone"
                );
                let mut answers = Vec::with_capacity(appends.len());
                for append in appends {
                    answers.push(self.append_resolving(&[append]).await.map(|mut outcomes| outcomes.remove(0)));
                }
                answers
            }
            Err(error) => appends.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// Appends; when the connection breaks, appends again on a new one. The command ids make the second time find what the
    /// first time stored, and the partition locks make it wait for a first time that is still under way.
    async fn append_resolving(&mut self, appends: &[&Append]) -> Result<Vec<Outcome>, AppendError> {
        let mut sent_at: Option<Instant> = None;
        loop {
            let connection = match self.connected().await {
                Ok(connection) => connection,
                Err(error) => match sent_at {
                    None => {
                        tracing::warn!(%error, "the event store cannot be reached");
                        return Err(AppendError::Unavailable);
                    }
                    Some(sent_at) if sent_at.elapsed() > RESOLVE_FOR => return Err(AppendError::Unknown),
                    Some(_) => {
                        sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            match append::append(connection, appends).await {
                Ok(outcomes) => return Ok(own_duplicates_are_stored(outcomes, appends)),
                Err(sqlx::Error::Database(error)) if !is_connection_lost(error.code().as_deref()) => {
                    if is_worth_repeating(error.code().as_deref())
                        && sent_at.is_none_or(|sent_at| sent_at.elapsed() < RESOLVE_FOR)
                    {
                        sent_at.get_or_insert_with(Instant::now);
                        continue;
                    }
                    return Err(match error.code().as_deref() {
                        Some(LOG_IS_CLOSED) => AppendError::Closed,
                        _ => AppendError::Rejected(error.to_string()),
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, appends = appends.len(), "the connection broke during an append; asking again");
                    self.connection = None;
                    let sent_at = *sent_at.get_or_insert_with(Instant::now);
                    if sent_at.elapsed() > RESOLVE_FOR {
                        return Err(AppendError::Unknown);
                    }
                }
            }
        }
    }

    /// Those of the pool at this moment: a password that has changed is known to the pool alone.
    fn options(&self) -> PgConnectOptions {
        let options = (*self.pool.connect_options()).clone().application_name("command-api-append");
        options.options([("statement_timeout", format!("{}ms", STATEMENT.as_millis()))])
    }

    async fn connected(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => timeout(CONNECT_TIMEOUT, self.options().connect())
                .await
                .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))?,
        };
        Ok(self.connection.insert(connection))
    }
}

/// Takes from the front what fits into one transaction: always something when there is something.
fn first_batch(waiting: &mut Vec<Waiting>) -> Vec<Waiting> {
    let mut bytes = 0;
    let fits = waiting.iter().take_while(|next| {
        let is_first = bytes == 0;
        bytes += next.append.bytes();
        is_first || bytes <= BATCH_BYTES
    });
    let fits = fits.count();
    waiting.drain(..fits).collect()
}

/// A duplicate with the event ids of this very append is this append, stored by an attempt whose answer was lost.
fn own_duplicates_are_stored(outcomes: Vec<Outcome>, appends: &[&Append]) -> Vec<Outcome> {
    let own = |earlier: &append::Earlier, append: &Append| {
        append.events.first().is_some_and(|event| Some(event.event_id) == earlier.first_event_id)
    };
    outcomes
        .into_iter()
        .zip(appends)
        .map(|(outcome, append)| match outcome {
            Outcome::Duplicate(earlier) if own(&earlier, append) => Outcome::Stored(earlier.place),
            other => other,
        })
        .collect()
}

/// The server went away (class 57P, 08) rather than refused.
fn is_connection_lost(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("08") || code.starts_with("57P"))
}

/// A deadlock or serialisation failure: nothing was stored, and the next time may go well.
fn is_worth_repeating(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("40"))
}

fn count(answer: &Answer) {
    let outcome = match answer {
        Ok(Outcome::Stored(_)) => "stored",
        Ok(Outcome::Duplicate(_)) => "duplicate",
        Ok(Outcome::Conflict { .. }) => "conflict",
        Err(AppendError::Overloaded) => "overloaded",
        Err(AppendError::Unavailable) => "unavailable",
        Err(AppendError::Unknown) => "unknown",
        Err(AppendError::Closed) => "closed",
        Err(AppendError::Rejected(_)) => "rejected",
    };
    counter!("fittrack_appends_total", "outcome" => outcome).increment(1);
}
