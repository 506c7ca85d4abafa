//! Removes sessions that are long over, spent tokens too old to come again, and salts nobody needs any more.
//! A bounded number at a time; runs in every command API, and two at once do no harm.
use sqlx::PgPool;

/// Sessions not used for this long are over (they are after 14 days) and no longer announced.
const KEPT_DAYS: i32 = 15;
/// The most rows of a kind that one sweep removes.
const BATCH: i64 = 5_000;

const REMOVE_SESSIONS: &str = "
    DELETE FROM sessions WHERE session_id IN (
        SELECT session_id FROM sessions WHERE last_used_at < clock_timestamp() - make_interval(days => $1)
        ORDER BY last_used_at LIMIT $2)";

/// An older token that comes again is unknown, which refuses it all the same.
const REMOVE_TOKENS: &str = "
    DELETE FROM refresh_tokens WHERE token_hash IN (
        SELECT token_hash FROM refresh_tokens WHERE rotated_at < clock_timestamp() - make_interval(days => $1)
        ORDER BY rotated_at LIMIT $2)";

/// After the grace of ten seconds.
const FORGET_SALTS: &str = "
    UPDATE refresh_tokens SET successor_salt = NULL WHERE token_hash IN (
        SELECT token_hash FROM refresh_tokens
        WHERE successor_salt IS NOT NULL AND rotated_at < clock_timestamp() - interval '20 seconds'
        ORDER BY rotated_at LIMIT $1)";

/// Sweeps once; says how many rows were removed.
pub async fn sweep(pool: &PgPool) -> Result<u64, sqlx::Error> {
    sqlx::query(FORGET_SALTS).bind(BATCH).execute(pool).await?;
    let tokens = sqlx::query(REMOVE_TOKENS).bind(KEPT_DAYS).bind(BATCH).execute(pool).await?;
    let sessions = sqlx::query(REMOVE_SESSIONS).bind(KEPT_DAYS).bind(BATCH).execute(pool).await?;
    Ok(tokens.rows_affected() + sessions.rows_affected())
}
