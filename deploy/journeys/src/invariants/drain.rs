//! Waiting until everything stored is published and projected.
//! The store's own numbers are the goal, read anew at each look: a sweeper may still add to them.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::failure::Result;
use crate::patience::{DEADLINE, until_within};
use crate::stack::TestStack;

pub const HEADS: &str = "SELECT partition, max(position) FROM events GROUP BY partition";
pub const POSITIONS: &str = "SELECT worker, partition, position FROM checkpoints";
/// Every build that the projectors keep up to date: those that are shown, and those kept warm beside them.
pub const WORKERS: &str = "SELECT worker FROM builds WHERE state = 'fed' ORDER BY worker";

/// Waits until every event is acknowledged by Kafka and is in every build of a read model, shown or not.
///
/// # Errors
/// When that never comes.
pub async fn drained(stack: &TestStack) -> Result<()> {
    until_within(DEADLINE, "everything stored is published and projected", async || {
        let behind = behind(stack, true).await.map_err(|error| error.to_string())?;
        if behind.is_empty() { Ok(()) } else { Err(behind.join(", ")) }
    })
    .await
}

/// Waits until every event is in every build of a read model, published or not.
///
/// # Errors
/// When that never comes.
pub async fn drained_store(stack: &TestStack) -> Result<()> {
    until_within(DEADLINE, "everything stored is projected", async || {
        let behind = behind(stack, false).await.map_err(|error| error.to_string())?;
        if behind.is_empty() { Ok(()) } else { Err(behind.join(", ")) }
    })
    .await
}

/// The heads of the log's partitions.
pub async fn heads(store: &mut PgConnection) -> Result<BTreeMap<i32, i64>> {
    Ok(sqlx::query_as(HEADS).fetch_all(store).await?.into_iter().collect())
}

/// Where each worker has come to, in each partition.
pub async fn positions(database: &mut PgConnection) -> Result<BTreeMap<(String, i32), i64>> {
    let rows: Vec<(String, i32, i64)> = sqlx::query_as(POSITIONS).fetch_all(database).await?;
    Ok(rows.into_iter().map(|(worker, partition, position)| ((worker, partition), position)).collect())
}

/// The workers of all builds that are fed.
pub async fn workers(read_models: &mut PgConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(WORKERS).fetch_all(read_models).await?)
}

async fn behind(stack: &TestStack, published: bool) -> Result<Vec<String>> {
    let (mut store, mut read_models) = (stack.event_store().await?, stack.read_models().await?);
    let heads = heads(&mut store).await?;
    let mut positions_of = positions(&mut read_models).await?;
    let mut workers = workers(&mut read_models).await?;
    if published {
        positions_of.extend(positions(&mut store).await?);
        workers.push("relay".to_owned());
    }
    let mut behind = Vec::new();
    for worker in workers {
        for (partition, head) in &heads {
            let position = positions_of.get(&(worker.clone(), *partition)).copied().unwrap_or(0);
            if position < *head {
                behind.push(format!("{worker} is at {position} of {head} in partition {partition}"));
            }
        }
    }
    Ok(behind)
}
