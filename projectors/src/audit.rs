//! What operators decided, and why (`projectors audit`): recorded in the transaction that carries a decision out, so that
//! neither is there without the other.
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Who decides, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// A name that the others on duty know.
    pub name: String,
    /// Why, in a sentence.
    pub reason: Option<String>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Parked events were applied.
    ParkedRetried,
    /// Parked events were given up.
    ParkedDiscarded,
    /// An owner's rows were folded anew.
    OwnerRebuilt,
    /// A build was begun, or taken up again.
    RebuildBegun,
    /// A build was loaded and has caught up.
    RebuildDone,
    /// Readers see this build now.
    Promoted,
    /// Readers see this build again.
    RolledBack,
    /// A build was dropped.
    Retired,
}

impl Action {
    /// Its name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ParkedRetried => "parked_retried",
            Self::ParkedDiscarded => "parked_discarded",
            Self::OwnerRebuilt => "owner_rebuilt",
            Self::RebuildBegun => "rebuild_begun",
            Self::RebuildDone => "rebuild_done",
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled_back",
            Self::Retired => "retired",
        }
    }
}

/// What a decision is about: a build, or one owner's events in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    worker: &'a str,
    owner: Option<(i32, Uuid)>,
}

impl<'a> Subject<'a> {
    /// A build as a whole.
    pub fn of_build(worker: &'a str) -> Self {
        Self { worker, owner: None }
    }

    /// One owner in a build, with their log partition.
    pub fn of_owner(worker: &'a str, partition: i32, owner_id: Uuid) -> Self {
        Self { worker, owner: Some((partition, owner_id)) }
    }
}

const RECORD: &str = "
INSERT INTO operator_actions (decided_by, action, worker, partition, owner_id, events, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Records a decision, about so many events where that is known; part of the transaction that carries it out.
pub async fn record(
    transaction: &mut PgConnection,
    operator: &Operator,
    action: Action,
    subject: Subject<'_>,
    events: Option<i64>,
) -> Result<(), sqlx::Error> {
    sqlx::query(RECORD)
        .bind(&operator.name)
        .bind(action.as_str())
        .bind(subject.worker)
        .bind(subject.owner.map(|(partition, _)| partition))
        .bind(subject.owner.map(|(_, owner_id)| owner_id))
        .bind(events)
        .bind(&operator.reason)
        .execute(transaction)
        .await?;
    Ok(())
}

/// A recorded decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Entry {
    /// When.
    pub decided_at: DateTime<Utc>,
    /// Who.
    pub decided_by: String,
    /// What: `parked_retried`, `promoted` ...
    pub action: String,
    /// The build.
    pub worker: String,
    /// The log partition, where it is about one owner.
    pub partition: Option<i32>,
    /// Whose events.
    pub owner_id: Option<Uuid>,
    /// How many, where that is known.
    pub events: Option<i64>,
    /// Why.
    pub reason: Option<String>,
}

const NEWEST: &str = "
SELECT decided_at, decided_by, action, worker, partition, owner_id, events, reason
FROM operator_actions ORDER BY action_id DESC LIMIT $1";

/// The newest decisions, the last one first.
pub async fn newest(read_models: &PgPool, at_most: u32) -> Result<Vec<Entry>, sqlx::Error> {
    sqlx::query_as(NEWEST).bind(i64::from(at_most)).fetch_all(read_models).await
}

/// The decisions as lines for people.
pub fn table(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "no decision is recorded\n".to_owned();
    }
    let line = |entry: &Entry| {
        let at = entry.decided_at.format("%Y-%m-%d %H:%M:%S UTC");
        let reason = entry.reason.as_deref().unwrap_or("no reason given");
        let owner = entry.owner_id.map(|owner_id| format!("  {owner_id}")).unwrap_or_default();
        let events = entry.events.map(|events| format!("  {events} events")).unwrap_or_default();
        let Entry { decided_by, action, worker, .. } = entry;
        format!("{at}  {action}  {worker}{owner}{events}  by {decided_by}: {reason}\n")
    };
    entries.iter().map(line).collect()
}
