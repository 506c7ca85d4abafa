//! The topics as they must be: looked at first, made where they are missing and this user may make them, else waited for.
//! Who runs brokers with access lists makes the topics beforehand (`deploy/runbooks/kafka.md`), and no service needs the right to.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio_util::sync::CancellationToken;

use super::{KafkaAccess, LogContext, admin, base};
use crate::backoff::Backoff;

/// How long making topics may take.
const REQUEST: Duration = Duration::from_secs(5);
/// The most that is read of what a client has to tell after it failed.
const TOLD: usize = 100;
/// How long one look at a topic may take; a process that ends waits for it.
const LOOK: Duration = Duration::from_secs(2);

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

/// Creates the topics that are not there, waiting for the broker, or for somebody who may create them, as long as it takes (or until
/// cancelled), and checks their partitions.
pub async fn ensure_topics(
    access: &KafkaAccess,
    topics: &[TopicSpec],
    token: &CancellationToken,
) -> Result<(), TopicError> {
    let admin = admin(access, "fittrack-topics")?;
    // A consumer, because asking as one never makes a topic, whatever the broker's `auto.create.topics.enable` says.
    let mut looking = base(access, "fittrack-topics");
    looking.set("allow.auto.create.topics", "false");
    let looking: Arc<BaseConsumer<LogContext>> = Arc::new(looking.create_with_context(LogContext::default())?);
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    let mut said = String::new();
    loop {
        let Some(looked) = token.run_until_cancelled(missing(&looking, topics)).await else {
            return Err(TopicError::Cancelled);
        };
        let attempt = match looked {
            Ok(missing) if missing.is_empty() => return Ok(()),
            // Made, they are looked at again: a topic just made may not be known everywhere yet.
            Ok(missing) => create(&admin, access, &missing).await,
            Err(attempt) => Err(attempt),
        };
        match attempt {
            Err(Attempt::Final(error)) => return Err(error),
            Err(Attempt::Again(reason)) if reason != said => {
                tracing::warn!(brokers = access.brokers(), user = access.user(), reason, "waiting for Kafka");
                said = reason;
            }
            Ok(()) | Err(Attempt::Again(_)) => {}
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

/// The topics that are not there; those that are have the right number of partitions. The questions block, so they are asked off
/// the async threads.
async fn missing(looking: &Arc<BaseConsumer<LogContext>>, topics: &[TopicSpec]) -> Result<Vec<TopicSpec>, Attempt> {
    let (looking, topics) = (Arc::clone(looking), topics.to_vec());
    let asked = tokio::task::spawn_blocking(move || {
        let mut missing = Vec::new();
        for topic in topics {
            let metadata = looking.fetch_metadata(Some(&topic.name), LOOK).map_err(|error| {
                // Why is told to who polls, and nobody else polls this client.
                (0..TOLD).take_while(|_| looking.poll(Duration::ZERO).is_some()).for_each(drop);
                Attempt::Again(looking.context().refusal().unwrap_or_else(|| error.to_string()))
            })?;
            let Some(found) = metadata.topics().first() else { continue };
            match found.error().map(RDKafkaErrorCode::from) {
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => missing.push(topic),
                Some(code) => return Err(Attempt::Again(format!("{}: {code}", topic.name))),
                None if i32::try_from(found.partitions().len()) == Ok(topic.partitions) => {}
                None => {
                    let actual = found.partitions().len();
                    let (topic, expected) = (topic.name, topic.partitions);
                    return Err(Attempt::Final(TopicError::Partitions { topic, actual, expected }));
                }
            }
        }
        Ok(missing)
    });
    asked.await.unwrap_or(Err(Attempt::Final(TopicError::Cancelled)))
}

async fn create(admin: &AdminClient<LogContext>, access: &KafkaAccess, topics: &[TopicSpec]) -> Result<(), Attempt> {
    let wanted: Vec<NewTopic<'_>> = topics.iter().map(new_topic).collect();
    let options = AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST));
    let results = admin.create_topics(&wanted, &options).await.map_err(|error| Attempt::Again(error.to_string()))?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)) => {
                let user = access.user();
                return Err(Attempt::Again(format!(
                    "the topic {topic} is not there and the user {user} may not make it: make it as deploy/runbooks/kafka.md says"
                )));
            }
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
            | RDKafkaErrorCode::PolicyViolation
    )
}

fn new_topic(topic: &TopicSpec) -> NewTopic<'_> {
    let new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(topic.replication));
    topic.config.iter().fold(new, |new, (key, value)| new.set(key, value))
}
