//! Hints between processes: `NOTIFY fittrack_appended` with the partitions that have something new, at most every few
//! milliseconds and in a transaction of its own. Relays of other replicas and projectors without Kafka listen; whoever
//! misses a hint polls a moment later.
use std::{collections::BTreeSet, sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::wake::Wake;

/// The channel's name; the payload is `<sender>:<partition>,<partition>...`, or partitions alone.
pub const CHANNEL: &str = "fittrack_appended";
/// The least time between two hints of one process.
const INTERVAL: Duration = Duration::from_millis(5);

/// What this process has appended since its last hint.
#[derive(Debug, Default)]
pub struct Hints {
    partitions: std::sync::Mutex<BTreeSet<i32>>,
    bell: Notify,
}

impl Hints {
    /// Notes that these partitions have something new.
    pub fn note(&self, partitions: impl IntoIterator<Item = i32>) {
        if let Ok(mut noted) = self.partitions.lock() {
            noted.extend(partitions);
        }
        self.bell.notify_one();
    }

    /// Sends what was noted until cancelled. A hint that cannot be sent is dropped.
    pub async fn send(&self, pool: PgPool, sender: Uuid, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.bell.notified() => {}
                () = stop.cancelled() => return,
            }
            let noted = self.partitions.lock().map(|mut noted| std::mem::take(&mut *noted)).unwrap_or_default();
            if noted.is_empty() {
                continue;
            }
            let list: Vec<String> = noted.iter().map(ToString::to_string).collect();
            let payload = format!("{sender}:{}", list.join(","));
            let sent = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload).execute(&pool).await;
            if let Err(error) = sent {
                tracing::debug!(%error, "a hint was not sent");
            }
            sleep(INTERVAL).await;
        }
    }
}

/// Rings `wake` for what other processes have appended, until cancelled. Reconnects by itself.
pub async fn listen(pool: PgPool, own: Uuid, wake: Arc<Wake>, stop: CancellationToken) {
    let own = own.to_string();
    while !stop.is_cancelled() {
        let listened = tokio::select! {
            listened = listen_once(&pool, &own, &wake) => listened,
            () = stop.cancelled() => return,
        };
        if let Err(error) = listened {
            tracing::debug!(%error, "not listening for hints; polling goes on");
            tokio::select! {
                () = sleep(Duration::from_secs(1)) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

async fn listen_once(pool: &PgPool, own: &str, wake: &Wake) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    while let Some(hint) = listener.try_recv().await? {
        let (sender, partitions) = hint.payload().split_once(':').unwrap_or(("", hint.payload()));
        if sender != own {
            wake.ring(partitions.split(',').filter_map(|partition| partition.parse().ok()));
        }
    }
    Ok(())
}
