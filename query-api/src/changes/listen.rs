//! Notices through Postgres' LISTEN, for installations without Kafka; the payload is the same JSON.
use std::sync::Arc;
use std::time::Duration;

use fittrack_runtime::backoff::Backoff;
use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;

use super::Changes;

/// The channel projectors notify.
pub(super) const CHANNEL: &str = "fittrack_read_model_changes";

pub(super) async fn follow(changes: Arc<Changes>, stop: &CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        match stop.run_until_cancelled(session(&changes, &mut backoff)).await {
            None => return,
            Some(Ok(never)) => match never {},
            Some(Err(error)) => {
                tracing::warn!(%error, "notices of changes cannot be listened for: reading checkpoints instead");
            }
        }
        changes.may_have_missed();
        if !backoff.wait(stop).await {
            return;
        }
    }
}

async fn session(changes: &Changes, backoff: &mut Backoff) -> Result<std::convert::Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(&changes.pool).await?;
    listener.listen(CHANNEL).await?;
    backoff.reset();
    changes.may_have_missed();
    loop {
        match listener.try_recv().await? {
            Some(notification) => match serde_json::from_str(notification.payload()) {
                Ok(notice) => changes.apply(&notice),
                Err(error) => {
                    tracing::warn!(%error, "a notice of changes cannot be read");
                    changes.may_have_missed();
                }
            },
            // The connection was lost; the next call opens another.
            None => changes.may_have_missed(),
        }
    }
}
