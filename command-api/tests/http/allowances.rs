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

#[tokio::test]
async fn a_program_that_may_only_write_is_counted_for_its_athlete() {
    let rate_limits = "write=2/1h".parse().unwrap();
    let world = World::behind(EdgeSettings { rate_limits, ..EdgeSettings::default() }).await;
    let ann = world.athlete("ann").await;
    let made = ann.post("/v1/account/api-keys").json(&json!({"name": "watch", "scopes": ["write"]})).await;
    let key = json!({"api_key": made.body["key"].as_str().unwrap()});
    let exchanged = ann.post("/v1/account/api-keys/token").json(&key).await;
    let program = ann.with_token(exchanged.body["access_token"].as_str().unwrap());
    // The first makes the program's token known, as making the key did the athlete's.
    for _ in 0..3 {
        program.logs_a_run().await;
    }
    program.post("/v1/workouts").json(&run()).await.assert_problem(429, "quota-exceeded");
    ann.post("/v1/workouts").json(&run()).await.assert_problem(429, "quota-exceeded");
    assert_eq!(world.workouts().await, 3);
}
