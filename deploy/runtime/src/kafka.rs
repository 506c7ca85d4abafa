//! Clients of the broker, set up once as the architecture decides: acknowledged by all, idempotent, bounded, never committing offsets.
//! The relay produces through [`producer`], projectors and the query API read through [`consumer`], and [`ensure_topics`] makes the topics.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::FutureProducer;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;

/// How long one question to the broker may take.
const REQUEST: Duration = Duration::from_secs(5);
/// The broker answers at the first byte; this long it waits for one, so that idle consumers cost next to nothing.
const FETCH_WAIT_MS: u32 = 500;
/// So long a hint waits for others to go with it.
const HINT_LINGER_MS: u32 = 3;

/// A producer whose log lines are ours.
pub type Producer = FutureProducer<LogContext>;
/// A consumer whose log lines are ours.
pub type Consumer = StreamConsumer<LogContext>;

/// A producer that keeps order and loses nothing: every replica acknowledges, retries are idempotent and never give up by themselves.
/// Its queue is bounded (10,000 messages, 32 MiB): when it is full, sending waits or fails, and nothing is dropped silently.
pub fn producer(brokers: &str, client_id: &str) -> KafkaResult<Producer> {
    base(brokers, client_id)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("compression.type", "none")
        .set("queue.buffering.max.messages", "10000")
        .set("queue.buffering.max.kbytes", "32768")
        // Zero is without end: the relay decides when to give up, and it does not.
        .set("message.timeout.ms", "0")
        .create_with_context(LogContext)
}

/// A producer for hints, which nobody counts on: those of a few milliseconds go together, because to the broker and to everybody who
/// listens a request costs more than what is in it; after five seconds one that could not be sent is no hint any more.
pub fn hint_producer(brokers: &str, client_id: &str) -> KafkaResult<Producer> {
    base(brokers, client_id)
        .set("acks", "1")
        .set("linger.ms", HINT_LINGER_MS.to_string())
        .set("compression.type", "none")
        .set("queue.buffering.max.messages", "10000")
        .set("queue.buffering.max.kbytes", "32768")
        .set("message.timeout.ms", "5000")
        .create_with_context(LogContext)
}

/// How a consumer reads.
#[derive(Debug, Clone)]
pub struct ConsumerSettings {
    /// Its group; librdkafka wants a name even where partitions are assigned by hand, and nothing is ever committed under it.
    pub group: Option<String>,
    /// Whether reaching the end of a partition is reported (as `KafkaError::PartitionEOF`).
    pub partition_eof: bool,
    /// Bytes fetched ahead, in KiB, over all partitions.
    pub queued_kilobytes: u32,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self { group: None, partition_eof: false, queued_kilobytes: 16_384 }
    }
}

/// A consumer that hands over what there is at once, bounded in what it fetches ahead. Assign partitions and offsets yourself:
/// the checkpoint says where to start, and an offset that is gone is an error instead of a silent jump.
pub fn consumer(brokers: &str, client_id: &str, settings: &ConsumerSettings) -> KafkaResult<Consumer> {
    base(brokers, client_id)
        .set("group.id", settings.group.as_deref().unwrap_or(client_id))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        .set("enable.partition.eof", settings.partition_eof.to_string())
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", FETCH_WAIT_MS.to_string())
        .set("queued.max.messages.kbytes", settings.queued_kilobytes.to_string())
        .set("queued.min.messages", "1000")
        // With so much waiting it stops to fetch, by default for a whole second: a backlog would come at 8,000 events/s.
        .set("fetch.queue.backoff.ms", "5")
        // After an error on a partition (a leader moving) half a second of silence is the default.
        .set("fetch.error.backoff.ms", "50")
        .create_with_context(LogContext)
}

/// A topic as it must exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its partitions; a topic that exists with another number is refused.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication: i32,
    /// Settings of the topic, such as `retention.ms`.
    pub config: Vec<(String, String)>,
}

/// Why the topics are not as they must be.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The client could not be set up.
    #[error("the Kafka client cannot be set up: {0}")]
    Client(#[from] KafkaError),
    /// Waiting was cancelled.
    #[error("stopped while waiting for the Kafka broker")]
    Cancelled,
    /// The broker refuses for a reason that waiting does not change.
    #[error("the Kafka broker refuses to create the topic {topic}: {code}")]
    Refused {
        /// The topic.
        topic: String,
        /// The broker's reason.
        code: RDKafkaErrorCode,
    },
    /// A topic exists with another number of partitions.
    #[error(
        "the topic {topic} has {actual} partitions and must have {expected}: keys would go to other partitions than before"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// As it is.
        actual: usize,
        /// As it must be.
        expected: i32,
    },
}

/// Creates the topics that are not there, waiting for the broker as long as it takes (or until cancelled), and checks their partitions.
pub async fn ensure_topics(brokers: &str, topics: &[TopicSpec], token: &CancellationToken) -> Result<(), TopicError> {
    let admin: AdminClient<LogContext> = base(brokers, "fittrack-topics").create_with_context(LogContext)?;
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        match create_missing(&admin, topics).await {
            Ok(()) => return check_partitions(admin, topics.to_vec()).await,
            Err(Attempt::Final(error)) => return Err(error),
            Err(Attempt::Again(reason)) => {
                if backoff.attempts() == 0 {
                    tracing::warn!(brokers, reason, "waiting for the Kafka broker");
                }
            }
        }
        if !backoff.wait(token).await {
            return Err(TopicError::Cancelled);
        }
    }
}

enum Attempt {
    Again(String),
    Final(TopicError),
}

async fn create_missing(admin: &AdminClient<LogContext>, topics: &[TopicSpec]) -> Result<(), Attempt> {
    let wanted: Vec<NewTopic<'_>> = topics.iter().map(new_topic).collect();
    let options = AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST));
    let results = admin.create_topics(&wanted, &options).await.map_err(|error| Attempt::Again(error.to_string()))?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) if is_final(code) => return Err(Attempt::Final(TopicError::Refused { topic, code })),
            Err((topic, code)) => return Err(Attempt::Again(format!("{topic}: {code}"))),
        }
    }
    Ok(())
}

/// Reasons that stay as they are however often one asks.
fn is_final(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::InvalidConfig
            | RDKafkaErrorCode::InvalidPartitions
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::PolicyViolation
    )
}

fn new_topic(topic: &TopicSpec) -> NewTopic<'_> {
    let new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(topic.replication));
    topic.config.iter().fold(new, |new, (key, value)| new.set(key, value))
}

/// The question for metadata blocks, so it is asked off the async threads. A topic just made may not be known everywhere yet.
async fn check_partitions(admin: AdminClient<LogContext>, topics: Vec<TopicSpec>) -> Result<(), TopicError> {
    let checked = tokio::task::spawn_blocking(move || {
        for topic in &topics {
            let metadata = admin.inner().fetch_metadata(Some(&topic.name), REQUEST)?;
            let actual = metadata.topics().first().map_or(0, |found| found.partitions().len());
            if actual != 0 && i32::try_from(actual) != Ok(topic.partitions) {
                return Err(TopicError::Partitions { topic: topic.name.clone(), actual, expected: topic.partitions });
            }
        }
        Ok(())
    });
    checked.await.unwrap_or(Err(TopicError::Cancelled))
}

fn base(brokers: &str, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", client_id)
        // Reconnects: quick at first, two seconds at most, so that a broker that comes back is used at once.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.nagle.disable", "true")
        .set("socket.keepalive.enable", "true")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// Hands librdkafka's log lines and errors to our log.
#[derive(Debug, Clone, Copy)]
pub struct LogContext;

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
        }
    }

    /// Brokers that are away are expected: librdkafka reconnects by itself, and readiness and lag say it louder.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "librdkafka", %error, "{reason}");
    }
}

impl ConsumerContext for LogContext {}

#[cfg(test)]
mod tests {
    use rdkafka::Message;
    use rdkafka::consumer::Consumer as _;

    use super::*;

    #[test]
    fn the_clients_accept_their_settings() {
        let _producer = producer("127.0.0.1:1", "test").unwrap();
        let _producer = hint_producer("127.0.0.1:1", "test").unwrap();
    }

    #[tokio::test]
    async fn a_consumer_accepts_its_settings() {
        let _consumer = consumer("127.0.0.1:1", "test", &ConsumerSettings::default()).unwrap();
        let settings = ConsumerSettings { partition_eof: true, ..ConsumerSettings::default() };
        let _consumer = consumer("127.0.0.1:1", "test", &settings).unwrap();
    }

    #[tokio::test]
    async fn waiting_for_a_broker_that_is_not_there_can_be_cancelled() {
        let topics = [TopicSpec { name: "t".into(), partitions: 1, replication: 1, config: vec![] }];
        let token = CancellationToken::new();
        token.cancel();
        let outcome = ensure_topics("127.0.0.1:1", &topics, &token).await;
        assert!(matches!(outcome, Err(TopicError::Cancelled)), "{outcome:?}");
    }

    #[tokio::test]
    async fn topics_are_made_once_and_another_number_of_partitions_is_refused() {
        let brokers = std::env::var("FITTRACK_TEST_KAFKA_BROKERS")
            .expect("FITTRACK_TEST_KAFKA_BROKERS is not set: run through deploy/fittrack test");
        let name = format!("runtime-test-{}", uuid::Uuid::now_v7());
        let config = vec![("retention.ms".to_owned(), "3600000".to_owned())];
        let topic = TopicSpec { name: name.clone(), partitions: 3, replication: 1, config };
        let token = CancellationToken::new();
        for _ in 0..2 {
            ensure_topics(&brokers, std::slice::from_ref(&topic), &token).await.unwrap();
        }
        let wider = TopicSpec { partitions: 4, ..topic };
        let refused = ensure_topics(&brokers, &[wider], &token).await;
        assert!(matches!(refused, Err(TopicError::Partitions { actual: 3, expected: 4, .. })), "{refused:?}");

        let producer = producer(&brokers, "test").unwrap();
        let record = rdkafka::producer::FutureRecord::to(&name).key("k").payload("v").partition(1);
        producer.send(record, REQUEST).await.unwrap();
        let settings = ConsumerSettings { partition_eof: true, ..ConsumerSettings::default() };
        let consumer = consumer(&brokers, "test", &settings).unwrap();
        let mut assignment = rdkafka::TopicPartitionList::new();
        assignment.add_partition_offset(&name, 1, rdkafka::Offset::Offset(0)).unwrap();
        consumer.assign(&assignment).unwrap();
        let message = tokio::time::timeout(Duration::from_secs(60), consumer.recv()).await.unwrap().unwrap();
        assert_eq!(message.payload(), Some(&b"v"[..]));
        let end = tokio::time::timeout(Duration::from_secs(60), consumer.recv()).await.unwrap();
        assert!(matches!(end, Err(KafkaError::PartitionEOF(1))), "{end:?}");
        let base = base(&brokers, "test").create_with_context::<_, AdminClient<LogContext>>(LogContext).unwrap();
        base.delete_topics(&[&name], &AdminOptions::new()).await.unwrap();
    }
}
