//! I1: no event is in a partition twice. I4: each partition's positions are 1..max and each stream's sequence is 1..n; each
//! event is in its owner's partition. I7: no published position lies beyond the log.
use std::collections::BTreeMap;

use fittrack_domain::partition::partition_of;
use sqlx::PgPool;
use uuid::Uuid;

use super::{CheckError, Report, proof::Kept};

const PARTITIONS: &str =
    "SELECT partition, count(*), min(position), max(position) FROM events WHERE partition = $1 GROUP BY partition";

const BROKEN_STREAMS: &str = "
    SELECT aggregate_type, aggregate_id FROM events WHERE partition = $1
    GROUP BY aggregate_type, aggregate_id
    HAVING min(sequence) <> 1 OR max(sequence) <> count(*) OR count(DISTINCT owner_id) <> 1
    LIMIT 10";

const OWNERS: &str = "SELECT DISTINCT owner_id FROM events WHERE partition = $1";

const REPEATED: &str = "
    SELECT event_id, array_agg(position ORDER BY position) FROM events WHERE partition = $1
    GROUP BY event_id HAVING count(*) > 1 LIMIT 10";

/// Checks the store partition by partition; returns the head of each.
pub async fn check(store: &PgPool, kept: &[Kept], report: &mut Report) -> Result<BTreeMap<i32, i64>, CheckError> {
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
        report.violations.extend(of_one(store, partition, partitions).await?);
    }
    let beyond = kept.iter().filter(|kept| kept.mark.position > heads.get(&kept.partition).copied().unwrap_or(0));
    report.violations.extend(beyond.filter(|kept| kept.is_published()).map(|kept| {
        format!("I7: the relay's cursor of partition {} is at {}, beyond the log", kept.partition, kept.mark.position)
    }));
    Ok(heads)
}

/// What is wrong with a partition's streams, events and owners.
async fn of_one(store: &PgPool, partition: i32, partitions: i32) -> Result<Vec<String>, CheckError> {
    let streams: Vec<(String, String)> = sqlx::query_as(BROKEN_STREAMS).bind(partition).fetch_all(store).await?;
    let streams = streams.iter().map(|(kind, id)| format!("I4: stream {kind}/{id} has a gap, a repeat or two owners"));
    let repeated: Vec<(Uuid, Vec<i64>)> = sqlx::query_as(REPEATED).bind(partition).fetch_all(store).await?;
    let repeated = repeated.iter().map(|(event_id, positions)| {
        format!("I1: event {event_id} is in partition {partition} more than once, at positions {positions:?}")
    });
    let owners: Vec<Uuid> = sqlx::query_scalar(OWNERS).bind(partition).fetch_all(store).await?;
    let strangers = owners.iter().filter(|owner| partition_of(**owner, partitions) != partition);
    let strangers =
        strangers.map(|owner| format!("I4: owner {owner} is in partition {partition}, which is not theirs"));
    Ok(streams.chain(repeated).chain(strangers).collect())
}
