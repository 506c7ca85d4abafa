//! A stored event as it travels: one row of the event store, one message of Kafka, one element of a projector's batch.
use chrono::{DateTime, Utc};
use fittrack_domain::event::{DecodeError, Event};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::{FromRow, Row, postgres::PgRow};
use uuid::Uuid;

/// One event with its place in the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredEvent {
    /// The log partition, from the owner.
    pub partition: i32,
    /// Its place in the partition: 1, 2, 3 ... without gaps.
    pub position: i64,
    /// `athlete`, `workout`.
    pub aggregate_type: String,
    /// The stream's id.
    pub aggregate_id: String,
    /// Its place in the stream: 1, 2, 3 ...
    pub sequence: i64,
    /// Whose log this is; the key in Kafka.
    pub owner_id: Uuid,
    /// The event's own id.
    pub event_id: Uuid,
    /// `workout_logged`, ...
    pub event_type: String,
    /// The version of the payload's shape.
    pub event_version: String,
    /// The payload, byte for byte as it was stored.
    pub payload: Box<RawValue>,
    /// Who and why.
    pub metadata: Metadata,
    /// The command that caused it.
    pub command_id: Uuid,
    /// When it was decided.
    pub occurred_at: DateTime<Utc>,
    /// When it was stored, by the server's clock.
    pub recorded_at: DateTime<Utc>,
}

/// Who gave the command, under which trace, and what identifies the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The athlete who gave the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Uuid>,
    /// W3C trace context of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Common to all commands of one request or saga.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Uuid>,
    /// SHA-256 over the request (hexadecimal): the same idempotency key with another request is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// The columns of `events` in the order [`StoredEvent`] reads them.
pub const EVENT_COLUMNS: &str = "partition, position, aggregate_type, aggregate_id, sequence, owner_id, event_id, event_type, \
     event_version, payload, metadata, command_id, occurred_at, recorded_at";

impl StoredEvent {
    /// The payload as a value of the domain.
    pub fn decode(&self) -> Result<Event, DecodeError> {
        Event::decode(&self.event_type, &self.event_version, self.payload.get().as_bytes())
    }
}

impl<'r> FromRow<'r, PgRow> for StoredEvent {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let sqlx::types::Json(payload) = row.try_get::<sqlx::types::Json<Box<RawValue>>, _>("payload")?;
        let sqlx::types::Json(metadata) = row.try_get::<sqlx::types::Json<Metadata>, _>("metadata")?;
        Ok(Self {
            partition: row.try_get("partition")?,
            position: row.try_get("position")?,
            aggregate_type: row.try_get("aggregate_type")?,
            aggregate_id: row.try_get("aggregate_id")?,
            sequence: row.try_get("sequence")?,
            owner_id: row.try_get("owner_id")?,
            event_id: row.try_get("event_id")?,
            event_type: row.try_get("event_type")?,
            event_version: row.try_get("event_version")?,
            payload,
            metadata,
            command_id: row.try_get("command_id")?,
            occurred_at: row.try_get("occurred_at")?,
            recorded_at: row.try_get("recorded_at")?,
        })
    }
}
