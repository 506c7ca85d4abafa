//! How much one athlete may ask.
use fittrack_runtime::edge::EdgeSettings;
use serde_json::json;

use crate::support::{World, run};

#[tokio::test]
async fn a_command_too_many_is_refused_and_not_done() {
    let rate_limits = "write=2/1h".parse().unwrap();
    let world = World::behind(EdgeSettings { rate_limits, ..EdgeSettings::default() }).await;
    let (ann, ben) = (world.athlete("ann").await, world.athlete("ben").await);
    // The first makes the token known; before that there is no address either to count for, without a socket.
    for _ in 0..3 {
        ann.logs_a_run().await;
    }
    let refused = ann.post("/v1/workouts").header("idempotency-key", "k").json(&run()).await;
    refused.assert_problem(429, "quota-exceeded");
    assert_eq!(refused.body["violated-policies"], json!(["write"]));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"write\";q=2;w=3600"));
    assert_eq!(refused.header("retry-after"), Some("1800"));
    assert_eq!(world.workouts().await, 3);
    for _ in 0..3 {
        ben.logs_a_run().await;
    }
}
