//! I5: what Kafka has kept is what the store holds, event by event. Names the very position of a change, payloads
//! included, for as long as Kafka keeps its messages.
use std::collections::HashMap;

use fittrack_schemas::envelope::{EVENT_COLUMNS, StoredEvent};
use sqlx::PgPool;

use super::CheckError;

/// How many messages one statement compares.
const PAGE: usize = 500;
/// So many differences are named; of the others, the number.
const NAMED: usize = 50;
/// The event type of an erased person's events: their contents are gone from the store, and will be from Kafka.
const REDACTED: &str = "redacted";

/// Compares messages with the store, a page at a time.
pub struct Comparison<'a> {
    store: &'a PgPool,
    page: Vec<StoredEvent>,
    differences: Vec<String>,
    unnamed: usize,
}

impl<'a> Comparison<'a> {
    /// Nothing compared yet.
    pub fn new(store: &'a PgPool) -> Self {
        Self { store, page: Vec::with_capacity(PAGE), differences: Vec::new(), unnamed: 0 }
    }

    /// Takes the event of a message; compares when there is a page of them.
    pub async fn take(&mut self, message: StoredEvent) -> Result<(), CheckError> {
        self.page.push(message);
        if self.page.len() >= PAGE { self.compare().await } else { Ok(()) }
    }

    /// Compares the rest and says each difference.
    pub async fn finish(mut self) -> Result<Vec<String>, CheckError> {
        self.compare().await?;
        if self.unnamed > 0 {
            self.differences.push(format!("I5: {} more messages differ from the store", self.unnamed));
        }
        Ok(self.differences)
    }

    async fn compare(&mut self) -> Result<(), CheckError> {
        let messages = std::mem::take(&mut self.page);
        let stored = read(self.store, &messages).await?;
        let found = messages.iter().filter_map(|message| {
            let stored = stored.get(&(message.partition, message.position));
            let difference = difference(message, stored)?;
            Some(format!("I5: partition {}, position {}: {difference}", message.partition, message.position))
        });
        for difference in found {
            if self.differences.len() < NAMED {
                self.differences.push(difference);
            } else {
                self.unnamed += 1;
            }
        }
        Ok(())
    }
}

/// The stored events at the messages' places.
async fn read(store: &PgPool, messages: &[StoredEvent]) -> Result<HashMap<(i32, i64), StoredEvent>, CheckError> {
    let (partitions, positions): (Vec<i32>, Vec<i64>) =
        messages.iter().map(|message| (message.partition, message.position)).unzip();
    let query = format!(
        "SELECT {EVENT_COLUMNS} FROM (SELECT DISTINCT * FROM unnest($1::integer[], $2::bigint[]) AS at (partition, position)) at
         JOIN events USING (partition, position)"
    );
    let events: Vec<StoredEvent> = sqlx::query_as(&query).bind(partitions).bind(positions).fetch_all(store).await?;
    Ok(events.into_iter().map(|event| ((event.partition, event.position), event)).collect())
}

/// In what a message is not the stored event; `None` where it is.
fn difference(message: &StoredEvent, stored: Option<&StoredEvent>) -> Option<String> {
    let Some(stored) = stored else {
        return Some(format!("event {} is in Kafka and not in the store", message.event_id));
    };
    if stored.event_id != message.event_id {
        return Some(format!("event {} in Kafka, {} in the store", message.event_id, stored.event_id));
    }
    let is_erased = stored.event_type == REDACTED && message.event_type != REDACTED;
    if is_erased || (envelope(stored), stored.payload.get()) == (envelope(message), message.payload.get()) {
        return None;
    }
    let part = if envelope(stored) == envelope(message) { "payload" } else { "envelope" };
    Some(format!("the {part} of event {} is not the one in Kafka", stored.event_id))
}

/// Whatever a message carries beside id, payload and place.
fn envelope(event: &StoredEvent) -> impl PartialEq {
    (
        (&event.aggregate_type, &event.aggregate_id, event.sequence, event.owner_id),
        (&event.event_type, &event.event_version, event.command_id),
        (event.occurred_at, event.recorded_at),
    )
}
