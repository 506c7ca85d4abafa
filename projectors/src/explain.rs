//! `projectors explain NAME KEY`: which events made a row, and the row after each of them. The owner's events are folded one by
//! one in a transaction that is rolled back; until then the owner's log partition waits.
use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Connection, FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    owner::{self, OwnerError, Pages},
    parking::RefoldError,
    registry::Built,
};

/// At most so many steps are shown, the last ones.
pub const MOST_STEPS: usize = 1_000;

/// How a row came about.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The read model.
    pub projection: &'static str,
    /// Whose row it is.
    pub owner_id: Uuid,
    /// The log partition.
    pub partition: i32,
    /// How many events changed the row.
    pub events: usize,
    /// The first of them.
    pub first_position: Option<i64>,
    /// The last of them.
    pub last_position: Option<i64>,
    /// The last [`MOST_STEPS`] of them, in order.
    pub steps: VecDeque<Step>,
}

/// An event that changed the row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Its position in the log partition.
    pub position: i64,
    /// Its id.
    pub event_id: Uuid,
    /// Its type.
    pub event_type: String,
    /// When it was decided.
    pub occurred_at: DateTime<Utc>,
    /// The row after it; `None` where it removed the row.
    pub row: Option<Value>,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The key does not have as many parts as the table's.
    #[error("the key of {projection} is {columns}; `{given}` is none")]
    Key {
        /// The read model.
        projection: &'static str,
        /// Its key's columns.
        columns: String,
        /// What was given.
        given: String,
    },
    /// Neither the read model nor the event store knows it.
    #[error("nothing is known of {0}")]
    Unknown(String),
    /// The events cannot be folded or read.
    #[error(transparent)]
    Owner(#[from] OwnerError),
}

impl From<sqlx::Error> for ExplainError {
    fn from(error: sqlx::Error) -> Self {
        Self::Owner(error.into())
    }
}

impl From<RefoldError> for ExplainError {
    fn from(error: RefoldError) -> Self {
        Self::Owner(error.into())
    }
}

/// A row's primary key: its columns with their types, and the values that were asked for.
struct Key {
    columns: Vec<Column>,
    values: Vec<String>,
}

#[derive(FromRow)]
struct Column {
    name: String,
    kind: String,
}

/// How the row of this key came about; parts of the key are separated by slashes.
pub async fn explain(
    store: &PgPool,
    connection: &mut PgConnection,
    built: Built,
    key: &str,
) -> Result<Explained, ExplainError> {
    let given = key;
    let key = Key::parse(connection, built, key).await?;
    let owner_id = key.owner(store, connection, built).await?.ok_or_else(|| ExplainError::Unknown(given.to_owned()))?;
    let mut transaction = connection.begin().await?;
    // A batch that came in between would be counted twice.
    let mut pages = Pages::fenced(store, &mut transaction, built, owner_id).await?;
    let partition = pages.partition;
    owner::clear(&mut transaction, built, owner_id).await?;
    let (mut events, mut first_position, mut steps) = (0, None, VecDeque::new());
    let mut row: Option<Value> = None;
    while let Some(page) = pages.next(store, built).await? {
        for event in page {
            built.refold(&mut transaction, std::slice::from_ref(&event)).await.map_err(RefoldError::from)?;
            let now = key.row(&mut transaction, built).await?;
            if now == row {
                continue;
            }
            row.clone_from(&now);
            events += 1;
            first_position = first_position.or(Some(event.position));
            if steps.len() == MOST_STEPS {
                steps.pop_front();
            }
            let (event_id, event_type, occurred_at) = (event.event_id, event.event_type, event.occurred_at);
            steps.push_back(Step { position: event.position, event_id, event_type, occurred_at, row: now });
        }
    }
    transaction.rollback().await?;
    let last_position = steps.back().map(|step| step.position);
    Ok(Explained { projection: built.name(), owner_id, partition, events, first_position, last_position, steps })
}

const COLUMNS: &str = "
SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS kind
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = $1::regclass AND i.indisprimary
ORDER BY array_position(i.indkey::smallint[], a.attnum)";

impl Key {
    async fn parse(connection: &mut PgConnection, built: Built, given: &str) -> Result<Self, ExplainError> {
        let columns: Vec<Column> = sqlx::query_as(COLUMNS).bind(built.table()).fetch_all(&mut *connection).await?;
        let names = columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join("/");
        let key = Self { columns, values: given.split('/').map(str::to_owned).collect() };
        let refused = || ExplainError::Key { projection: built.name(), columns: names, given: given.to_owned() };
        if key.columns.len() != key.values.len() {
            return Err(refused());
        }
        // Whether each part is of its column's type, the database says best (class 22: data exception).
        match key.row(connection, built).await {
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code.starts_with("22")) => {
                Err(refused())
            }
            looked_up => looked_up.map(|_| key).map_err(Into::into),
        }
    }

    /// Whose row it is: the key says so, or the row, or the stream it is named after (the row may be gone).
    async fn owner(
        &self,
        store: &PgPool,
        connection: &mut PgConnection,
        built: Built,
    ) -> Result<Option<Uuid>, sqlx::Error> {
        let named = self.columns.iter().zip(&self.values).find(|(column, _)| column.name == "athlete_id");
        if let Some(owner_id) = named.and_then(|(_, value)| Uuid::try_parse(value).ok()) {
            return Ok(Some(owner_id));
        }
        if let Some(owner) = self.row(connection, built).await?.as_ref().and_then(|row| row["athlete_id"].as_str()) {
            return Ok(Uuid::try_parse(owner).ok());
        }
        sqlx::query_scalar("SELECT owner_id FROM events WHERE aggregate_type = 'workout' AND aggregate_id = $1 LIMIT 1")
            .bind(self.values.first())
            .fetch_optional(store)
            .await
    }

    async fn row(&self, connection: &mut PgConnection, built: Built) -> Result<Option<Value>, sqlx::Error> {
        let condition =
            (1..).zip(&self.columns).map(|(n, Column { name, kind })| format!("r.{name} = ${n}::text::{kind}"));
        let condition = condition.collect::<Vec<_>>().join(" AND ");
        let sql = format!("SELECT to_jsonb(r) FROM {} r WHERE {condition}", built.table());
        self.values
            .iter()
            .fold(sqlx::query_scalar(&sql), sqlx::query::QueryScalar::bind)
            .fetch_optional(connection)
            .await
    }
}

/// The explanation for people.
pub fn text(explained: &Explained) -> Result<String, serde_json::Error> {
    let position = |position: Option<i64>| position.map_or_else(|| "-".to_owned(), |position| position.to_string());
    let mut lines = vec![format!(
        "{} of owner {}, log partition {}: {} events, positions {} to {}",
        explained.projection,
        explained.owner_id,
        explained.partition,
        explained.events,
        position(explained.first_position),
        position(explained.last_position),
    )];
    if explained.steps.len() < explained.events {
        lines.push(format!("the last {} of them:", explained.steps.len()));
    }
    for step in &explained.steps {
        let at = step.occurred_at.format("%Y-%m-%d %H:%M:%S UTC");
        let row = step.row.as_ref().map(serde_json::to_string).transpose()?;
        lines.push(format!("{:>10}  {at}  {}", step.position, step.event_type));
        lines.push(format!("            {}", row.as_deref().unwrap_or("removed")));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}
