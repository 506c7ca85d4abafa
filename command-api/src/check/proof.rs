//! The log is what was published: its proof, recomputed from the first event on, equals the one that was kept at each
//! checkpoint. Finds what was removed, changed or moved after Kafka had it, however whole the log looks now.
use std::collections::BTreeMap;

use fittrack_schemas::proof::{LogError, Mark};
use sqlx::PgPool;

use super::{CheckError, Report};
use crate::relay;

/// How many events one statement reads.
const PAGE: i64 = 10_000;

/// A checkpoint with its proof.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Kept {
    /// Who keeps it.
    pub worker: String,
    /// The partition.
    pub partition: i32,
    /// Position and proof.
    #[sqlx(flatten)]
    pub mark: Mark,
}

impl Kept {
    /// Whether it is the relay's: what Kafka has acknowledged.
    pub fn is_published(&self) -> bool {
        self.worker == relay::WORKER
    }
}

const KEPT: &str = "
    SELECT worker, partition, position, proof_events, proof_hash FROM checkpoints
    WHERE position > 0 ORDER BY partition, position, worker";

/// Every checkpoint of the store. Read before the log is, it lies within the log.
pub async fn kept(store: &PgPool) -> Result<Vec<Kept>, CheckError> {
    Ok(sqlx::query_as(KEPT).fetch_all(store).await?)
}

/// Recomputes the proof of each partition up to its checkpoints, in their order.
pub async fn check(store: &PgPool, kept: &[Kept], report: &mut Report) -> Result<(), CheckError> {
    let mut by_partition: BTreeMap<i32, Vec<&Kept>> = BTreeMap::new();
    for one in kept {
        by_partition.entry(one.partition).or_default().push(one);
    }
    for (partition, kept) in by_partition {
        if let Some(violation) = check_one(store, partition, &kept, report).await? {
            report.violations.push(violation);
        }
    }
    report.unproven = (report.events - report.proven).max(0);
    Ok(())
}

/// The first thing that is wrong in a partition; whatever follows it follows from it.
async fn check_one(
    store: &PgPool,
    partition: i32,
    kept: &[&Kept],
    report: &mut Report,
) -> Result<Option<String>, CheckError> {
    let (mut log, mut sound_to) = (Mark::default(), 0);
    for one in kept {
        while log.position < one.mark.position {
            match log.read_on(store, partition, one.mark.position, PAGE).await {
                Ok(_) => {}
                Err(LogError::Store(error)) => return Err(error.into()),
                Err(error @ LogError::Missing { .. }) => return Ok(Some(format!("I4: {error}, which was given out"))),
            }
        }
        if log != one.mark {
            return Ok(Some(differs(partition, sound_to + 1, one)));
        }
        sound_to = log.position;
        if one.is_published() {
            report.proven += log.position;
        }
    }
    Ok(None)
}

fn differs(partition: i32, from: i64, kept: &Kept) -> String {
    let before = if kept.is_published() { "what was published" } else { "what the prover has read there before" };
    format!(
        "proof: the log of partition {partition} from position {from} to {} is not {before}: an event there was changed, \
         moved or exchanged",
        kept.mark.position
    )
}
