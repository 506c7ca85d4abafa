//! Blobs of recordings: uploaded files and encoded samples, by their hash.
//! Who may have one is decided by the workout that names it, in `workouts.rs`.
use sqlx::PgPool;

const CONTENT: &str = "
SELECT content
  FROM blobs
 WHERE sha256 = decode($1, 'hex')";

/// The content with this SHA-256 (hexadecimal).
pub async fn content(pool: &PgPool, sha256: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar(CONTENT).bind(sha256).fetch_optional(pool).await
}

const LENGTH: &str = "
SELECT octet_length(content)
  FROM blobs
 WHERE sha256 = decode($1, 'hex')";

/// How many bytes the content with this SHA-256 (hexadecimal) has, without reading it.
pub async fn length(pool: &PgPool, sha256: &str) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar(LENGTH).bind(sha256).fetch_optional(pool).await
}
