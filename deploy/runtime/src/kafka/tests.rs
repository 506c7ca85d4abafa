use rdkafka::Message;
use rdkafka::admin::AdminOptions;
use rdkafka::consumer::Consumer as _;
use tokio_util::sync::CancellationToken;

use super::*;

#[path = "../../testing/kafka.rs"]
mod given;

const REQUEST: Duration = Duration::from_secs(5);

fn nowhere() -> KafkaAccess {
    KafkaAccess::plaintext("127.0.0.1:1")
}

#[test]
fn the_clients_accept_their_settings() {
    let _producer = producer(&nowhere(), "test").unwrap();
    let _producer = hint_producer(&nowhere(), "test", &LogContext::default()).unwrap();
}

#[tokio::test]
async fn a_consumer_accepts_its_settings() {
    let _consumer = consumer(&nowhere(), "test", &ConsumerSettings::default()).unwrap();
    let settings = ConsumerSettings { partition_eof: true, ..ConsumerSettings::default() };
    let _consumer = consumer(&nowhere(), "test", &settings).unwrap();
}

#[tokio::test]
async fn waiting_for_a_broker_that_is_not_there_can_be_cancelled() {
    let topics = [TopicSpec { name: "t".into(), partitions: 1, replication: 1, config: vec![] }];
    let token = CancellationToken::new();
    token.cancel();
    let outcome = ensure_topics(&nowhere(), &topics, &token).await;
    assert!(matches!(outcome, Err(TopicError::Cancelled)), "{outcome:?}");
}

#[tokio::test]
async fn topics_are_made_once_and_another_number_of_partitions_is_refused() {
    let access = given::access();
    let name = format!("runtime-test-{}", uuid::Uuid::now_v7());
    let config = vec![("retention.ms".to_owned(), "3600000".to_owned())];
    let topic = TopicSpec { name: name.clone(), partitions: 3, replication: 1, config };
    let token = CancellationToken::new();
    for _ in 0..2 {
        ensure_topics(&access, std::slice::from_ref(&topic), &token).await.unwrap();
    }
    let wider = TopicSpec { partitions: 4, ..topic };
    let refused = ensure_topics(&access, &[wider], &token).await;
    assert!(matches!(refused, Err(TopicError::Partitions { actual: 3, expected: 4, .. })), "{refused:?}");

    let producer = producer(&access, "test").unwrap();
    let record = rdkafka::producer::FutureRecord::to(&name).key("k").payload("v").partition(1);
    producer.send(record, REQUEST).await.unwrap();
    let settings = ConsumerSettings { partition_eof: true, ..ConsumerSettings::default() };
    let consumer = consumer(&access, "test", &settings).unwrap();
    let mut assignment = rdkafka::TopicPartitionList::new();
    assignment.add_partition_offset(&name, 1, rdkafka::Offset::Offset(0)).unwrap();
    consumer.assign(&assignment).unwrap();
    let message = tokio::time::timeout(Duration::from_secs(60), consumer.recv()).await.unwrap().unwrap();
    assert_eq!(message.payload(), Some(&b"v"[..]));
    let end = tokio::time::timeout(Duration::from_secs(60), consumer.recv()).await.unwrap();
    assert!(matches!(end, Err(KafkaError::PartitionEOF(1))), "{end:?}");
    admin(&access, "test").unwrap().delete_topics(&[&name], &AdminOptions::new()).await.unwrap();
}
