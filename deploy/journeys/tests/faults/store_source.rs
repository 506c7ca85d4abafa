//! The smallest installation: projectors that follow the event store, without any Kafka.

use fittrack_journeys::invariants;
use fittrack_journeys::process::OwnProcess;
use fittrack_journeys::writers::Plan;
use fittrack_local::{KAFKA, Parts};

use super::{SOME, stage, under_load};

#[tokio::test(flavor = "multi_thread")]
async fn projectors_see_everything_without_kafka() {
    let stage = stage().await;
    let stack = &stage.stack;
    stack.stop_process("projectors").await.unwrap();
    stack.stop_process(KAFKA).await.unwrap();
    let arguments = ["run", "--source", "store"];
    let mut projectors = OwnProcess::spawn(stack, "projectors", &arguments, &["FITTRACK_KAFKA_BROKERS"]).unwrap();
    projectors.ready(stack).await.unwrap();

    let writers = under_load(stack, Plan::default()).await;
    writers.more(SOME).await.unwrap();
    let ledger = writers.stop().await.unwrap();
    assert!(ledger.reads_of_own_writes > 0, "nobody read what they had written");
    invariants::hold_without_kafka(stack, &ledger, "a run without Kafka").await.unwrap();

    // With Kafka back, all of it is published after all, and read again without harm.
    drop(projectors);
    stack.ensure_up(Parts::Everything).await.unwrap();
    invariants::hold(stack, &ledger, "Kafka coming back").await.unwrap();
}
