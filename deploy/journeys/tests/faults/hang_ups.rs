//! Clients that leave after 0 to 5 ms: what they began runs to its end, and is in the log once or not at all.

use fittrack_journeys::invariants;
use fittrack_journeys::writers::Plan;

use super::{SOME, stage, under_load};

const IDLE_IN_TRANSACTION: &str = "
    SELECT count(*) FROM pg_stat_activity
    WHERE state LIKE 'idle in transaction%' AND state_change < now() - interval '2 seconds'";

#[tokio::test(flavor = "multi_thread")]
async fn clients_may_hang_up_at_any_moment() {
    let stage = stage().await;
    let stack = &stage.stack;
    let plan = Plan { hang_ups: 60, writers_each: 4, ..Plan::default() };
    let writers = under_load(stack, plan).await;
    writers.more(SOME * 4).await.unwrap();
    let idle: i64 =
        sqlx::query_scalar(IDLE_IN_TRANSACTION).fetch_one(&mut stack.event_store().await.unwrap()).await.unwrap();
    assert_eq!(idle, 0, "sessions stay idle in a transaction");
    let ledger = writers.stop().await.unwrap();
    invariants::hold(stack, &ledger, "clients that hang up").await.unwrap();
}
