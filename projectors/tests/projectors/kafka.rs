//! Through a real Kafka, on a topic of its own: repeats, gaps, messages that are no events, offsets that are gone.
use std::time::Duration;

use fittrack_domain::partition::DEFAULT_PARTITIONS;
use fittrack_runtime::kafka::{self, KafkaAccess, Producer, TopicSpec};
use fittrack_schemas::{envelope::StoredEvent, kafka_form};
use projectors::registry::Road;
use rdkafka::producer::FutureRecord;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    given::{History, athlete, run, workout},
    given_kafka,
    support::{self, Databases},
};

/// A topic that nobody else uses.
struct Topic {
    name: String,
    access: KafkaAccess,
    producer: Producer,
}

impl Topic {
    async fn new() -> Self {
        let access = given_kafka::access();
        let name = format!("projectors-test-{}", Uuid::now_v7());
        let spec = TopicSpec { name: name.clone(), partitions: DEFAULT_PARTITIONS, replication: 1, config: vec![] };
        kafka::ensure_topics(&access, &[spec], &CancellationToken::new()).await.unwrap();
        let producer = kafka::producer(&access, "projectors-test").unwrap();
        Self { name, access, producer }
    }

    async fn publish<'e>(&self, events: impl IntoIterator<Item = &'e StoredEvent>) {
        for event in events {
            let key = event.owner_id.to_string();
            let record = FutureRecord::to(&self.name)
                .key(&key)
                .partition(event.partition)
                .headers(kafka_form::headers(event))
                .payload(event.payload.get());
            self.producer.send(record, support::PATIENCE).await.unwrap();
        }
    }

    async fn publish_nonsense(&self, partition: i32) {
        let record = FutureRecord::<str, str>::to(&self.name).partition(partition).payload("not an event");
        self.producer.send(record, support::PATIENCE).await.unwrap();
    }

    fn road(&self) -> Road {
        Road::Kafka { access: self.access.clone(), topic: self.name.clone() }
    }
}

#[tokio::test]
async fn events_come_through_kafka_however_kafka_treats_them() {
    let databases = Databases::new().await;
    let topic = Topic::new().await;
    let mut history = History::default();
    for n in 0..60 {
        history.log(athlete(n % 7), workout(n), run(|_| {}));
    }
    databases.append(&history.events).await;
    let events = &history.events;
    let running = support::run_all(&databases.parts(), &topic.road());
    // Some twice, some never (not the last of its partition), and something that is no event.
    topic.publish(&events[..20]).await;
    topic.publish(&events[10..20]).await;
    topic.publish_nonsense(events[0].partition).await;
    topic.publish(&events[30..]).await;
    databases.eventually_all_at(history.heads()).await;
    running.stop().await;
    assert_eq!(databases.count("SELECT sum(workouts)::bigint FROM totals").await, 60);
    let hints = "SELECT count(*) FROM checkpoints WHERE worker = 'totals.v1' AND next_offset IS NOT NULL";
    let partitions: std::collections::BTreeSet<i32> = events.iter().map(|event| event.partition).collect();
    assert_eq!(usize::try_from(databases.count(hints).await).unwrap(), partitions.len());

    // A restart goes on behind what was read, even where the hint is not in Kafka any more.
    databases.execute("UPDATE checkpoints SET next_offset = 1000000 WHERE worker = 'workouts.v1'").await;
    let stored = history.events.len();
    for n in 60..100 {
        history.log(athlete(n % 7), workout(n), run(|_| {}));
    }
    databases.append(&history.events[stored..]).await;
    let running = support::run_all(&databases.parts(), &topic.road());
    topic.publish(&history.events[stored..]).await;
    databases.eventually_all_at(history.heads()).await;
    running.stop().await;
    assert_eq!(databases.count("SELECT sum(workouts)::bigint FROM totals").await, 100);
    assert_eq!(databases.rows("workouts").await.len(), 100);
}

#[tokio::test]
async fn partitions_that_come_and_go_are_read_on_where_they_stood() {
    let databases = Databases::new().await;
    let topic = Topic::new().await;
    let mut parts = databases.parts();
    parts.tuning.lease = Duration::from_secs(2);
    let first = support::run_all(&parts, &topic.road());
    let mut history = History::default();
    for round in 0..3 {
        let stored = history.events.len();
        for n in 0..40 {
            history.log(athlete(n % 20), workout(round * 40 + n), run(|_| {}));
        }
        databases.append(&history.events[stored..]).await;
        let second = support::run_all(&parts, &topic.road());
        topic.publish(&history.events[stored..]).await;
        databases.eventually_all_at(history.heads()).await;
        second.stop().await;
    }
    first.stop().await;
    assert_eq!(databases.count("SELECT sum(workouts)::bigint FROM totals").await, 120);
}
