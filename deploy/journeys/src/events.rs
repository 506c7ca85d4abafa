//! The store's own account of what happened, read as its administrator and without any code of the services.
//! Every invariant and the model start from it.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use crate::failure::Result;
use crate::stack::TestStack;

/// One row of the log.
#[derive(Clone, Debug, FromRow)]
pub struct EventRow {
    pub partition: i32,
    pub position: i64,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: i64,
    pub owner_id: Uuid,
    pub event_id: Uuid,
    pub event_type: String,
    pub command_id: Uuid,
    pub command_index: i16,
    #[sqlx(json)]
    pub payload: Value,
}

const ALL: &str = "
    SELECT partition, position, aggregate_type, aggregate_id, sequence, owner_id, event_id, event_type, command_id,
           command_index, payload
    FROM events ORDER BY partition, position";

/// The whole log, partition by partition in order of position.
///
/// # Errors
/// When the store does not answer.
pub async fn all(stack: &TestStack) -> Result<Vec<EventRow>> {
    Ok(sqlx::query_as(ALL).fetch_all(&mut stack.event_store().await?).await?)
}

impl EventRow {
    /// What the workout says after this event.
    pub fn details(&self) -> &Value {
        if self.event_type == "workout_edited" { &self.payload["after"] } else { &self.payload["details"] }
    }

    /// A text by which a test recognises the command that caused it: a title it gave, a name it registered, a file it sent.
    pub fn mark(&self) -> Option<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match self.event_type.as_str() {
            "workout_logged" | "workout_edited" => text(&self.details()["title"]),
            "workout_imported" => {
                let recording = &self.payload["recording"];
                Some(format!("{}#{}", text(&recording["original_sha256"])?, recording["leg"]))
            }
            "workout_deleted" => Some(format!("deleted {}", self.aggregate_id)),
            "measurement_recorded" => {
                let (owner, day) = (self.owner_id, text(&self.payload["measured_on"])?);
                Some(format!("measured-{owner}-{day}-{:?}", self.payload["value"].as_f64()?))
            }
            "privacy_zones_set" => text(&self.payload["zones"][0]["name"]),
            "athlete_registered" | "profile_updated" => text(&self.payload["profile"]["display_name"]),
            _ => None,
        }
    }
}

/// The log with the questions tests ask of it.
pub struct Log {
    pub rows: Vec<EventRow>,
    by_mark: HashMap<String, Vec<usize>>,
    by_stream: HashMap<(String, i64), usize>,
}

impl Log {
    /// Reads the whole log.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn read(stack: &TestStack) -> Result<Self> {
        Ok(Self::of(all(stack).await?))
    }

    /// The log of these rows.
    pub fn of(rows: Vec<EventRow>) -> Self {
        let mut by_mark: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_stream = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            if let Some(mark) = row.mark() {
                by_mark.entry(mark).or_default().push(index);
            }
            by_stream.insert((row.aggregate_id.clone(), row.sequence), index);
        }
        Self { rows, by_mark, by_stream }
    }

    /// The events that carry this mark.
    pub fn marked(&self, mark: &str) -> Vec<&EventRow> {
        self.by_mark.get(mark).into_iter().flatten().map(|index| &self.rows[*index]).collect()
    }

    /// The event that made a stream be at this version.
    pub fn at(&self, id: Uuid, version: i64) -> Option<&EventRow> {
        self.by_stream.get(&(id.to_string(), version)).map(|index| &self.rows[*index])
    }

    /// The head of each partition that has one.
    pub fn heads(&self) -> std::collections::BTreeMap<i32, i64> {
        self.rows.iter().map(|row| (row.partition, row.position)).collect()
    }
}
