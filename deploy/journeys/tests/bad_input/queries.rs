//! Bad questions to the query API.

use fittrack_journeys::{Call, TestStack, bodies, problem};
use fittrack_schemas::consistency::{ConsistencyToken, TokenKey};
use reqwest::Method;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_are_none_are_400() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Asker").await.unwrap();
    let queries = [
        "/v1/workouts?limit=0",
        "/v1/workouts?limit=100000",
        "/v1/workouts?limit=ten",
        "/v1/workouts?cursor=abc",
        "/v1/workouts?cursor=%00",
        "/v1/workouts?from=yesterday",
        "/v1/workouts?from=2025-02-30",
        "/v1/workouts?sport=quidditch",
        "/v1/workouts?colour=red",
        "/v1/workouts?limit=1&limit=2",
        "/v1/workouts?consistency_token=forged",
        "/v1/me?everything=yes",
        "/v1/me/analytics/totals",
        "/v1/me/analytics/totals?by=fortnight",
        "/v1/me/analytics/totals?by=week&from=2025-13-01",
        "/v1/leaderboards/distance_m?period=day%20off",
        "/v1/leaderboards/distance_m?date=2025-02-30",
        "/v1/leaderboards/distance_m?sport=quidditch",
        "/v1/leaderboards/distance_m/me?around=-1",
    ];
    for query in queries {
        let answer = athlete.send(&Call::get(query)).await.unwrap();
        problem::check(&answer, 400).unwrap_or_else(|wrong| panic!("{query}: {wrong:?}"));
    }
    for token in ["forged", "1.", "1.0-1.0", "2.0-1.AAAAAAAAAAAA", "99.0-1.ffff"] {
        let answer = athlete.send(&Call::get("/v1/me").seeing(token)).await.unwrap();
        problem::check(&answer, 400).unwrap_or_else(|wrong| panic!("{token}: {wrong:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_404_and_the_wrong_method_405() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Seeker").await.unwrap();
    let nobody = Uuid::now_v7();
    for path in [
        "/v1/nowhere".to_owned(),
        "/".to_owned(),
        format!("/v1/workouts/{nobody}"),
        format!("/v1/workouts/{nobody}/recording"),
        format!("/v1/workouts/{nobody}/original"),
        format!("/v1/athletes/{nobody}"),
        "/v1/leaderboards/fame".to_owned(),
    ] {
        let answer = athlete.send(&Call::get(&path)).await.unwrap();
        problem::check(&answer, 404).unwrap_or_else(|wrong| panic!("{path}: {wrong:?}"));
    }
    let logged = athlete.log(&bodies::run("2025-01-05T06:00:00Z")).await.unwrap();
    let by_hand = format!("/v1/workouts/{}/recording", logged.id().unwrap());
    problem::check(&athlete.send(&Call::get(by_hand).seeing(&logged.token())).await.unwrap(), 404).unwrap();

    // Straight at the query API, past the rule by which a gateway would have sent it elsewhere.
    let base = stack.url("query-api").unwrap();
    let wrong_way = fittrack_journeys::Api::new(vec![base.clone()], vec![base]).unwrap();
    for (method, path) in [(Method::POST, "/v1/workouts"), (Method::DELETE, "/v1/me"), (Method::PUT, "/v1/me")] {
        let answer = wrong_way.send(&Call::new(method, path)).await.unwrap();
        problem::check(&answer, 405).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_the_future_waits_a_bounded_time_and_says_so() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Future").await.unwrap();
    // A position nobody has written yet, in the athlete's own partition.
    let key = TokenKey::read(&mut stack.recordings().await.unwrap()).await.unwrap();
    let written = ConsistencyToken::read(&athlete.registered, &key).unwrap();
    let (partition, position) = written.positions().next().unwrap();
    let token = ConsistencyToken::of(partition, position + 1_000_000).signed(&key);
    let started = std::time::Instant::now();
    let answer = athlete.send(&Call::get("/v1/me").seeing(&token)).await.unwrap();
    problem::check(&answer, 503).unwrap();
    assert!(started.elapsed() > std::time::Duration::from_millis(100), "it did not wait at all");
    assert_eq!(answer.problem().as_deref(), Some("not-caught-up"), "{answer}");
}
