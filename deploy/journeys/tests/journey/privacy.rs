//! Two athletes: neither sees, changes or deletes what is the other's alone.

use fittrack_journeys::{Call, TestStack, bodies, problem};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_private_is_its_owner_s_alone() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let (ann, bo) = (api.register("Ann").await.unwrap(), api.register("Bo").await.unwrap());
    for visibility in ["private", "followers"] {
        let body = bodies::with(bodies::run("2025-07-01T06:00:00Z"), json!({"visibility": visibility}));
        let logged = ann.log(&body).await.unwrap();
        let path = format!("/v1/workouts/{}", logged.id().unwrap());
        ann.get_seeing(&path, &logged.token()).await.unwrap();
        for part in ["", "/recording", "/original"] {
            let hidden = Call::get(format!("{path}{part}")).seeing(&logged.token());
            problem::check(&bo.send(&hidden).await.unwrap(), 404).unwrap();
        }
        let change = Call::patch(&path).if_match(1).merge_patch(&json!({"visibility": "public"}));
        problem::check(&bo.send(&change).await.unwrap(), 404).unwrap();
        problem::check(&bo.send(&Call::delete(&path)).await.unwrap(), 404).unwrap();
        assert_eq!(bo.all("/v1/workouts", Some(&logged.token())).await.unwrap().len(), 0);
        ann.get(&path).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_public_shows_to_others_without_its_owner_s_notes() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let (ann, bo) = (api.register("Ann").await.unwrap(), api.register("Bo").await.unwrap());
    let extra = json!({"notes": "my knee hurts", "perceived_exertion": 7});
    let logged = ann.log(&bodies::with(bodies::run("2025-07-02T06:00:00Z"), extra)).await.unwrap();
    let path = format!("/v1/workouts/{}", logged.id().unwrap());
    let own = ann.get_seeing(&path, &logged.token()).await.unwrap().json();
    assert_eq!((&own["notes"], &own["perceived_exertion"]), (&json!("my knee hurts"), &json!(7)));
    let others = bo.get_seeing(&path, &logged.token()).await.unwrap();
    assert!(!String::from_utf8_lossy(&others.body).contains("knee"), "{others}");

    // Made private, it is gone for the other at once, from every cache.
    let hidden = ann.edit(logged.id().unwrap(), 1, &json!({"visibility": "private"})).await.unwrap();
    let gone = bo.send(&Call::get(&path).seeing(&hidden.token())).await.unwrap();
    problem::check(&gone, 404).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_an_address_of_another() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let (ann, bo) = (api.register("Ann").await.unwrap(), api.register("Bo").await.unwrap());
    let shown = bo.get_seeing(&format!("/v1/athletes/{}", ann.id), &ann.registered).await.unwrap();
    assert_eq!(shown.json()["display_name"], "Ann");
    assert!(!String::from_utf8_lossy(&shown.body).contains(&ann.email), "{shown}");
}
