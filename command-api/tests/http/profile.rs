//! The profile: a merge patch, and what follows from it for later workouts.
use serde_json::{Value, json};

use crate::support::{World, run};

#[tokio::test]
async fn a_patch_changes_what_it_names_and_leaves_the_rest() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let patch = json!({"bio": "Runs", "birth_year": 1990, "sex": "female", "height_cm": 171, "units": "imperial"});
    let answer = ann.patch("/v1/me/profile").merge_patch(&patch).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!((answer.header("etag"), answer.header("location")), (Some("\"v2\""), Some("/v1/me")));
    let answer = ann.patch("/v1/me/profile").merge_patch(&json!({"bio": null, "height_cm": 172})).await;
    assert_eq!(answer.header("etag"), Some("\"v3\""));
    let profile = &world.last_payload(ann.athlete_id).await["profile"];
    assert_eq!(profile.get("bio"), None);
    assert_eq!(
        (&profile["height_cm"], &profile["sex"], &profile["display_name"]),
        (&json!(172), &json!("female"), &json!("ann"))
    );
}

#[tokio::test]
async fn a_patch_that_changes_nothing_stores_nothing() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let answer = ann.patch("/v1/me/profile").merge_patch(&json!({"display_name": "ann"})).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (202, Some("\"v1\"")));
    assert_eq!(world.events_of(ann.athlete_id).await.len(), 1);
}

#[tokio::test]
async fn refused_fields_are_named_together() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let patch = json!({"display_name": "", "sex": "x", "units": "stones", "height_cm": 1.5, "time_zone": "Nowhere", "default_visibility": "all"});
    let answer = ann.patch("/v1/me/profile").merge_patch(&patch).await;
    answer.assert_problem(422, "invalid-body");
    assert_eq!(
        answer.pointers(),
        ["#/display_name", "#/sex", "#/height_cm", "#/time_zone", "#/units", "#/default_visibility"]
    );
    for (patch, pointer) in [
        (json!({"display_name": null}), "#/display_name"),
        (json!({"birth_year": 1850}), "#/birth_year"),
        (json!({"height_cm": 20}), "#/height_cm"),
        (json!({"email": "x@example.org"}), "#/email"),
    ] {
        let answer = ann.patch("/v1/me/profile").merge_patch(&patch).await;
        assert_eq!((answer.status.as_u16(), answer.pointers()), (422, vec![pointer]), "{patch}");
    }
}

#[tokio::test]
async fn if_match_is_optional_and_honoured() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let send = |tag: &'static str, bio: &'static str| {
        let sending = ann.patch("/v1/me/profile").header("if-match", tag);
        async move { sending.merge_patch(&json!({"bio": bio})).await }
    };
    assert_eq!(send("\"v1\"", "one").await.status, 202);
    let stale = send("\"v1\"", "two").await;
    stale.assert_problem(412, "precondition-failed");
    assert_eq!(send("*", "three").await.status, 202);
}

#[tokio::test]
async fn new_workouts_follow_the_profile() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let patch = json!({"time_zone": "Pacific/Kiritimati", "default_visibility": "public"});
    assert_eq!(ann.patch("/v1/me/profile").merge_patch(&patch).await.status, 202);
    let mut late = run();
    late["started_at"] = Value::from("2026-10-01T12:00:00+02:00");
    let answer = ann.post("/v1/workouts").json(&late).await;
    let details = &world.last_payload(answer.id()).await["details"];
    assert_eq!(details["started_at"], "2026-10-01T10:00:00Z");
    assert_eq!((&details["local_date"], &details["visibility"]), (&json!("2026-10-02"), &json!("public")));
}

#[tokio::test]
async fn what_was_said_of_no_workout_is_private_and_another_default_changes_no_earlier_one() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let visibility = async |id| world.last_payload(id).await["details"]["visibility"].clone();
    let first = ann.post("/v1/workouts").json(&run()).await.id();
    assert_eq!(visibility(first).await, "private", "nobody has said anything yet");
    let patch = json!({"default_visibility": "public"});
    assert_eq!(ann.patch("/v1/me/profile").merge_patch(&patch).await.status, 202);
    let second = ann.post("/v1/workouts").json(&run()).await.id();
    assert_eq!((visibility(first).await, visibility(second).await), (json!("private"), json!("public")));
    assert_eq!(world.events_of(first).await.len(), 1, "an earlier workout is left alone");
    let patch = json!({"default_visibility": null});
    assert_eq!(ann.patch("/v1/me/profile").merge_patch(&patch).await.status, 422, "there is always a default");
}
