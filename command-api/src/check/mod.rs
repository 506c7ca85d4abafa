//! `command-api check`: do the store and the road keep their promises? Run by operators after an incident and by every
//! fault test. Reads only, in short statements; exits 1 when an invariant of `reliability.md` is broken.
//!
//! I1 and I4 are checked in the store ([`log`]), I5 in Kafka ([`road`]) and between the two ([`copies`]), I7 between the
//! log and the relay's cursor. That the log is still the one that was published is proved by its rolling hash ([`proof`]).
mod copies;
mod log;
mod proof;
mod road;

use fittrack_runtime::kafka::KafkaAccess;
use serde::Serialize;
use sqlx::PgPool;

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// How many events the store holds.
    pub events: i64,
    /// How many of them are proven: acknowledged by Kafka, and the log up to there is what was published.
    pub proven: i64,
    /// How many are not, or not yet; 0 when nothing is under way and all is well.
    pub unproven: i64,
    /// How many messages Kafka still held, repeats included; `None` where Kafka was not asked.
    pub messages: Option<u64>,
    /// How many of them were repeats.
    pub repeats: Option<u64>,
    /// Each broken invariant in words; empty when all is well.
    pub violations: Vec<String>,
}

/// What to check.
pub struct Check<'a> {
    /// The event store.
    pub store: &'a PgPool,
    /// Kafka; without it the road is not checked.
    pub kafka: Option<&'a KafkaAccess>,
    /// The topic of the events.
    pub topic: &'a str,
}

/// The check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The store did not answer.
    #[error("event store: {0}")]
    Store(#[from] sqlx::Error),
    /// Kafka did not answer.
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
}

impl Check<'_> {
    /// Runs every check.
    pub async fn run(&self) -> Result<Report, CheckError> {
        let mut report = Report::default();
        // First: a checkpoint that was read before the log lies within it, however busy the relay is.
        let kept = proof::kept(self.store).await?;
        let heads = log::check(self.store, &kept, &mut report).await?;
        proof::check(self.store, &kept, &mut report).await?;
        if let Some(access) = self.kafka {
            road::check(self, access, &heads, &mut report).await?;
        }
        Ok(report)
    }
}
