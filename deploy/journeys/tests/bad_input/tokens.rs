//! Who is not signed in gets 401 from both services, whatever is wrong with the token.

use fittrack_journeys::{Api, Call, TestStack, bodies, patience, problem};
use serde_json::json;

fn calls() -> Vec<Call> {
    vec![
        Call::post("/v1/workouts").json(&bodies::run("2025-01-05T06:00:00Z")),
        Call::delete("/v1/workouts/01980000-0000-7000-8000-000000000000"),
        Call::patch("/v1/me/profile").merge_patch(&json!({"bio": "x"})),
        Call::post("/v1/workouts/imports").text("application/gpx+xml", "<gpx/>"),
        Call::get("/v1/me"),
        Call::get("/v1/workouts"),
        Call::get("/v1/me/analytics/totals?by=week"),
        Call::get("/v1/leaderboards/distance_m"),
    ]
}

async fn all_unauthenticated(api: &Api, token: Option<&str>) {
    for call in calls() {
        let answer = api.send_as(&call, token).await.unwrap();
        problem::check(&answer, 401).unwrap_or_else(|wrong| panic!("{token:?}: {wrong:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_nothing_is_answered() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let athlete = api.register("Token").await.unwrap();
    let good = athlete.access_token();
    let parts: Vec<&str> = good.split('.').collect();
    all_unauthenticated(&api, None).await;
    let swapped: String = parts[2].chars().rev().collect();
    let bad = [
        "x".to_owned(),
        format!("{good}x"),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{swapped}", parts[0], parts[1]),
        // {"alg":"none"} before the same claims.
        format!("eyJhbGciOiJub25lIn0.{}.", parts[1]),
        format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", parts[1], parts[2]),
    ];
    for token in &bad {
        all_unauthenticated(&api, Some(token)).await;
    }
    for scheme in ["Basic YTpi", "Bearer", ""] {
        for call in calls() {
            let answer = api.send(&call.header("authorization", scheme)).await.unwrap();
            problem::check(&answer, 401).unwrap();
        }
    }
    athlete.get_seeing("/v1/me", &athlete.registered).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let athlete = api.register("Secret").await.unwrap();
    let mut answers = Vec::new();
    for email in [athlete.email.as_str(), "nobody@example.org", "no address"] {
        let body = json!({"email": email, "password": "a wrong password"});
        let answer = api.send(&Call::post("/v1/account/sessions").json(&body)).await.unwrap();
        problem::check(&answer, 401).unwrap();
        let document = answer.json();
        answers.push((document["type"].clone(), document["detail"].clone()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_is_refused_by_both_services_within_moments() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let athlete = api.register("Leaving").await.unwrap();
    let (left, stays) = (athlete.access_token(), api.register("Staying").await.unwrap());
    // The query API has the token in memory.
    athlete.get_seeing("/v1/workouts", &athlete.registered).await.unwrap();
    let sign_out = Call::delete("/v1/account/sessions/current");
    api.send_as(&sign_out, Some(&left)).await.unwrap().expecting(204).unwrap();
    patience::until("the services refuse the token", async || {
        for call in [Call::get("/v1/workouts"), Call::patch("/v1/me/profile").merge_patch(&json!({"bio": "x"}))] {
            let answer = api.send_as(&call, Some(&left)).await.map_err(|failure| format!("{failure:?}"))?;
            problem::check(&answer, 401).map_err(|wrong| format!("{wrong:?}"))?;
        }
        Ok(())
    })
    .await
    .unwrap();
    stays.get_seeing("/v1/workouts", &stays.registered).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_s_key_goes_as_far_as_its_scopes_at_both_services() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let athlete = api.register("Maker").await.unwrap();
    let owner = athlete.access_token();
    for (scope, reads, writes) in [("read", 200, 403), ("write", 403, 202)] {
        let make = Call::post("/v1/account/api-keys").json(&json!({"name": scope, "scopes": [scope]}));
        let key = api.send_as(&make, Some(&owner)).await.unwrap().expecting(201).unwrap().json()["key"].clone();
        let exchange = Call::post("/v1/account/api-keys/token").json(&json!({"api_key": key}));
        let token = api.send(&exchange).await.unwrap().expecting(200).unwrap().json()["access_token"].clone();
        let status = async |call: &Call| api.send_as(call, token.as_str()).await.unwrap().status;
        let list = Call::get("/v1/workouts").seeing(&athlete.registered);
        // The owner's answer is kept by the query API; that opens it to no token that may not read.
        athlete.get("/v1/workouts").await.unwrap();
        for read in [&list, &Call::get("/v1/workouts"), &Call::get("/v1/workouts")] {
            assert_eq!(status(read).await, reads, "{scope}: {read:?}");
        }
        let write = Call::post("/v1/workouts").json(&bodies::run("2025-01-05T06:00:00Z"));
        assert_eq!(status(&write).await, writes, "{scope}");
        assert_eq!(status(&Call::get("/v1/account/sessions")).await, 403, "{scope}");
    }
}
