//! I4: each partition's positions are 1..max and each stream's sequence is 1..n; each event is in its owner's partition;
//! no published position lies beyond the log.
use std::collections::BTreeMap;

use fittrack_domain::partition::partition_of;
use sqlx::PgPool;
use uuid::Uuid;

use super::{CheckError, Report};

const PARTITIONS: &str =
    "SELECT partition, count(*), min(position), max(position) FROM events WHERE partition = $1 GROUP BY partition";

const BROKEN_STREAMS: &str = "
    SELECT aggregate_type, aggregate_id FROM events WHERE partition = $1
    GROUP BY aggregate_type, aggregate_id
    HAVING min(sequence) <> 1 OR max(sequence) <> count(*) OR count(DISTINCT owner_id) <> 1
    LIMIT 10";

const OWNERS: &str = "SELECT DISTINCT owner_id FROM events WHERE partition = $1";

const BEYOND: &str = "SELECT partition, position FROM checkpoints WHERE worker = 'relay'";

/// Checks the store partition by partition; returns the head of each.
pub async fn check(store: &PgPool, report: &mut Report) -> Result<BTreeMap<i32, i64>, CheckError> {
    let partitions: i32 = sqlx::query_scalar("SELECT partitions FROM store_settings").fetch_one(store).await?;
    let mut heads = BTreeMap::new();
    for partition in 0..partitions {
        let row: Option<(i32, i64, i64, i64)> =
            sqlx::query_as(PARTITIONS).bind(partition).fetch_optional(store).await?;
        let Some((_, count, min, max)) = row else { continue };
        heads.insert(partition, max);
        report.events += count;
        if min != 1 || max != count {
            report
                .violations
                .push(format!("I4: partition {partition} holds {count} events at positions {min} to {max}"));
        }
        let streams: Vec<(String, String)> = sqlx::query_as(BROKEN_STREAMS).bind(partition).fetch_all(store).await?;
        report.violations.extend(
            streams.iter().map(|(kind, id)| format!("I4: stream {kind}/{id} has a gap, a repeat or two owners")),
        );
        let owners: Vec<Uuid> = sqlx::query_scalar(OWNERS).bind(partition).fetch_all(store).await?;
        report.violations.extend(
            owners
                .iter()
                .filter(|owner| partition_of(**owner, partitions) != partition)
                .map(|owner| format!("I4: owner {owner} is in partition {partition}, which is not theirs")),
        );
    }
    let cursors: Vec<(i32, i64)> = sqlx::query_as(BEYOND).fetch_all(store).await?;
    report.violations.extend(
        cursors.iter().filter(|(partition, position)| *position > heads.get(partition).copied().unwrap_or(0)).map(
            |(partition, position)| {
                format!("I7: the relay's cursor of partition {partition} is at {position}, beyond the log")
            },
        ),
    );
    Ok(heads)
}
