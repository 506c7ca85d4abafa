//! One owner's rows of one build, folded anew from the event store: to mend damaged rows (`projectors rebuild NAME --owner
//! ID`, or of everybody in a span of the log), to find out whether they are damaged (`--dry-run`), and to show how a row came about ([`crate::explain`]).
use std::collections::BTreeSet;

use fittrack_domain::partition::partition_of;
use fittrack_schemas::envelope::StoredEvent;
use sqlx::{Connection, FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    audit::{self, Action, Operator, Subject},
    builds, erasure, event_log,
    notices::Notices,
    parking::{RefoldError, sql},
    registry::Built,
};

/// One statement looks at so many positions of the log, however few of them are the owner's.
const SPAN: i64 = 100_000;

/// Why the rows are as they were.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// An event cannot be applied (the owner is parked, or will be), or a database fails.
    #[error("an owner's events cannot be folded (see `projectors parked show`): {0}")]
    Refold(#[from] RefoldError),
    /// No worker of this projection has ever been there.
    #[error("{0} has no checkpoint in log partition {1}: run the projectors first")]
    NeverRan(String, i32),
}

impl From<sqlx::Error> for OwnerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Refold(error.into())
    }
}

/// What is in an owner's rows.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Contents {
    /// How many there are.
    pub rows: i64,
    /// A hash over all their columns.
    pub hash: String,
}

/// What folding anew came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// How many events of the owner the projection wants.
    pub events: i64,
    /// The rows as they were.
    pub before: Contents,
    /// The rows as the log says.
    pub after: Contents,
}

impl Rebuilt {
    /// Whether the rows were what the log says.
    pub fn is_unchanged(&self) -> bool {
        self.before == self.after
    }
}

/// Whether anything is kept.
pub enum Mode<'a> {
    /// Everything is rolled back.
    DryRun,
    /// The rows are replaced; who decided it is recorded, and readers are told.
    Replace(&'a Operator, &'a Notices),
}

/// Folds an owner's events up to the checkpoint anew. The partition is taken from its worker meanwhile, so that no batch is
/// lost between the rows and the checkpoint; what was parked of the owner is applied with the rest.
pub async fn rebuild(
    store: &PgPool,
    connection: &mut PgConnection,
    built: Built,
    owner_id: Uuid,
    mode: Mode<'_>,
) -> Result<Rebuilt, OwnerError> {
    let worker = built.worker();
    let mut transaction = connection.begin().await?;
    let mut pages = Pages::fenced(store, &mut transaction, built, owner_id).await?;
    let (partition, checkpoint) = (pages.partition, pages.upto);
    let before = contents(&mut transaction, built, owner_id).await?;
    clear(&mut transaction, built, owner_id).await?;
    let mut events = 0;
    while let Some(page) = pages.next(store, built).await? {
        built.refold(&mut transaction, &page).await.map_err(RefoldError::from)?;
        events += i64::try_from(page.len()).unwrap_or(i64::MAX);
    }
    if pages.is_erased {
        clear(&mut transaction, built, owner_id).await?;
    }
    let after = contents(&mut transaction, built, owner_id).await?;
    let rebuilt = Rebuilt { events, before, after };
    let Mode::Replace(operator, notices) = mode else {
        transaction.rollback().await?;
        return Ok(rebuilt);
    };
    sql::delete(&mut transaction, &worker, partition, owner_id).await?;
    let subject = Subject::of_owner(&worker, partition, owner_id);
    audit::record(&mut transaction, operator, Action::OwnerRebuilt, subject, Some(events)).await?;
    let shown = builds::is_shown(&mut transaction, built.build).await?;
    transaction.commit().await?;
    if shown {
        notices.give(&built.notice(vec![(partition, checkpoint)], Some(vec![owner_id])));
    }
    Ok(rebuilt)
}

const OF_SPAN: &str = "
SELECT DISTINCT owner_id FROM events
WHERE partition = $1 AND position >= $2 AND position < $2 + $3 ORDER BY owner_id";

/// Everybody who has an event in this log partition from this position on.
pub async fn of_span(store: &PgPool, partition: i32, since: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    let heads = event_log::heads(store, &[partition]).await?.map(|heads| heads.heads).unwrap_or_default();
    let head = heads.first().map_or(0, |(_, head)| *head);
    let (mut owners, mut from) = (BTreeSet::new(), since.max(1));
    while from <= head {
        let some: Vec<Uuid> =
            sqlx::query_scalar(OF_SPAN).bind(partition).bind(from).bind(SPAN).fetch_all(store).await?;
        owners.extend(some);
        from += SPAN;
    }
    Ok(owners.into_iter().collect())
}

/// Removes an owner's rows; the caller's transaction brings them back, folded or rolled back.
pub(crate) async fn clear(transaction: &mut PgConnection, built: Built, owner_id: Uuid) -> Result<(), sqlx::Error> {
    let sql = format!("DELETE FROM {} WHERE athlete_id = $1", built.table());
    sqlx::query(&sql).bind(owner_id).execute(transaction).await?;
    Ok(())
}

async fn contents(transaction: &mut PgConnection, built: Built, owner_id: Uuid) -> Result<Contents, sqlx::Error> {
    let sql = format!(
        "SELECT count(*) AS rows, coalesce(md5(string_agg(to_jsonb(r)::text, ',' ORDER BY to_jsonb(r)::text)), '') AS hash
         FROM {} r WHERE r.athlete_id = $1",
        built.table()
    );
    sqlx::query_as(&sql).bind(owner_id).fetch_one(transaction).await
}

/// An owner's events that a projection wants, span by span of the log.
pub(crate) struct Pages {
    /// The owner's log partition.
    pub partition: i32,
    /// Whose.
    pub owner_id: Uuid,
    /// What was read already.
    pub after: i64,
    /// The last position to be read.
    pub upto: i64,
    /// Whether the owner was found to have left.
    pub is_erased: bool,
}

const OF_OWNER: &str = "
SELECT partition, position, aggregate_type, aggregate_id, sequence, owner_id, event_id, event_type, event_version, payload,
       metadata, command_id, occurred_at, recorded_at
FROM events WHERE partition = $1 AND position > $2 AND position <= $3 AND owner_id = $4 ORDER BY position";

impl Pages {
    /// Takes the owner's partition from its worker until the end of the transaction; the pages go up to its checkpoint.
    pub async fn fenced(
        store: &PgPool,
        transaction: &mut PgConnection,
        built: Built,
        owner_id: Uuid,
    ) -> Result<Self, OwnerError> {
        let partition = partition_of(owner_id, event_log::partitions(store).await?);
        let fenced = sql::fence(transaction, &built.worker(), &[partition]).await?;
        let never_ran = || OwnerError::NeverRan(built.worker(), partition);
        let (_, upto) = fenced.first().copied().ok_or_else(never_ran)?;
        Ok(Self { partition, owner_id, after: 0, upto, is_erased: false })
    }

    /// The events of the next span, which may be none; `None` at the end.
    pub async fn next(&mut self, store: &PgPool, built: Built) -> Result<Option<Vec<StoredEvent>>, sqlx::Error> {
        if self.after >= self.upto {
            return Ok(None);
        }
        let end = self.upto.min(self.after + SPAN);
        let mut events: Vec<StoredEvent> = sqlx::query_as(OF_OWNER)
            .bind(self.partition)
            .bind(self.after)
            .bind(end)
            .bind(self.owner_id)
            .fetch_all(store)
            .await?;
        self.is_erased |= events.iter().any(|event| erasure::is_farewell(&event.event_type));
        events.retain(|event| built.wants(&event.event_type));
        self.after = end;
        Ok(Some(events))
    }
}
