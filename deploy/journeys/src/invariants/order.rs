//! I4: each stream's sequence is 1..n, each partition's positions are 1..max, each command is there once.
//! I5: Kafka has every event in store order. The first from the rows themselves, both by the operators' own `check`.

use std::collections::{HashMap, HashSet};

use fittrack_domain::partition::partition_of;
use fittrack_local::services::Service;

use super::Findings;
use crate::events::Log;
use crate::failure::Result;
use crate::stack::TestStack;

const PARTITIONS: i32 = 32;

/// Looks at the rows.
pub fn check(log: &Log, findings: &mut Findings) {
    let mut heads: HashMap<i32, i64> = HashMap::new();
    let mut streams: HashMap<(&str, &str), Vec<i64>> = HashMap::new();
    let (mut event_ids, mut commands) = (HashSet::new(), HashSet::new());
    for row in &log.rows {
        let head = heads.entry(row.partition).or_default();
        if row.position != *head + 1 {
            findings.broken("I4", format!("partition {}: position {} follows {head}", row.partition, row.position));
        }
        *head = row.position;
        if row.partition != partition_of(row.owner_id, PARTITIONS) {
            findings
                .broken("I4", format!("event {} of {} is in partition {}", row.event_id, row.owner_id, row.partition));
        }
        streams.entry((&row.aggregate_type, &row.aggregate_id)).or_default().push(row.sequence);
        if !event_ids.insert(row.event_id) {
            findings.broken("I4", format!("event id {} is there twice", row.event_id));
        }
        if !commands.insert((row.command_id, row.command_index)) {
            findings.broken("I4", format!("command {} is there twice", row.command_id));
        }
    }
    for ((kind, id), sequences) in streams {
        // Rows come in order of position; a stream lies in one partition.
        if !sequences.iter().copied().eq(1..=i64::try_from(sequences.len()).unwrap_or(0)) {
            findings.broken("I4", format!("{kind} {id} has the sequence {sequences:?}"));
        }
    }
}

/// Runs the operators' check over store and Kafka, and compares its counts with the log's.
pub async fn check_road(stack: &TestStack, events: usize, findings: &mut Findings) -> Result<()> {
    let report = stack.operator_json(Service::CommandApi, &["check", "--json"]).await?;
    for violation in report["violations"].as_array().into_iter().flatten() {
        findings.broken("I4, I5 (command-api check)", violation);
    }
    let count = |name: &str| report[name].as_u64();
    if count("events") != Some(events as u64) {
        findings.broken("I5", format!("the check counts {:?} events, the log has {events}", report["events"]));
    }
    // I8, its first half: published is stored, each once when repeats are left aside.
    match (count("messages"), count("repeats")) {
        (Some(messages), Some(repeats)) if messages - repeats == events as u64 => {}
        _ => findings.broken("I8", format!("{events} events are stored, and Kafka has {report}")),
    }
    Ok(())
}
