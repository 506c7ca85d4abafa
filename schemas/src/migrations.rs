//! The databases' migrations, compiled in, and how they are applied: by an owner's URL, never by a service's role.
use sqlx::{
    PgPool,
    migrate::{MigrateError, Migrator},
};

/// The event store: log, append function, relay cursors, import claims.
pub static EVENT_STORE: Migrator = sqlx::migrate!("./event-store");
/// Accounts.
pub static IDENTITY: Migrator = sqlx::migrate!("./identity");
/// Blobs of recordings, jobs of exports and imports, the key of consistency tokens.
pub static RECORDINGS: Migrator = sqlx::migrate!("./recordings");
/// Checkpoints and builds of the read models; their tables are made by [`crate::read_models`].
pub static READ_MODELS: Migrator = sqlx::migrate!("./read-models");

/// Applies what is missing. Runs are serialised by sqlx with an advisory lock, so two at once are harmless.
pub async fn apply(migrator: &Migrator, owner: &PgPool) -> Result<(), MigrateError> {
    migrator.run(owner).await
}
