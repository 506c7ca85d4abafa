//! An event as a Kafka message: CloudEvents 1.0 in binary mode. Attributes are headers, the value is the payload byte for
//! byte, the key is the owner id, the Kafka partition is the log partition.
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use rdkafka::{
    Message,
    message::{Header, Headers, OwnedHeaders},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::envelope::{Metadata, StoredEvent};

/// Why a message is not an event.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// A header or the value is absent.
    #[error("the message has no {0}")]
    Missing(&'static str),
    /// A header or the value does not parse.
    #[error("the message's {0} does not parse")]
    Malformed(&'static str),
}

/// The headers of an event's message.
pub fn headers(event: &StoredEvent) -> OwnedHeaders {
    let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    // `insert` consumes the list; an option lends it out without making an empty one each time.
    let mut headers = Some(OwnedHeaders::new_with_capacity(18));
    let mut add = |key: &str, value: &str| {
        headers = headers.take().map(|headers| headers.insert(Header { key, value: Some(value) }));
    };
    add("ce_specversion", "1.0");
    add("ce_id", &event.event_id.to_string());
    add("ce_type", &event.event_type);
    add("ce_eventversion", &event.event_version);
    add("ce_source", "/fittrack/command-api");
    add("ce_subject", &format!("{}/{}", event.aggregate_type, event.aggregate_id));
    add("ce_time", &instant(event.occurred_at));
    add("ce_recordedtime", &instant(event.recorded_at));
    add("ce_partitionkey", &event.owner_id.to_string());
    add("ce_logpartition", &event.partition.to_string());
    add("ce_logposition", &event.position.to_string());
    add("ce_streamsequence", &event.sequence.to_string());
    add("ce_commandid", &event.command_id.to_string());
    if let Some(actor) = event.metadata.actor {
        add("ce_actor", &actor.to_string());
    }
    if let Some(correlation_id) = event.metadata.correlation_id {
        add("ce_correlationid", &correlation_id.to_string());
    }
    if let Some(traceparent) = &event.metadata.traceparent {
        add("traceparent", traceparent);
    }
    add("content-type", "application/json");
    headers.unwrap_or_default()
}

/// The event a message carries.
pub fn read<M: Message>(message: &M) -> Result<StoredEvent, MessageError> {
    let given = Given::of(message.headers().ok_or(MessageError::Missing("headers"))?);
    let subject = given.text("ce_subject")?;
    let (aggregate_type, aggregate_id) = subject.split_once('/').ok_or(MessageError::Malformed("ce_subject"))?;
    let value = message.payload().ok_or(MessageError::Missing("value"))?;
    let payload = std::str::from_utf8(value)
        .ok()
        .and_then(|text| RawValue::from_string(text.to_owned()).ok())
        .ok_or(MessageError::Malformed("value"))?;
    Ok(StoredEvent {
        partition: given.parsed("ce_logpartition")?,
        position: given.parsed("ce_logposition")?,
        aggregate_type: aggregate_type.to_owned(),
        aggregate_id: aggregate_id.to_owned(),
        sequence: given.parsed("ce_streamsequence")?,
        owner_id: given.parsed("ce_partitionkey")?,
        event_id: given.parsed("ce_id")?,
        event_type: given.text("ce_type")?.to_owned(),
        event_version: given.text("ce_eventversion")?.to_owned(),
        payload,
        metadata: Metadata {
            actor: given.optional("ce_actor")?,
            traceparent: given.get("traceparent").map(str::to_owned),
            correlation_id: given.optional("ce_correlationid")?,
            fingerprint: None,
        },
        command_id: given.parsed::<Uuid>("ce_commandid")?,
        occurred_at: given.instant("ce_time")?,
        recorded_at: given.instant("ce_recordedtime")?,
    })
}

/// More headers than an event's message has; what comes after is not ours.
const MOST_HEADERS: usize = 32;

/// A message's headers as they came. They are few and mostly in the order they are asked for, so looking through them costs
/// a third of making a map of every message.
struct Given<'m> {
    headers: [(&'m str, &'m str); MOST_HEADERS],
    count: usize,
}

impl<'m> Given<'m> {
    fn of(headers: &'m impl Headers) -> Self {
        let mut given = Self { headers: [("", ""); MOST_HEADERS], count: 0 };
        for header in headers.iter() {
            let Some(text) = header.value.and_then(|value| std::str::from_utf8(value).ok()) else { continue };
            let Some(place) = given.headers.get_mut(given.count) else { break };
            *place = (header.key, text);
            given.count += 1;
        }
        given
    }

    /// The last header of this name: who forwards a message may add to it.
    fn get(&self, name: &str) -> Option<&'m str> {
        let given = self.headers.get(..self.count).unwrap_or_default();
        given.iter().rev().find(|(key, _)| *key == name).map(|(_, text)| *text)
    }

    fn text(&self, name: &'static str) -> Result<&'m str, MessageError> {
        self.get(name).ok_or(MessageError::Missing(name))
    }

    fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T, MessageError> {
        self.text(name)?.parse().map_err(|_| MessageError::Malformed(name))
    }

    fn optional<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, MessageError> {
        self.get(name).map(|text| text.parse().map_err(|_| MessageError::Malformed(name))).transpose()
    }

    fn instant(&self, name: &'static str) -> Result<DateTime<Utc>, MessageError> {
        let instant = DateTime::parse_from_rfc3339(self.text(name)?).map_err(|_| MessageError::Malformed(name))?;
        Ok(instant.to_utc())
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::{Timestamp, message::OwnedMessage};

    use super::*;

    fn event() -> StoredEvent {
        StoredEvent {
            partition: 7,
            position: 42,
            aggregate_type: "workout".into(),
            aggregate_id: Uuid::from_u128(5).to_string(),
            sequence: 3,
            owner_id: Uuid::from_u128(9),
            event_id: Uuid::from_u128(11),
            event_type: "workout_deleted".into(),
            event_version: "1".into(),
            payload: RawValue::from_string(r#"{"a": 1.50}"#.into()).unwrap(),
            metadata: Metadata {
                actor: Some(Uuid::from_u128(9)),
                traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
                correlation_id: None,
                fingerprint: None,
            },
            command_id: Uuid::from_u128(12),
            occurred_at: "2026-11-01T12:00:00.123456Z".parse().unwrap(),
            recorded_at: "2026-11-01T12:00:00.223456Z".parse().unwrap(),
        }
    }

    fn message(event: &StoredEvent) -> OwnedMessage {
        let value = event.payload.get().as_bytes().to_vec();
        OwnedMessage::new(Some(value), None, "t".into(), Timestamp::NotAvailable, 7, 0, Some(headers(event)))
    }

    #[test]
    fn a_message_reads_back_as_the_event_it_was_made_from() {
        let event = event();
        let read = read(&message(&event)).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&event).unwrap());
        assert_eq!(read.payload.get(), r#"{"a": 1.50}"#);
    }

    #[test]
    fn a_message_without_its_position_is_no_event() {
        let stripped = OwnedMessage::new(
            Some(b"{}".to_vec()),
            None,
            "t".into(),
            Timestamp::NotAvailable,
            0,
            0,
            Some(OwnedHeaders::new().insert(Header { key: "ce_subject", value: Some("workout/1") })),
        );
        assert!(matches!(read(&stripped), Err(MessageError::Missing(_))));
    }
}
