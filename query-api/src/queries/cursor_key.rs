//! The secret that cursors are signed with, the same for every replica: made by a migration of the read models' database.
//! Read once, at start.
use sqlx::PgPool;

const SECRET: &str = "
SELECT secret
  FROM cursor_key";

/// The secret.
pub async fn secret(pool: &PgPool) -> Result<[u8; 32], sqlx::Error> {
    sqlx::query_scalar(SECRET).fetch_one(pool).await
}
