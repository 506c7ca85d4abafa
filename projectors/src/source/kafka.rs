//! Follows the topic of events: partitions are assigned by hand at the checkpoint's offset hint, nothing is ever committed
//! to Kafka. Messages are handed over the moment they come, together with whatever else has arrived.
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fittrack_runtime::kafka::{self, Consumer, ConsumerSettings};
use fittrack_schemas::kafka_form;
use futures::{FutureExt, StreamExt};
use metrics::counter;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Delivered, MAX_BYTES, MAX_EVENTS, Source, SourceError};
use crate::checkpoint::Start;

/// Fetched ahead by each projection, in KiB.
const QUEUED_KILOBYTES: u32 = 8_192;
/// The broker answers at the first byte; this long it waits for one.
const FETCH_WAIT_MS: u32 = 100;
/// How long one question to the broker may take.
const REQUEST: Duration = Duration::from_secs(5);
/// A pause after an error, so that nobody spins; librdkafka reconnects by itself.
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// The topic of events as a source.
pub struct KafkaSource {
    consumer: Arc<Consumer>,
    topic: String,
    projection: &'static str,
    /// Where each held partition was told to begin.
    held: BTreeMap<i32, Offset>,
}

impl KafkaSource {
    /// A consumer of this topic for a projection; the broker need not be there yet.
    pub fn new(brokers: &str, topic: &str, projection: &'static str) -> KafkaResult<Self> {
        let settings = ConsumerSettings {
            queued_kilobytes: QUEUED_KILOBYTES,
            fetch_wait_ms: FETCH_WAIT_MS,
            ..ConsumerSettings::default()
        };
        let consumer = kafka::consumer(brokers, &format!("fittrack-projector-{projection}"), &settings)?;
        Ok(Self { consumer: Arc::new(consumer), topic: topic.to_owned(), projection, held: BTreeMap::new() })
    }

    fn assign(&mut self, offsets: Vec<(i32, Offset)>) -> KafkaResult<()> {
        let again: Vec<i32> = offsets
            .iter()
            .map(|(partition, _)| *partition)
            .filter(|partition| self.held.contains_key(partition))
            .collect();
        self.unassign(&again)?;
        if offsets.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset) in &offsets {
            list.add_partition_offset(&self.topic, *partition, *offset)?;
        }
        self.consumer.incremental_assign(&list)?;
        self.held.extend(offsets);
        Ok(())
    }

    fn unassign(&mut self, partitions: &[i32]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            if self.held.remove(partition).is_some() {
                list.add_partition(&self.topic, *partition);
            }
        }
        if list.count() == 0 { Ok(()) } else { self.consumer.incremental_unassign(&list) }
    }

    /// Some offset is not (or not any more) in Kafka: those partitions begin with what Kafka still has. What is repeated
    /// is skipped, what is gone is read from the store.
    async fn begin_again_where_offsets_are_lost(&mut self) -> KafkaResult<()> {
        let mut lost = Vec::new();
        for (partition, offset) in self.held.clone() {
            let Offset::Offset(wanted) = offset else { continue };
            let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
            let asked = tokio::task::spawn_blocking(move || consumer.fetch_watermarks(&topic, partition, REQUEST));
            let (low, high) = asked.await.unwrap_or(Err(KafkaError::Canceled))?;
            if wanted < low || wanted > high {
                tracing::warn!(
                    projection = self.projection,
                    partition,
                    wanted,
                    low,
                    high,
                    "the offset to go on from is not in Kafka; beginning with what is there"
                );
                lost.push((partition, Offset::Beginning));
            }
        }
        self.assign(lost)
    }

    /// The event of a message, or nothing where it is none.
    fn read(&self, message: &BorrowedMessage<'_>) -> Option<Delivered> {
        match kafka_form::read(message) {
            Ok(event) if event.partition == message.partition() => {
                Some(Delivered { event, next_offset: Some(message.offset() + 1) })
            }
            Ok(event) => {
                let reason = format!("it says it belongs to log partition {}", event.partition);
                self.skip(message, &reason);
                None
            }
            Err(error) => {
                self.skip(message, &error.to_string());
                None
            }
        }
    }

    fn skip(&self, message: &BorrowedMessage<'_>, reason: &str) {
        counter!("fittrack_projection_malformed_total", "projection" => self.projection).increment(1);
        tracing::error!(
            projection = self.projection,
            partition = message.partition(),
            offset = message.offset(),
            reason,
            "a message is no event; skipping it (its position is then read from the store)"
        );
    }

    /// Everything that has arrived, beginning with `first`; the error, if one came first.
    fn drain(&self, first: KafkaResult<BorrowedMessage<'_>>) -> (Vec<Delivered>, Option<KafkaError>) {
        let mut stream = self.consumer.stream();
        let (mut delivered, mut bytes) = (Vec::new(), 0);
        let mut arrived = Some(first);
        while let Some(message) = arrived {
            match message {
                Ok(message) => {
                    bytes += message.payload_len();
                    delivered.extend(self.read(&message));
                }
                Err(error) => return (delivered, Some(error)),
            }
            if delivered.len() >= MAX_EVENTS || bytes >= MAX_BYTES {
                break;
            }
            arrived = stream.next().now_or_never().flatten();
        }
        (delivered, None)
    }

    async fn recover(&mut self, error: KafkaError) -> KafkaResult<()> {
        match error {
            KafkaError::PartitionEOF(_) => return Ok(()),
            KafkaError::MessageConsumptionFatal(_) => return Err(error),
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                match self.begin_again_where_offsets_are_lost().await {
                    Ok(()) => return Ok(()),
                    Err(error) => tracing::warn!(projection = self.projection, %error, "offsets cannot be looked up"),
                }
            }
            _ => tracing::debug!(projection = self.projection, %error, "nothing comes from Kafka"),
        }
        sleep(AFTER_ERROR).await;
        Ok(())
    }
}

impl Source for KafkaSource {
    fn hold(&mut self, starts: &[Start]) -> Result<(), SourceError> {
        let offset = |start: &Start| match start.next_offset {
            Some(offset) if offset >= 0 => Offset::Offset(offset),
            _ => Offset::Beginning,
        };
        self.assign(starts.iter().map(|start| (start.partition, offset(start))).collect())?;
        Ok(())
    }

    fn let_go(&mut self, partitions: &[i32]) -> Result<(), SourceError> {
        self.unassign(partitions)?;
        Ok(())
    }

    async fn next(&mut self, until: Instant, stop: &CancellationToken) -> Result<Vec<Delivered>, SourceError> {
        let (delivered, error) = tokio::select! {
            biased;
            first = self.consumer.recv() => self.drain(first),
            () = stop.cancelled() => return Ok(vec![]),
            () = sleep_until(until) => return Ok(vec![]),
        };
        if let Some(error) = error {
            self.recover(error).await?;
        }
        Ok(delivered)
    }
}
