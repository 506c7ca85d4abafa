//! The loops that keep [`Changes`] true: checkpoints at a steady pace, and notices from Kafka or, without it, from Postgres. And
//! the one that reads the cursors' key, as soon as it is there. Each runs until cancelled and outlives its database and its broker.
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fittrack_runtime::backoff::Backoff;
use fittrack_runtime::private::Check;
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

/// Follows the notices: on Kafka where brokers are given, else those Postgres passes on.
pub async fn notices(
    changes: Arc<Changes>,
    brokers: Option<String>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    match brokers {
        Some(brokers) => kafka::follow(changes, &brokers, &stop).await,
        None => listen::follow(changes, &stop).await,
    }
    Ok(())
}

/// Reads what cursors are signed with, over and over until it is there; the check holds from then on.
pub async fn cursor_key(app: App, check: Check, stop: CancellationToken) -> Result<(), Infallible> {
    let mut backoff = Backoff::new(UNTOLD, TOLD);
    loop {
        match stop.run_until_cancelled(app.cursor_key()).await {
            None => return Ok(()),
            Some(Ok(_)) => {
                check.ready();
                return Ok(());
            }
            Some(Err(problem)) => check.unready(problem.detail().to_owned()),
        }
        if !backoff.wait(&stop).await {
            return Ok(());
        }
    }
}
