//! Tells readers what a commit has changed: over Kafka, or over Postgres' `NOTIFY` where there is no Kafka.
//! A notice is a hint given after the commit; one that cannot be sent is dropped, because readers look at checkpoints too.
use std::sync::Arc;

use fittrack_runtime::{backoff::Backoff, kafka::Producer};
use fittrack_schemas::{notice::ChangeNotice, read_models::Build};
use metrics::counter;
use rdkafka::producer::{FutureRecord, Producer as _};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The channel of notices without Kafka.
const CHANNEL: &str = "fittrack_read_model_changes";
/// `NOTIFY` takes fewer than 8,000 bytes.
const MAX_PAYLOAD: usize = 7_900;
/// Notices that wait for Postgres; more are dropped.
const QUEUE: usize = 1_024;

/// Where notices go; clones share it.
#[derive(Clone)]
pub struct Notices {
    road: Road,
}

#[derive(Clone)]
enum Road {
    Kafka { producer: Arc<Producer>, topic: Arc<str> },
    Postgres(mpsc::Sender<String>),
    Nowhere,
}

impl Notices {
    /// Over this topic. The producer's own queue is the bound.
    pub fn over_kafka(producer: Producer, topic: &str) -> Self {
        Self { road: Road::Kafka { producer: Arc::new(producer), topic: topic.into() } }
    }

    /// Over the read models' database, sent by a task of its own until `stop` (and what waits then, still).
    pub fn over_postgres(read_models: PgPool, stop: CancellationToken) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(send(read_models, receiver, stop));
        Self { road: Road::Postgres(sender) }
    }

    /// Nowhere, for tests.
    pub fn nowhere() -> Self {
        Self { road: Road::Nowhere }
    }

    /// Hands a notice over; never waits, never fails.
    pub fn give(&self, notice: &ChangeNotice) {
        let handed_over = match &self.road {
            Road::Nowhere => true,
            Road::Kafka { producer, topic } => match serde_json::to_vec(notice) {
                Ok(json) => {
                    let record = FutureRecord::to(topic).key(notice.read_model.as_str()).payload(&json);
                    producer.send_result(record).is_ok()
                }
                Err(_) => false,
            },
            Road::Postgres(sender) => payload(notice).is_some_and(|payload| sender.try_send(payload).is_ok()),
        };
        if !handed_over {
            counter!("fittrack_notices_dropped_total").increment(1);
            tracing::debug!(read_model = notice.read_model, "a notice was dropped: its road is full");
        }
    }

    /// Waits (briefly) until what was handed over to Kafka is there; for programs that end.
    pub async fn flush(&self) {
        if let Road::Kafka { producer, .. } = &self.road {
            let producer = Arc::clone(producer);
            let flushing = tokio::task::spawn_blocking(move || producer.flush(std::time::Duration::from_secs(2)));
            if !matches!(flushing.await, Ok(Ok(()))) {
                tracing::warn!("notices were not sent; readers find the changes by themselves within a second or so");
            }
        }
    }
}

/// What is said of a commit to a build that is shown.
pub(crate) fn notice(build: Build, checkpoints: Vec<(i32, i64)>, owners: Option<Vec<Uuid>>) -> ChangeNotice {
    let Build { read_model, version, generation } = build;
    ChangeNotice { read_model: read_model.to_owned(), version, generation, checkpoints, owners }
}

/// The JSON, without the owners where it would be too long.
fn payload(notice: &ChangeNotice) -> Option<String> {
    let whole = serde_json::to_string(notice).ok()?;
    if whole.len() < MAX_PAYLOAD {
        return Some(whole);
    }
    let shorter = ChangeNotice { owners: None, ..notice.clone() };
    serde_json::to_string(&shorter).ok().filter(|payload| payload.len() < MAX_PAYLOAD)
}

async fn send(read_models: PgPool, mut notices: mpsc::Receiver<String>, stop: CancellationToken) {
    let mut backoff = Backoff::new(std::time::Duration::from_millis(50), std::time::Duration::from_secs(2));
    loop {
        let payload = tokio::select! {
            biased;
            Some(payload) = notices.recv() => payload,
            () = stop.cancelled() => return,
        };
        let sent = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload).execute(&read_models).await;
        match sent {
            Ok(_) => backoff.reset(),
            Err(error) => {
                counter!("fittrack_notices_dropped_total").increment(1);
                tracing::debug!(%error, "a notice was not sent");
                if !backoff.wait(&stop).await {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(owners: u128) -> ChangeNotice {
        ChangeNotice {
            read_model: "totals".into(),
            version: 1,
            generation: 1,
            checkpoints: vec![(3, 17)],
            owners: Some((0..owners).map(Uuid::from_u128).collect()),
        }
    }

    #[test]
    fn a_notice_too_long_for_postgres_names_no_owners() {
        let short: ChangeNotice = serde_json::from_str(&payload(&notice(3)).unwrap()).unwrap();
        assert_eq!(short, notice(3));
        let long: ChangeNotice = serde_json::from_str(&payload(&notice(1_000)).unwrap()).unwrap();
        assert_eq!(long, ChangeNotice { owners: None, ..notice(0) });
    }
}
