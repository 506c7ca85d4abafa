//! I5: in Kafka, each partition's positions come in store order, and each message is the stored event ([`super::copies`]).
//! An event may be there again later (a retry, a new holder of the partition), but none may be missing before the first
//! copy of a later one.
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use fittrack_runtime::kafka::{self, ConsumerSettings, KafkaAccess};
use fittrack_schemas::kafka_form;
use rdkafka::{Message, Offset, TopicPartitionList, consumer::Consumer as _};
use tokio::time::timeout;

use super::{Check, CheckError, Report, copies::Comparison};

/// How long Kafka may stay silent before the check gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads what Kafka has kept of the topic up to its present end.
pub async fn check(
    of: &Check<'_>,
    access: &KafkaAccess,
    heads: &BTreeMap<i32, i64>,
    report: &mut Report,
) -> Result<(), CheckError> {
    let topic = of.topic;
    let consumer = kafka::consumer(access, "command-api-check", &ConsumerSettings::default())?;
    let mut assignment = TopicPartitionList::new();
    let mut ends: HashMap<i32, i64> = HashMap::new();
    for partition in heads.keys() {
        let (low, high) = consumer.fetch_watermarks(topic, *partition, PATIENCE)?;
        if high > low {
            ends.insert(*partition, high);
            assignment.add_partition_offset(topic, *partition, Offset::Offset(low))?;
        }
    }
    consumer.assign(&assignment)?;
    let (mut messages, mut repeats) = (0_u64, 0_u64);
    let mut comparison = Comparison::new(of.store);
    let mut seen: HashMap<i32, i64> = HashMap::new();
    while !ends.is_empty() {
        let Ok(received) = timeout(PATIENCE, consumer.recv()).await else {
            report
                .violations
                .push(format!("I5: Kafka went silent with {} partitions not read to their end", ends.len()));
            break;
        };
        let message = received?;
        messages += 1;
        if ends.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
            ends.remove(&message.partition());
        }
        let event = match kafka_form::read(&message) {
            Ok(event) => event,
            Err(error) => {
                report.violations.push(format!("I5: {topic}/{}@{}: {error}", message.partition(), message.offset()));
                continue;
            }
        };
        if event.partition != message.partition() {
            report.violations.push(format!("I5: event {} is in the wrong Kafka partition", event.event_id));
        }
        match seen.get(&event.partition) {
            Some(last) if event.position <= *last => repeats += 1,
            // Retention may have removed the beginning: the first message seen sets the start.
            Some(last) if event.position != last + 1 => {
                report.violations.push(format!(
                    "I5: partition {}: position {} follows {last} in Kafka",
                    event.partition, event.position
                ));
                seen.insert(event.partition, event.position);
            }
            _ => {
                seen.insert(event.partition, event.position);
            }
        }
        comparison.take(event).await?;
    }
    report.violations.extend(comparison.finish().await?);
    report.messages = Some(messages);
    report.repeats = Some(repeats);
    Ok(())
}
