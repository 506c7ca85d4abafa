//! `If-Match` in every form a client may send it, on an edit, a delete and a profile's change.
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn if_match_in_every_form() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    for (if_match, status) in [
        (&["\"v1\""][..], 202),
        (&["*"], 202),
        (&[" * "], 202),
        (&["\"v7\", \"v1\""], 202),
        (&["\"v7\",\"v1\",\"x\""], 202),
        (&["\"v7\"", "\"v1\""], 202),
        (&["W/\"v7\", \"v1\""], 202),
        (&["\"v2\""], 412),
        (&["W/\"v1\""], 412),
        (&["w/\"v1\""], 400),
        (&["\"v1-gzip\""], 412),
        (&["\"V1\""], 412),
        (&["\"v01\""], 412),
        (&["\"\""], 412),
        (&["\"v2\", \"v3\""], 412),
        (&["v1"], 400),
        (&["\"v1"], 400),
        (&["\"v1\" \"v2\""], 400),
        (&["*, \"v1\""], 400),
        (&[""], 400),
    ] {
        let id = ann.logs_a_run().await;
        let path = format!("/v1/workouts/{id}");
        let mut edit = ann.patch(&path);
        let mut delete = ann.delete(&path);
        for line in if_match {
            edit = edit.header("if-match", line);
            delete = delete.header("if-match", line);
        }
        let edited = edit.merge_patch(&json!({"title": "again"})).await;
        assert_eq!(edited.status, status, "{if_match:?}: {}", edited.body);
        if status == 202 {
            assert_eq!(edited.header("etag"), Some("\"v2\""));
            continue;
        }
        let slug = if status == 412 { "precondition-failed" } else { "bad-request" };
        edited.assert_problem(status, slug);
        delete.answer().await.assert_problem(status, slug);
        assert_eq!(world.events_of(id).await, ["workout_logged"], "{if_match:?}");
    }
}

#[tokio::test]
async fn a_workout_that_is_not_there_has_no_version_to_match() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    for if_match in ["*", "\"v1\"", "W/\"v1\""] {
        let answer = ann.edits(uuid::Uuid::now_v7(), if_match, &json!({"title": "x"})).await;
        answer.assert_problem(404, "not-found");
    }
}
