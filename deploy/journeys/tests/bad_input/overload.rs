//! More than can be done at once is refused at once, with the time to come back; what is accepted is done.

use fittrack_journeys::{Call, TestStack, problem};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_rush_of_sign_ins_is_answered_or_turned_away_in_good_form() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let athlete = api.register("Crowd").await.unwrap();
    let body = json!({"email": athlete.email, "password": athlete.password});
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..150 {
        let (api, call) = (api.clone(), Call::post("/v1/account/sessions").json(&body));
        tasks.spawn(async move { api.send(&call).await });
    }
    let (mut signed_in, mut turned_away) = (0, 0);
    for answer in tasks.join_all().await {
        let answer = answer.unwrap();
        match answer.status {
            201 => signed_in += 1,
            429 | 503 => {
                problem::check(&answer, answer.status).unwrap();
                turned_away += 1;
            }
            _ => panic!("{answer}"),
        }
    }
    eprintln!("{signed_in} signed in, {turned_away} turned away");
    assert!(signed_in > 0 && turned_away > 0, "{signed_in} signed in, {turned_away} turned away");
    athlete.sign_in().await.unwrap();
}
