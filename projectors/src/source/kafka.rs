//! Follows the topic of events: partitions are assigned by hand at the checkpoint's offset hint, nothing is ever committed
//! to Kafka. A reader task turns messages into events the moment they come, also while the runner writes what it has; the
//! runner takes whatever has gathered.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fittrack_runtime::kafka::{self, Consumer, ConsumerSettings, KafkaAccess};
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
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Delivered, Source, SourceError,
    gathered::{Gathered, Room},
};
use crate::checkpoint::Start;

/// Fetched ahead by each build, in KiB.
const QUEUED_KILOBYTES: u32 = 8_192;
/// So many events are read before they are handed over: a backlog comes in pieces that are worked on meanwhile.
const PIECE: usize = 500;
/// How long one question to the broker may take.
const REQUEST: Duration = Duration::from_secs(5);
/// A pause after an error, so that nobody spins; librdkafka reconnects by itself.
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// The topic of events as a source.
pub struct KafkaSource {
    topic: Arc<Topic>,
    gathered: Arc<Gathered>,
    _reader: AbortOnDropHandle<()>,
}

/// The consumer and what it is assigned; shared by the source and its reader.
struct Topic {
    consumer: Consumer,
    name: String,
    /// The build that is fed, for logs.
    build: String,
    /// Where each held partition was told to begin.
    held: Mutex<BTreeMap<i32, Offset>>,
}

impl KafkaSource {
    /// A consumer of this topic for a build, in a runtime; the broker need not be there yet.
    pub fn new(access: &KafkaAccess, topic: &str, build: &str) -> KafkaResult<Self> {
        let settings = ConsumerSettings { queued_kilobytes: QUEUED_KILOBYTES, ..ConsumerSettings::default() };
        let consumer = kafka::consumer(access, &format!("fittrack-projector-{build}"), &settings)?;
        let topic =
            Arc::new(Topic { consumer, name: topic.to_owned(), build: build.to_owned(), held: Mutex::default() });
        let gathered = Arc::new(Gathered::default());
        let reader = tokio::spawn(read_ahead(Arc::clone(&topic), Arc::clone(&gathered)));
        Ok(Self { topic, gathered, _reader: AbortOnDropHandle::new(reader) })
    }
}

impl Source for KafkaSource {
    fn hold(&mut self, starts: &[Start]) -> Result<(), SourceError> {
        let partitions: Vec<i32> = starts.iter().map(|start| start.partition).collect();
        self.let_go(&partitions)?;
        let offset = |start: &Start| match start.next_offset {
            Some(offset) if offset >= 0 => Offset::Offset(offset),
            _ => Offset::Beginning,
        };
        let offsets = starts.iter().map(|start| (start.partition, offset(start))).collect();
        self.topic.assign(&mut self.topic.held(), offsets)?;
        Ok(())
    }

    fn let_go(&mut self, partitions: &[i32]) -> Result<(), SourceError> {
        self.topic.unassign(&mut self.topic.held(), partitions)?;
        self.gathered.forget(partitions);
        Ok(())
    }

    async fn next(&mut self, until: Instant, stop: &CancellationToken) -> Result<Vec<Delivered>, SourceError> {
        tokio::select! {
            biased;
            taken = self.gathered.take() => Ok(taken?),
            () = stop.cancelled() => Ok(vec![]),
            () = sleep_until(until) => Ok(vec![]),
        }
    }
}

/// Gathers what comes, as long as there is room; ends with its source.
async fn read_ahead(topic: Arc<Topic>, gathered: Arc<Gathered>) {
    loop {
        let room = gathered.room().await;
        let first = topic.consumer.recv().await;
        let (delivered, bytes, error) = topic.drain(first, room);
        gathered.add(delivered, bytes);
        if let Some(error) = error
            && let Err(fatal) = topic.recover(error).await
        {
            gathered.fail(fatal);
            sleep(AFTER_ERROR).await;
        }
    }
}

impl Topic {
    fn held(&self) -> MutexGuard<'_, BTreeMap<i32, Offset>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assign(&self, held: &mut BTreeMap<i32, Offset>, offsets: Vec<(i32, Offset)>) -> KafkaResult<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset) in &offsets {
            list.add_partition_offset(&self.name, *partition, *offset)?;
        }
        self.consumer.incremental_assign(&list)?;
        held.extend(offsets);
        Ok(())
    }

    fn unassign(&self, held: &mut BTreeMap<i32, Offset>, partitions: &[i32]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            if held.remove(partition).is_some() {
                list.add_partition(&self.name, *partition);
            }
        }
        if list.count() == 0 { Ok(()) } else { self.consumer.incremental_unassign(&list) }
    }

    /// Some offset is not (or not any more) in Kafka: those partitions begin with what Kafka still has. What is repeated
    /// is skipped, what is gone is read from the store.
    async fn begin_again_where_offsets_are_lost(self: &Arc<Self>) -> KafkaResult<()> {
        let asked_for = self.held().clone();
        for (partition, offset) in asked_for {
            let Offset::Offset(wanted) = offset else { continue };
            let this = Arc::clone(self);
            let asked =
                tokio::task::spawn_blocking(move || this.consumer.fetch_watermarks(&this.name, partition, REQUEST));
            let (low, high) = asked.await.unwrap_or(Err(KafkaError::Canceled))?;
            if (low..=high).contains(&wanted) {
                continue;
            }
            let mut held = self.held();
            // It may have been let go, or told to begin elsewhere, while the broker was asked.
            if held.get(&partition) == Some(&offset) {
                tracing::warn!(
                    build = self.build,
                    partition,
                    wanted,
                    low,
                    high,
                    "the offset to go on from is not in Kafka; beginning with what is there"
                );
                self.unassign(&mut held, &[partition])?;
                self.assign(&mut held, vec![(partition, Offset::Beginning)])?;
            }
        }
        Ok(())
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
        counter!("fittrack_projection_malformed_total", "build" => self.build.clone()).increment(1);
        tracing::error!(
            build = self.build,
            partition = message.partition(),
            offset = message.offset(),
            reason,
            "a message is no event; skipping it (its position is then read from the store)"
        );
    }

    /// Everything that has arrived and fits, beginning with `first`, and its bytes; the error, if one came.
    fn drain(
        &self,
        first: KafkaResult<BorrowedMessage<'_>>,
        room: Room,
    ) -> (Vec<Delivered>, usize, Option<KafkaError>) {
        let mut stream = self.consumer.stream();
        let (mut delivered, mut bytes) = (Vec::new(), 0);
        let mut arrived = Some(first);
        while let Some(message) = arrived {
            match message {
                Ok(message) => {
                    bytes += message.payload_len();
                    delivered.extend(self.read(&message));
                }
                Err(error) => return (delivered, bytes, Some(error)),
            }
            if delivered.len() >= room.events.min(PIECE) || bytes >= room.bytes {
                break;
            }
            arrived = stream.next().now_or_never().flatten();
        }
        (delivered, bytes, None)
    }

    async fn recover(self: &Arc<Self>, error: KafkaError) -> KafkaResult<()> {
        match error {
            KafkaError::PartitionEOF(_) => return Ok(()),
            KafkaError::MessageConsumptionFatal(_) => return Err(error),
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                match self.begin_again_where_offsets_are_lost().await {
                    Ok(()) => return Ok(()),
                    Err(error) => tracing::warn!(build = self.build, %error, "offsets cannot be looked up"),
                }
            }
            _ => tracing::debug!(build = self.build, %error, "nothing comes from Kafka"),
        }
        sleep(AFTER_ERROR).await;
        Ok(())
    }
}
