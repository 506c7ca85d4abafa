//! Registrations of an address that has an account. They are answered as if they had made one (after the same hashing, with an id that
//! is nobody's), so that the answer tells nobody who has an account; the account's owner notices nothing.
//!
//! What still tells: signing in with the new password is refused, the query API has no such athlete, and the position in the
//! consistency token is one that was given out before. Only an e-mail that must be answered could hide that. Until FitTrack sends
//! any, the tries are throttled per address, client network and overall, and each is in the audit log.
use std::fmt;

use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// What was answered, and what was asked.
#[derive(Clone, FromRow)]
pub struct Decoy {
    /// As the idempotency key names it.
    pub command_id: Uuid,
    /// Nobody.
    pub athlete_id: Uuid,
    /// Argon2id, PHC string.
    pub password_hash: String,
    /// Of name and time zone.
    pub fingerprint: String,
    /// The log partition of the athlete who is none.
    pub partition: i32,
    /// Its last position at the time.
    pub position: i64,
}

/// Without the hash.
impl fmt::Debug for Decoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoy").field("command_id", &self.command_id).finish_non_exhaustive()
    }
}

const FIND: &str = "
    SELECT command_id, athlete_id, password_hash, fingerprint, partition, position
    FROM decoy_registrations WHERE command_id = $1";

/// What the same request was answered before.
pub async fn find(pool: &PgPool, command_id: Uuid) -> Result<Option<Decoy>, sqlx::Error> {
    sqlx::query_as(FIND).bind(command_id).fetch_optional(pool).await
}

const REMEMBER: &str = "
    INSERT INTO decoy_registrations (command_id, athlete_id, password_hash, fingerprint, partition, position)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (command_id) DO NOTHING";

/// Keeps an answer for a day; `false` where the same request has one already.
pub async fn remember(pool: &PgPool, decoy: &Decoy) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(REMEMBER)
        .bind(decoy.command_id)
        .bind(decoy.athlete_id)
        .bind(&decoy.password_hash)
        .bind(&decoy.fingerprint)
        .bind(decoy.partition)
        .bind(decoy.position)
        .execute(pool)
        .await?;
    Ok(inserted.rows_affected() == 1)
}
