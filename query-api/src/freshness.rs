//! Reading one's own writes: a query with a consistency token waits until every read model it uses has come that far, or says
//! that it has not. Woken by notices; nobody polls but one reading of the checkpoints, shared by all who wait.
use std::time::Duration;

use fittrack_runtime::problem::{Kind, Problem};
use fittrack_runtime::shares::Shares;
use fittrack_schemas::consistency::ConsistencyToken;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::changes::Changes;
use crate::progress::Behind;
use crate::read_model::ReadModel;

/// How long a query waits for its token.
pub const MAX_WAIT: Duration = Duration::from_secs(2);
/// Of one athlete's queries so many may wait at once: an app asks for a page of things after one write.
const EACH: usize = 16;
/// Checkpoints are read this often while anybody waits, in case a notice is lost.
const SAFETY_READ: Duration = Duration::from_millis(50);
/// Who begins to wait shares a reading that is at most this old.
const FIRST_READ: Duration = Duration::from_millis(5);

/// The read models have not come as far as the token asks.
pub const NOT_CAUGHT_UP: Kind = Kind {
    slug: "not-caught-up",
    title: "The read models have not caught up",
    status: 503,
    meaning: "The consistency token names a write that is stored and not yet readable; ask again after `Retry-After` \
              seconds, or without the token for the present state.",
};

/// The waiting room: bounded, so that a projector that stands still cannot fill the process; and for each athlete, so that
/// nobody fills it for others, whose tokens are a moment from being met.
#[derive(Debug)]
pub struct Waits {
    places: Semaphore,
    of_athletes: Shares,
    longest: Duration,
}

impl Waits {
    /// A room for so many, each for at most `longest`.
    pub fn new(places: usize, longest: Duration) -> Self {
        Self { places: Semaphore::new(places), of_athletes: Shares::new(EACH), longest }
    }

    /// Returns when these read models have applied what the token names; 503 where they do not in time, and at once where too
    /// many wait, of all or of this athlete's.
    pub async fn until(
        &self,
        athlete: Uuid,
        token: &ConsistencyToken,
        models: &[ReadModel],
        changes: &Changes,
    ) -> Result<(), Problem> {
        let Some(behind) = changes.progress().behind(token, models) else { return Ok(()) };
        if changes.progress().is_foreign(token) {
            return Err(Problem::bad_request("the consistency token names a log partition that does not exist here"));
        }
        let full = || Problem::unavailable("too many queries wait for their consistency token", Duration::from_secs(1));
        let _share = self.of_athletes.take_now(athlete).ok_or_else(|| not_caught_up(behind))?;
        let _place = self.places.try_acquire().map_err(|_| full())?;
        let began = Instant::now();
        let waited = timeout_at(began + self.longest, caught_up(token, models, changes)).await;
        metrics::histogram!("fittrack_query_token_wait_seconds").record(began.elapsed().as_secs_f64());
        match (waited, changes.progress().behind(token, models)) {
            (Ok(()), _) | (_, None) => Ok(()),
            (Err(_), Some(behind)) => Err(not_caught_up(behind)),
        }
    }
}

async fn caught_up(token: &ConsistencyToken, models: &[ReadModel], changes: &Changes) {
    // While notices tell everything, the one that ends this wait is on its way; else the table may know already.
    if !changes.is_told() {
        look(changes, FIRST_READ).await;
    }
    loop {
        // Before looking, or a wake-up in between would be lost.
        let moved = changes.progress().moved.notified();
        tokio::pin!(moved);
        moved.as_mut().enable();
        if changes.progress().behind(token, models).is_none() {
            return;
        }
        if tokio::time::timeout(SAFETY_READ, moved).await.is_err() {
            look(changes, SAFETY_READ).await;
        }
    }
}

async fn look(changes: &Changes, recently: Duration) {
    if let Err(error) = changes.read_checkpoints(recently).await {
        tracing::debug!(%error, "checkpoints cannot be read; waiting for notices");
    }
}

fn not_caught_up(behind: Behind) -> Problem {
    let Behind { model, partition, applied, wanted } = behind;
    let detail = format!(
        "read model `{}` has applied position {applied} of log partition {partition} and the token asks for {wanted}: \
         {} events to go",
        model.name(),
        wanted - applied
    );
    Problem::new(&NOT_CAUGHT_UP, detail).retry_after(Duration::from_secs(1))
}
