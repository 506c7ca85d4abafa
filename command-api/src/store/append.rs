//! The append itself: the types of a batch, and the statement that stores it (`append_new_streams` where every command begins a
//! stream with one event, as most do, else `append_events`; both in `schemas/event-store/`).
//! Called by a lane; everything else about storing is who calls it when.
use chrono::{DateTime, Utc};
use fittrack_schemas::envelope::Metadata;
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

/// One command's events, to be stored together or not at all.
#[derive(Debug, Clone)]
pub struct Append {
    /// Identifies the command; a second append with it is a duplicate.
    pub command_id: Uuid,
    /// The log partition of the owner.
    pub partition: i32,
    /// `athlete`, `workout`.
    pub aggregate_type: &'static str,
    /// The stream.
    pub aggregate_id: Uuid,
    /// Whose log it is.
    pub owner_id: Uuid,
    /// The stream's version that the decision was made on; 0 for a new stream.
    pub expected_version: i64,
    /// 1 to [`Append::MAX_EVENTS`] events, in order.
    pub events: Vec<NewEvent>,
}

/// One event to be stored.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The event's own id.
    pub event_id: Uuid,
    /// `workout_logged`, ...
    pub event_type: String,
    /// The version of the payload's shape.
    pub event_version: String,
    /// The payload as JSON.
    pub payload: String,
    /// [`Metadata`] as JSON.
    pub metadata: String,
    /// When it was decided.
    pub occurred_at: DateTime<Utc>,
}

impl Append {
    /// A command leads to at most so many events (`append_events` looks no further for the last of a duplicate).
    pub const MAX_EVENTS: usize = 100;

    /// Its one event, where it does no more than begin a stream.
    fn begins_stream(&self) -> Option<&NewEvent> {
        match self.events.as_slice() {
            [event] if self.expected_version == 0 => Some(event),
            _ => None,
        }
    }

    /// About how many bytes it takes on its way.
    pub fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.payload.len() + event.metadata.len() + 200).sum()
    }
}

/// What became of one command of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its events are in the log.
    Stored(Place),
    /// It was in the log already.
    Duplicate(Earlier),
    /// The stream is at another version.
    Conflict {
        /// The version it is at.
        current_version: i64,
    },
}

/// Where a command's events are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The stream's version after the command.
    pub version: i64,
    /// The log partition.
    pub partition: i32,
    /// The position of its last event.
    pub position: i64,
}

/// A command that had been stored before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Where its events are.
    pub place: Place,
    /// The stream they are in.
    pub aggregate_id: String,
    /// The id of its first event; `None` where it was answered without any.
    pub first_event_id: Option<Uuid>,
    /// The metadata of its first event, or the fingerprint alone.
    pub metadata: Metadata,
}

impl Earlier {
    /// Whether it stored something.
    pub fn changed(&self) -> bool {
        self.first_event_id.is_some()
    }
}

const APPEND: &str = "SELECT command, outcome, version, partition, last_position, aggregate_id, first_event_id, metadata \
     FROM append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

const APPEND_NEW_STREAMS: &str = "SELECT append_new_streams($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// Stores a batch in one transaction of its own and says what became of each command, in the batch's order.
///
/// An error means that nothing of the batch is known to be stored; whether it was depends on the error.
pub async fn append(connection: &mut PgConnection, batch: &[&Append]) -> Result<Vec<Outcome>, sqlx::Error> {
    let began = batch.iter().map(|append| append.begins_stream()).collect::<Option<Vec<_>>>();
    if let Some(first_events) = began
        && let Some(outcomes) = append_new_streams(connection, batch, &first_events).await?
    {
        return Ok(outcomes);
    }
    append_any(connection, batch).await
}

/// Stores a batch whose every command begins a stream with one event; nothing, and `None`, where one of them is not new.
async fn append_new_streams(
    connection: &mut PgConnection,
    batch: &[&Append],
    first_events: &[&NewEvent],
) -> Result<Option<Vec<Outcome>>, sqlx::Error> {
    let positions: Option<Vec<i64>> = sqlx::query_scalar(APPEND_NEW_STREAMS)
        .bind(batch.iter().map(|append| append.command_id).collect::<Vec<_>>())
        .bind(batch.iter().map(|append| append.partition).collect::<Vec<_>>())
        .bind(batch.iter().map(|append| append.aggregate_type).collect::<Vec<_>>())
        .bind(batch.iter().map(|append| append.aggregate_id.to_string()).collect::<Vec<_>>())
        .bind(batch.iter().map(|append| append.owner_id).collect::<Vec<_>>())
        .bind(first_events.iter().map(|event| event.event_id).collect::<Vec<_>>())
        .bind(first_events.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>())
        .bind(first_events.iter().map(|event| event.event_version.as_str()).collect::<Vec<_>>())
        .bind(first_events.iter().map(|event| event.payload.as_str()).collect::<Vec<_>>())
        .bind(first_events.iter().map(|event| event.metadata.as_str()).collect::<Vec<_>>())
        .bind(first_events.iter().map(|event| event.occurred_at).collect::<Vec<_>>())
        .fetch_one(connection)
        .await?;
    let Some(positions) = positions else { return Ok(None) };
    as_many(positions.len(), batch)?;
    let stored = |(append, position): (&&Append, i64)| {
        Outcome::Stored(Place { version: 1, partition: append.partition, position })
    };
    Ok(Some(batch.iter().zip(positions).map(stored).collect()))
}

/// Stores whatever batch, each command judged by itself.
async fn append_any(connection: &mut PgConnection, batch: &[&Append]) -> Result<Vec<Outcome>, sqlx::Error> {
    let events = || batch.iter().flat_map(|append| &append.events);
    let event_commands: Vec<i32> =
        (1_i32..).zip(batch).flat_map(|(command, append)| std::iter::repeat_n(command, append.events.len())).collect();
    let rows = sqlx::query(APPEND)
        .bind(batch.iter().map(|append| append.command_id).collect::<Vec<_>>())
        .bind(batch.iter().map(|append| append.partition).collect::<Vec<_>>())
        .bind(batch.iter().map(|append| append.aggregate_type).collect::<Vec<_>>())
        .bind(batch.iter().map(|append| append.aggregate_id.to_string()).collect::<Vec<_>>())
        .bind(batch.iter().map(|append| append.owner_id).collect::<Vec<_>>())
        .bind(batch.iter().map(|append| append.expected_version).collect::<Vec<_>>())
        .bind(event_commands)
        .bind(events().map(|event| event.event_id).collect::<Vec<_>>())
        .bind(events().map(|event| event.event_type.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| event.event_version.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| event.payload.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| event.metadata.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| event.occurred_at).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    as_many(rows.len(), batch)?;
    rows.iter().map(outcome).collect()
}

/// Every command of a batch has an answer.
fn as_many(answers: usize, batch: &[&Append]) -> Result<(), sqlx::Error> {
    if answers == batch.len() {
        return Ok(());
    }
    Err(sqlx::Error::Protocol(format!("the event store answered {answers} of {} commands", batch.len())))
}

fn outcome(row: &PgRow) -> Result<Outcome, sqlx::Error> {
    let version = row.try_get("version")?;
    let place = || -> Result<Place, sqlx::Error> {
        Ok(Place { version, partition: row.try_get("partition")?, position: row.try_get("last_position")? })
    };
    match row.try_get::<&str, _>("outcome")? {
        "stored" => Ok(Outcome::Stored(place()?)),
        "conflict" => Ok(Outcome::Conflict { current_version: version }),
        "duplicate" => Ok(Outcome::Duplicate(Earlier {
            place: place()?,
            aggregate_id: row.try_get("aggregate_id")?,
            first_event_id: row.try_get("first_event_id")?,
            metadata: parse_metadata(row.try_get("metadata")?)?,
        })),
        other => Err(sqlx::Error::Protocol(format!("append_events answered the outcome {other}"))),
    }
}

fn parse_metadata(json: &str) -> Result<Metadata, sqlx::Error> {
    serde_json::from_str(json).map_err(|error| sqlx::Error::Decode(error.into()))
}

const FIND_COMMAND: &str = "
    SELECT first.partition, first.aggregate_id, first.event_id AS first_event_id, first.metadata::text AS metadata,
           last.sequence AS version, last.position AS last_position
    FROM events first
    CROSS JOIN LATERAL (
        SELECT e.sequence, e.position FROM events e
        WHERE e.aggregate_type = first.aggregate_type AND e.aggregate_id = first.aggregate_id
          AND e.sequence >= first.sequence AND e.sequence < first.sequence + 100 AND e.command_id = first.command_id
        ORDER BY e.sequence DESC LIMIT 1
    ) last
    WHERE first.command_id = $1 AND first.command_index = 0
    UNION ALL
    SELECT partition, aggregate_id, NULL, metadata::text, version, position FROM answered_commands WHERE command_id = $1
    LIMIT 1";

/// What a command stored or was answered, if it was: the answer to a retry that was decided without reaching the append.
pub async fn find_command(
    executor: impl sqlx::PgExecutor<'_>,
    command_id: Uuid,
) -> Result<Option<Earlier>, sqlx::Error> {
    let row = sqlx::query(FIND_COMMAND).bind(command_id).fetch_optional(executor).await?;
    row.map(|row| {
        Ok(Earlier {
            place: Place {
                version: row.try_get("version")?,
                partition: row.try_get("partition")?,
                position: row.try_get("last_position")?,
            },
            aggregate_id: row.try_get("aggregate_id")?,
            first_event_id: row.try_get("first_event_id")?,
            metadata: parse_metadata(row.try_get("metadata")?)?,
        })
    })
    .transpose()
}
