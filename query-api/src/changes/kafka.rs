//! Notices from the topic `fittrack.read-model-changes.v1`, read from its end: what was said before this process began, its
//! reading of checkpoints knows. Every replica reads all of them, so partitions are assigned by hand and nothing is committed.
use std::sync::Arc;
use std::time::Duration;

use fittrack_runtime::backoff::Backoff;
use fittrack_runtime::kafka::{Consumer, ConsumerSettings, KafkaAccess, consumer};
use fittrack_schemas::topics::READ_MODEL_CHANGES;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::Changes;

/// How long one question to the broker may take.
const REQUEST: Duration = Duration::from_secs(5);

pub(super) async fn follow(changes: Arc<Changes>, access: &KafkaAccess, stop: &CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        match stop.run_until_cancelled(session(&changes, access, &mut backoff)).await {
            None => return,
            Some(Ok(never)) => match never {},
            Some(Err(error)) => tracing::warn!(%error, "notices of changes do not come: reading checkpoints instead"),
        }
        changes.may_have_missed();
        if !backoff.wait(stop).await {
            return;
        }
    }
}

async fn session(
    changes: &Changes,
    access: &KafkaAccess,
    backoff: &mut Backoff,
) -> KafkaResult<std::convert::Infallible> {
    let settings = ConsumerSettings { queued_kilobytes: 4_096, ..ConsumerSettings::default() };
    let consumer = Arc::new(consumer(access, "fittrack-query-api", &settings)?);
    consumer.assign(&ends(Arc::clone(&consumer)).await?)?;
    backoff.reset();
    // Between the last session and these offsets notices may have passed unread.
    changes.may_have_missed();
    tracing::info!("following the notices of changes");
    loop {
        match consumer.recv().await {
            Ok(message) => match message.payload().map(serde_json::from_slice) {
                Some(Ok(notice)) => changes.apply(&notice),
                Some(Err(error)) => {
                    tracing::warn!(%error, offset = message.offset(), "a notice of changes cannot be read");
                    changes.may_have_missed();
                }
                None => {}
            },
            // The broker is away for a moment: the client goes on by itself where it was, and nothing is missed but time.
            Err(error) if is_passing(&error) => changes.may_have_missed(),
            Err(error) => return Err(error),
        }
    }
}

/// Where each partition of the topic ends now. The questions block, so they are asked off the async threads.
async fn ends(consumer: Arc<Consumer>) -> KafkaResult<TopicPartitionList> {
    let asked = tokio::task::spawn_blocking(move || {
        let metadata = consumer.fetch_metadata(Some(READ_MODEL_CHANGES), REQUEST)?;
        let mut ends = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions) {
            let (_, end) = consumer.fetch_watermarks(READ_MODEL_CHANGES, partition.id(), REQUEST)?;
            ends.add_partition_offset(READ_MODEL_CHANGES, partition.id(), Offset::Offset(end))?;
        }
        if ends.count() == 0 {
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
        }
        Ok(ends)
    });
    asked.await.unwrap_or(Err(KafkaError::Canceled))
}

fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
        )
    )
}
