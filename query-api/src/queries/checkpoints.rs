//! Which build of each read model is shown, and how far its worker has come in each partition.
//! Read every second and by token waits; notices tell the same sooner.
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// One partition of one read model's shown build, or the read model alone where its worker has no checkpoint yet.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CheckpointRow {
    /// The read model's name.
    pub name: String,
    /// The version shown.
    pub version: i32,
    /// The generation of it that is shown.
    pub generation: i32,
    /// How often another build was shown.
    pub flips: i64,
    /// The log partition.
    pub partition: Option<i32>,
    /// Everything up to here is in the rows.
    pub position: Option<i64>,
    /// Everything recorded up to here is in the rows.
    pub as_of: Option<DateTime<Utc>>,
}

const SHOWN: &str = "
SELECT read_models.name, read_models.version, read_models.generation, read_models.flips, checkpoints.partition,
       checkpoints.position, checkpoints.as_of
  FROM read_models
  LEFT JOIN checkpoints ON checkpoints.worker = read_models.worker
 ORDER BY read_models.name, checkpoints.partition";

/// All read models' rows, in one snapshot.
pub async fn shown(pool: &PgPool) -> Result<Vec<CheckpointRow>, sqlx::Error> {
    sqlx::query_as(SHOWN).fetch_all(pool).await
}
