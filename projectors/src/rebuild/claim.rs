//! One rebuild of a version at a time: an advisory lock that lasts as long as a connection, so that it falls with its process.
//! What a process writes that lost it without knowing is fenced by the epoch of its checkpoints, not by the lock.
use sqlx::{Connection, PgConnection, PgPool};

use super::RebuildError;
use crate::{audit::Operator, builds, registry::Built};

/// The right to rebuild a version.
pub struct Claim {
    connection: PgConnection,
}

/// 'FITT', as all advisory locks of FitTrack begin.
const TRY: &str = "SELECT pg_try_advisory_lock(1179210836, hashtext('rebuild ' || $1))";

impl Claim {
    /// Takes the right, or says who has it.
    pub async fn take(owner: &PgPool, built: Built, operator: &Operator) -> Result<Self, RebuildError> {
        let mut connection = owner.acquire().await?.detach();
        let version = format!("{}.v{}", built.name(), built.build.version);
        if sqlx::query_scalar(TRY).bind(version).fetch_one(&mut connection).await? {
            tracing::info!(build = built.worker(), by = operator.name, "rebuilding");
            return Ok(Self { connection });
        }
        let all = builds::all(&mut connection, Some(built.name())).await?;
        let other = all
            .iter()
            .rev()
            .find(|known| known.built.build.version == built.build.version && known.filling_since.is_some());
        let unknown = || "somebody".to_owned();
        Err(RebuildError::Busy {
            build: other.map_or_else(|| built.worker(), |known| known.built.worker()),
            by: other.and_then(|known| known.filled_by.clone()).unwrap_or_else(unknown),
            since: other
                .and_then(|known| known.filling_since)
                .map_or_else(|| "a moment ago".to_owned(), |since| since.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
        })
    }

    /// Gives the right back.
    pub async fn release(self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "the connection of a rebuild's claim was lost");
        }
    }
}
