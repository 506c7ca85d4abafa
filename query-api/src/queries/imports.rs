//! Imports of zips, as the command API's worker notes them in the recordings database. An athlete sees their own alone.
use chrono::{DateTime, Utc};
use fittrack_schemas::consistency::{ConsistencyToken, TokenKey};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use uuid::Uuid;

/// An import with the numbers of its files.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ImportRow {
    /// Which.
    pub import_id: Uuid,
    /// `pending`, `running`, `succeeded` or `failed`.
    pub state: String,
    /// When the zip began to arrive.
    pub requested_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it is forgotten.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub reason: Option<String>,
    /// How many files there are.
    pub files: Option<i32>,
    /// Where its last event is.
    pub partition: Option<i32>,
    /// Where its last event is.
    pub position: Option<i64>,
    /// Files that were stored.
    pub stored: i64,
    /// Files that were there before.
    pub duplicate: i64,
    /// Files that were not taken in.
    pub refused: i64,
}

/// A file of an import.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct FileRow {
    /// Its place.
    pub number: i32,
    /// Its name.
    pub name: String,
    /// `stored`, `duplicate` or `refused`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// The workouts it is.
    pub workout_ids: Vec<Uuid>,
}

/// What became of a file of a zip, or of a part of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "activities/2026-10-01.fit", "status": "stored", "reason": null, "workout_ids": ["0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f"]
}))]
pub struct ImportedFile {
    /// Its name in the zip; of a part of an export `profile`, `measurements/...` or `workouts/...`.
    pub name: String,
    /// `stored`, `duplicate` (it was there before) or `refused`.
    #[schema(schema_with = status_schema)]
    pub status: String,
    /// Why it was refused, or stays as it was.
    pub reason: Option<String>,
    /// The workouts it is, of a stored one and of a duplicate.
    pub workout_ids: Vec<Uuid>,
}

/// An import, with a page of its files in the zip's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f", "state": "succeeded", "requested_at": "2026-11-02T18:21:09Z",
    "finished_at": "2026-11-02T18:21:12Z", "expires_at": "2026-11-09T18:21:12Z", "reason": null, "file_count": 1,
    "stored_count": 1, "duplicate_count": 0, "refused_count": 0, "consistency_token": "2.1f-12d688.kJ3vQ0a7Xw2e",
    "items": [{"name": "activities/2026-10-01.fit", "status": "stored", "reason": null,
               "workout_ids": ["0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f"]}],
    "next": null
}))]
pub struct Import {
    /// Which.
    pub id: Uuid,
    /// `pending`, `running`, `succeeded` (every file was looked at) or `failed` (the zip as a whole).
    #[schema(schema_with = state_schema)]
    pub state: String,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it is forgotten.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub reason: Option<String>,
    /// How many files there are, once that is known; each has an item in the end.
    #[schema(example = 120)]
    pub file_count: Option<i32>,
    /// How many were stored so far.
    #[schema(example = 117)]
    pub stored_count: i64,
    /// How many were there before.
    #[schema(example = 2)]
    pub duplicate_count: i64,
    /// How many were not taken in.
    #[schema(example = 1)]
    pub refused_count: i64,
    /// Of one that has succeeded: send it as `Consistency-Token` to see everything it stored.
    pub consistency_token: Option<String>,
    /// What became of the files.
    pub items: Vec<ImportedFile>,
    /// Where the list goes on: give it as `cursor`. Null on the last page.
    pub next: Option<String>,
}

impl From<FileRow> for ImportedFile {
    fn from(FileRow { name, status, reason, workout_ids, .. }: FileRow) -> Self {
        Self { name, status, reason, workout_ids }
    }
}

impl Import {
    /// An import with this page of its files; the key is that of its token.
    pub fn of(row: ImportRow, key: &TokenKey, items: Vec<ImportedFile>, next: Option<String>) -> Self {
        let last = row.partition.zip(row.position);
        let token = last.map(|(partition, position)| ConsistencyToken::of(partition, position).signed(key));
        Self {
            id: row.import_id,
            state: row.state,
            requested_at: row.requested_at,
            finished_at: row.finished_at,
            expires_at: row.expires_at,
            reason: row.reason,
            file_count: row.files,
            stored_count: row.stored,
            duplicate_count: row.duplicate,
            refused_count: row.refused,
            consistency_token: token,
            items,
            next,
        }
    }
}

fn state_schema() -> RefOr<Schema> {
    super::units::words("How far it is.", ["pending", "running", "succeeded", "failed"])
}

fn status_schema() -> RefOr<Schema> {
    super::units::words("What became of it.", ["stored", "duplicate", "refused"])
}

const IMPORT: &str = "
SELECT j.import_id, j.state, j.requested_at, j.finished_at, j.expires_at, j.reason, j.files, j.partition, j.position,
       f.stored, f.duplicate, f.refused
  FROM import_jobs j
 CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE status = 'stored') AS stored,
              count(*) FILTER (WHERE status = 'duplicate') AS duplicate,
              count(*) FILTER (WHERE status = 'refused') AS refused
         FROM import_files WHERE import_id = j.import_id) f
 WHERE j.import_id = $1
   AND j.athlete_id = $2
   AND j.state <> 'receiving'";

/// An athlete's own import.
pub async fn import(pool: &PgPool, id: Uuid, caller: Uuid) -> Result<Option<ImportRow>, sqlx::Error> {
    sqlx::query_as(IMPORT).bind(id).bind(caller).fetch_optional(pool).await
}

const FILES: &str = "
SELECT number, name, status, reason, workout_ids
  FROM import_files
 WHERE import_id = $1
   AND number > $2
 ORDER BY number
 LIMIT $3";

/// At most `rows` of an import's files, behind the one of this number.
pub async fn files(pool: &PgPool, id: Uuid, after: i64, rows: i64) -> Result<Vec<FileRow>, sqlx::Error> {
    sqlx::query_as(FILES).bind(id).bind(after).bind(rows).fetch_all(pool).await
}
