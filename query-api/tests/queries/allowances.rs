//! How much one athlete may ask: ready answers count as those that are loaded do.
use fittrack_runtime::edge::EdgeSettings;
use query_api::ready::ReadyFirst;
use query_api::routes;

use crate::stage::Stage;

#[tokio::test]
async fn ready_answers_and_loaded_ones_are_counted_as_one_allowance() {
    let mut stage = Stage::new().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    let settings = EdgeSettings { rate_limits: "read=5/1h".parse().unwrap(), ..EdgeSettings::default() };
    let edge = routes::edge(&stage.app, settings);
    stage.router = ReadyFirst::new(stage.app.clone(), edge.clone(), routes::router(stage.app.clone(), &edge));
    // Makes the token known.
    assert_eq!(stage.get("/v1/me", &anna).await.status, 200);
    for (left, path) in [(4, "/v1/me"), (3, "/v1/me"), (2, "/v1/workouts"), (1, "/v1/workouts"), (0, "/v1/me")] {
        let reply = stage.get(path, &anna).await;
        assert_eq!((reply.status.as_u16(), reply.header("ratelimit-policy")), (200, "\"read\";q=5;w=3600"), "{path}");
        assert!(reply.header("ratelimit").starts_with(&format!("\"read\";r={left};t=")), "{reply:?}");
    }
    for path in ["/v1/me", "/v1/workouts", "/v1/leaderboards/distance_m"] {
        let refused = stage.get(path, &anna).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "720"), "{path}");
        assert_eq!(refused.json()["type"], "https://fittrack.dev/problems/quota-exceeded");
    }
    assert_eq!(stage.get("/v1/me", &ben).await.status, 200, "another athlete has their own");
}
