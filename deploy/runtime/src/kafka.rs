//! Clients of the broker, set up once as the architecture decides: acknowledged by all, idempotent, bounded, never committing offsets.
//! The relay produces through [`producer`], projectors and the query API read through [`consumer`], [`ensure_topics`] sees to the
//! topics, and [`KafkaAccess`] says where all of them connect, and as whom.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::FutureProducer;

mod access;
mod topics;

pub use access::{CA, KafkaAccess, PASSWORD, SASL_MECHANISM, SECURITY, USER};
pub use topics::{TopicError, TopicSpec, ensure_topics};

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
pub fn producer(access: &KafkaAccess, client_id: &str) -> KafkaResult<Producer> {
    base(access, client_id)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("compression.type", "none")
        .set("queue.buffering.max.messages", "10000")
        .set("queue.buffering.max.kbytes", "32768")
        // Zero is without end: the relay decides when to give up, and it does not.
        .set("message.timeout.ms", "0")
        .create_with_context(LogContext::default())
}

/// A producer for hints, which nobody counts on: those of a few milliseconds go together, because to the broker and to everybody who
/// listens a request costs more than what is in it; after five seconds one that could not be sent is no hint any more.
pub fn hint_producer(access: &KafkaAccess, client_id: &str, log: &LogContext) -> KafkaResult<Producer> {
    base(access, client_id)
        .set("acks", "1")
        .set("linger.ms", HINT_LINGER_MS.to_string())
        .set("compression.type", "none")
        .set("queue.buffering.max.messages", "10000")
        .set("queue.buffering.max.kbytes", "32768")
        .set("message.timeout.ms", "5000")
        .create_with_context(log.clone())
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
pub fn consumer(access: &KafkaAccess, client_id: &str, settings: &ConsumerSettings) -> KafkaResult<Consumer> {
    base(access, client_id)
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
        .create_with_context(LogContext::default())
}

/// A client that makes and removes topics, where its user may.
pub fn admin(access: &KafkaAccess, client_id: &str) -> KafkaResult<AdminClient<LogContext>> {
    base(access, client_id).create_with_context(LogContext::default())
}

fn base(access: &KafkaAccess, client_id: &str) -> ClientConfig {
    let mut config = access.config();
    config
        .set("client.id", client_id)
        // Reconnects: quick at first, two seconds at most, so that a broker that comes back is used at once.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.nagle.disable", "true")
        .set("socket.keepalive.enable", "true")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// Whether the broker answers this client, made with this `log`, about a topic within `patience`, and why not, in words for whoever reads `/readyz`.
/// The question blocks: ask it off the async threads.
///
/// # Errors
/// When it is away, refuses the user, lets the user know nothing of the topic, or has no such topic.
pub fn answers<C: ClientContext>(
    client: &Client<C>,
    log: &LogContext,
    topic: &str,
    patience: Duration,
) -> Result<(), String> {
    match client.fetch_metadata(Some(topic), patience) {
        Ok(metadata) => {
            log.forget_refusal();
            let error = metadata.topics().first().and_then(rdkafka::metadata::MetadataTopic::error);
            match error.map(RDKafkaErrorCode::from) {
                None => Ok(()),
                Some(code) => Err(format!("{topic}: {code}")),
            }
        }
        Err(error) => Err(log.refusal().unwrap_or_else(|| error.to_string())),
    }
}

/// Hands librdkafka's log lines and errors to our log, and keeps why the broker would not let this client in: the questions that
/// fail because of it only say that nobody answered.
#[derive(Debug, Clone, Default)]
pub struct LogContext {
    refusal: Arc<Mutex<Option<String>>>,
}

impl LogContext {
    /// Why the broker would not let this client in when it last tried.
    pub fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget_refusal(&self) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

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

    /// Brokers that are away are expected: librdkafka reconnects by itself, and readiness and lag say it louder. One that
    /// does not let us in waits for somebody to act.
    fn error(&self, error: KafkaError, reason: &str) {
        let what = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication) => {
                "Kafka refuses the user or the password (FITTRACK_KAFKA_USER, _PASSWORD)"
            }
            Some(RDKafkaErrorCode::SSL) => {
                "Kafka's certificate is refused, or TLS fails (FITTRACK_KAFKA_SECURITY, _CA)"
            }
            _ => {
                tracing::warn!(target: "librdkafka", %error, "{reason}");
                return;
            }
        };
        tracing::error!(target: "librdkafka", %error, "{what}: {reason}");
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{what}: {reason}"));
    }
}

impl ConsumerContext for LogContext {}

#[cfg(test)]
mod tests;
