//! I7: no checkpoint has passed an event that is not there. I8: what is published is processed or parked.
//! Called when everything has caught up, so each checkpoint must be exactly at the head of its partition.

use super::{Findings, drain};
use crate::events::Log;
use crate::failure::Result;
use crate::stack::TestStack;

const PARKED: &str = "SELECT worker, owner_id::text, position, coalesce(error, 'waits') FROM parked_events";

/// Compares checkpoints with heads.
pub async fn check(stack: &TestStack, log: &Log, findings: &mut Findings) -> Result<()> {
    let heads = log.heads();
    let mut read_models = stack.read_models().await?;
    let mut positions = drain::positions(&mut read_models).await?;
    positions.extend(drain::positions(&mut stack.event_store().await?).await?);
    for ((worker, partition), position) in &positions {
        let head = heads.get(partition).copied().unwrap_or(0);
        if *position > head {
            findings.broken("I7", format!("{worker} is at {position} in partition {partition}, which ends at {head}"));
        }
    }
    let stored = i64::try_from(log.rows.len()).unwrap_or(i64::MAX);
    for worker in drain::workers(&mut read_models).await? {
        let processed: i64 = positions.iter().filter(|((name, _), _)| *name == worker).map(|(_, at)| at).sum();
        if processed != stored {
            findings.broken("I8", format!("{worker} has processed {processed} of {stored} events"));
        }
    }
    // None of the tests' events is poison: whatever is parked was parked by mistake.
    let parked: Vec<(String, String, i64, String)> = sqlx::query_as(PARKED).fetch_all(&mut read_models).await?;
    for (worker, owner, position, error) in parked {
        findings.broken("I8", format!("{worker} has parked position {position} of {owner}: {error}"));
    }
    Ok(())
}
