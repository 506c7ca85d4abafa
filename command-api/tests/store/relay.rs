//! The relay against a real Kafka: everything in order, nothing lost, holders that come and go.
use crate::{road::Road, support::eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_event_reaches_kafka_in_store_order() {
    let road = Road::new().await;
    road.append(0..300).await;
    let relay = road.relay().await;
    road.append(300..600).await;
    let report = road.eventually_all_published().await;
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!((report.events, report.messages, report.repeats), (1200, Some(1200), Some(0)));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_relays_share_the_partitions_and_a_stopped_ones_share_goes_on() {
    let road = Road::new().await;
    let (one, two) = (road.relay().await, road.relay().await);
    eventually("both hold partitions", async || {
        road.database
            .count("SELECT count(DISTINCT holder) FROM checkpoints WHERE lease_expires_at > clock_timestamp()")
            .await
            == 2
    })
    .await;
    road.append(0..300).await;
    one.stop().await;
    road.append(300..600).await;
    let report = road.eventually_all_published().await;
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.events, 1200);
    two.stop().await;
}

/// A killed relay gives nothing back; the next one waits for the leases to run out and goes on from the written cursors.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_relay_is_replaced_and_nothing_is_lost() {
    let road = Road::new().await;
    let killed = road.relay().await;
    road.append(0..200).await;
    eventually("something is published", async || {
        road.database.count("SELECT count(*) FROM checkpoints WHERE position > 0").await > 0
    })
    .await;
    killed.task.abort();
    road.append(200..400).await;
    let next = road.relay().await;
    let report = road.eventually_all_published().await;
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.events, 800);
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_check_finds_a_planted_hole_and_a_foreign_owner() {
    let road = Road::new().await;
    road.append(0..10).await;
    assert_eq!(road.published_without_kafka().await, Vec::<String>::new());
    let plant = "UPDATE events SET position = position + 1 WHERE (partition, position) IN
                     (SELECT partition, max(position) FROM events GROUP BY partition ORDER BY partition LIMIT 1);
                 UPDATE events SET owner_id = gen_random_uuid() WHERE (partition, position) IN
                     (SELECT partition, max(position) FROM events GROUP BY partition ORDER BY partition DESC LIMIT 1);";
    road.spoil(plant).await;
    let found = road.published_without_kafka().await.join("\n");
    assert!(found.contains("I4: partition") && found.contains("I4: stream"), "{found}");
}
