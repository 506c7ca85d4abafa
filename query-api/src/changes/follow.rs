//! The loops that keep [`Changes`] true: checkpoints at a steady pace, and notices from Kafka or, without it, from Postgres. And
//! the one that reads a key, as soon as it is there. Each runs until cancelled and outlives its database and its broker.
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fittrack_runtime::backoff::Backoff;
use fittrack_runtime::kafka::KafkaAccess;
use fittrack_runtime::private::Check;
use fittrack_runtime::problem::Problem;
use tokio_util::sync::CancellationToken;

use super::{Changes, kafka, listen};
use crate::app::App;

/// While notices tell everything, checkpoints are read for freshness and as a net.
const TOLD: Duration = Duration::from_secs(1);
/// While they do not, checkpoints are how changes are found.
const UNTOLD: Duration = Duration::from_millis(250);

/// Reads checkpoints over and over; the check holds while that works, for then the read models can be read.
pub async fn checkpoints(changes: Arc<Changes>, check: Check, stop: CancellationToken) -> Result<(), Infallible> {
    loop {
        match stop.run_until_cancelled(changes.read_checkpoints(Duration::ZERO)).await {
            None => return Ok(()),
            Some(Ok(())) => check.ready(),
            Some(Err(error)) => check.unready(error.to_string()),
        }
        let pause = if changes.is_told() { TOLD } else { UNTOLD };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
            () = changes.asked_to_look() => {}
        }
    }
}

/// Follows the notices: on Kafka where there is one, else those Postgres passes on.
pub async fn notices(
    changes: Arc<Changes>,
    access: Option<KafkaAccess>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    match access {
        Some(access) => kafka::follow(changes, &access, &stop).await,
        None => listen::follow(changes, &stop).await,
    }
    Ok(())
}

/// Reads what cursors are signed with, over and over until it is there; the check holds from then on.
pub async fn cursor_key(app: App, check: Check, stop: CancellationToken) -> Result<(), Infallible> {
    until_read(check, stop, || async { app.cursor_key().await.map(drop) }).await
}

/// The same for what consistency tokens are signed with.
pub async fn token_key(app: App, check: Check, stop: CancellationToken) -> Result<(), Infallible> {
    until_read(check, stop, || async { app.token_key().await.map(drop) }).await
}

async fn until_read<F>(check: Check, stop: CancellationToken, read: impl Fn() -> F) -> Result<(), Infallible>
where
    F: Future<Output = Result<(), Problem>>,
{
    let attempt = || async { read().await.map_err(|problem| problem.detail().to_owned()) };
    check.once(Backoff::new(UNTOLD, TOLD), &stop, attempt).await;
    Ok(())
}
