//! Publishes a round of events and says how many of them, from the first on, Kafka has acknowledged.
use std::time::Duration;

use fittrack_runtime::{
    kafka::{self, KafkaAccess, Producer},
    lease::LeaseKeeper,
};
use fittrack_schemas::{envelope::StoredEvent, kafka_form};
use metrics::{Counter, counter};
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{DeliveryFuture, FutureRecord, Producer as _, PurgeConfig},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::RelayError;

/// How often a long wait for Kafka looks whether the partition is still held.
const LOOK_AT_LEASE: Duration = Duration::from_millis(500);

/// The idempotent producer and its topic.
pub struct Publisher {
    producer: Producer,
    topic: String,
    published: Counter,
}

impl Publisher {
    /// A producer with `acks=all`; messages wait in it for as long as Kafka is away, a round of them at most.
    pub fn new(access: &KafkaAccess, topic: &str) -> Result<Self, RelayError> {
        let producer =
            kafka::producer(access, "command-api-relay").map_err(|error| RelayError::Kafka(error.to_string()))?;
        let published = counter!("fittrack_relay_published_total");
        Ok(Self { producer, topic: topic.to_owned(), published })
    }

    /// Sends the events in their order and waits for every acknowledgement.
    ///
    /// Returns how many of them, from the first on, are acknowledged. Ends early, with those so far, when stopped or when
    /// a lease has run out; what is still queued is thrown away then, and the next holder sends it.
    pub async fn publish(
        &self,
        events: &[StoredEvent],
        keeper: &LeaseKeeper,
        stop: &CancellationToken,
    ) -> Result<usize, RelayError> {
        let mut sent: Vec<(i32, DeliveryFuture)> = Vec::with_capacity(events.len());
        for event in events {
            match self.send(event, keeper, stop).await? {
                Some(delivery) => sent.push((event.partition, delivery)),
                None => break,
            }
        }
        let mut acknowledged = 0;
        for (partition, mut delivery) in sent {
            let delivered = loop {
                tokio::select! {
                    // Most are acknowledged with the one before: nothing else is looked at for them.
                    biased;
                    delivered = &mut delivery => break Some(delivered),
                    () = stop.cancelled() => break None,
                    () = sleep(LOOK_AT_LEASE) => if !keeper.still_held(partition) { break None },
                }
            };
            match delivered {
                Some(Ok(Ok(_))) => {
                    self.published.increment(1);
                    acknowledged += 1;
                }
                Some(Ok(Err((error, _)))) => return Err(self.give_up(&error.to_string())),
                Some(Err(_cancelled)) => return Err(self.give_up("the producer ended")),
                None => {
                    self.producer.purge(PurgeConfig::default().queue().inflight());
                    break;
                }
            }
        }
        Ok(acknowledged)
    }

    /// Hands one event to the producer; waits while its queue is full. `None` when told to stop.
    async fn send(
        &self,
        event: &StoredEvent,
        keeper: &LeaseKeeper,
        stop: &CancellationToken,
    ) -> Result<Option<DeliveryFuture>, RelayError> {
        let key = event.owner_id.to_string();
        let mut record = FutureRecord::to(&self.topic)
            .key(&key)
            .payload(event.payload.get())
            .partition(event.partition)
            .headers(kafka_form::headers(event));
        loop {
            match self.producer.send_result(record) {
                Ok(delivery) => return Ok(Some(delivery)),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned)) => {
                    if stop.is_cancelled() || !keeper.still_held(event.partition) {
                        return Ok(None);
                    }
                    record = returned;
                    sleep(Duration::from_millis(5)).await;
                }
                Err((error, _)) => return Err(self.give_up(&error.to_string())),
            }
        }
    }

    /// A permanent failure: nothing more of this producer may reach Kafka, or later events could overtake earlier ones.
    fn give_up(&self, error: &str) -> RelayError {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        RelayError::Kafka(error.to_owned())
    }
}
