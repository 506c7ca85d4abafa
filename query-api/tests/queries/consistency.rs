//! Reading one's own writes with a token: woken by the notice, found in the checkpoints, or refused in time.
use std::sync::Arc;
use std::time::Duration;

use fittrack_domain::partition::{murmur2, partition_of};
use fittrack_runtime::problem::Problem;
use fittrack_schemas::consistency::{ConsistencyToken, TokenKey};
use query_api::freshness::Waits;
use query_api::read_model::ReadModel;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::stage::{Stage, Workout, eventually, notice};

#[tokio::test]
async fn a_query_with_a_token_waits_for_the_notice_and_shows_the_write() {
    let stage = Arc::new(Stage::new().await);
    let anna = stage.athlete("Anna").await;
    assert_eq!(stage.get("/v1/workouts", &anna).await.items("id").len(), 0);
    let token = stage.token(4, 10).await;
    let asked = tokio::spawn({
        let (stage, anna, token) = (Arc::clone(&stage), anna.clone(), token.clone());
        async move { stage.get_with("/v1/workouts", &anna, &[("consistency-token", &token)]).await }
    });
    // An earlier commit wakes and does not satisfy.
    stage.notify(&notice("workouts", 4, 9, &[]));
    tokio::task::yield_now().await;
    assert!(!asked.is_finished());
    stage.workout(&anna, Workout::at("2026-11-24T06:00:00Z")).await;
    stage.notify(&notice("workouts", 4, 10, &[anna.id]));
    let reply = asked.await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.items("id").len()), (200, 1));
    // The token in the query is the same, and the answer is kept without it.
    let again = stage.get(&format!("/v1/workouts?consistency_token={token}&limit=50"), &anna).await;
    assert_eq!(again.items("id").len(), 1);
}

#[tokio::test]
async fn a_lost_notice_costs_a_reading_of_the_checkpoints() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    assert_eq!(stage.get("/v1/workouts", &anna).await.items("id").len(), 0);
    stage.workout(&anna, Workout::at("2026-11-24T06:00:00Z")).await;
    let partition = partition_of(anna.id, 32);
    stage.checkpoint("workouts", partition, 10).await;
    let token = stage.token(partition, 10).await;
    let reply = stage.get_with("/v1/workouts", &anna, &[("consistency-token", &token)]).await;
    assert_eq!((reply.status.as_u16(), reply.items("id").len()), (200, 1));
}

#[tokio::test]
async fn a_token_that_is_not_reached_is_a_503_that_says_how_far_it_is() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    stage.checkpoint("workouts", 4, 9).await;
    let token = stage.token(4, 12).await;
    let reply = stage.get_with("/v1/workouts", &anna, &[("consistency-token", &token)]).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"));
    let problem = reply.json();
    assert_eq!(problem["type"], "https://fittrack.dev/problems/not-caught-up");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`workouts` has applied position 9") && detail.contains("3 events to go"), "{detail}");
    // Another read model is not asked.
    stage.checkpoint("profiles", 4, 12).await;
    assert_eq!(stage.get_with("/v1/me", &anna, &[("consistency-token", &token)]).await.status, 200);
}

/// Waits of these athletes for a token that only a notice of the test's meets.
fn waiting(stage: &Stage, waits: &Arc<Waits>, athletes: impl Iterator<Item = Uuid>) -> JoinSet<Result<(), Problem>> {
    let mut waiting = JoinSet::new();
    for athlete in athletes {
        let (app, waits) = (stage.app.clone(), Arc::clone(waits));
        waiting.spawn(async move {
            waits.until(athlete, &ConsistencyToken::of(4, 10), &[ReadModel::Workouts], &app.changes).await
        });
    }
    waiting
}

#[tokio::test]
async fn one_athletes_waits_leave_room_for_those_of_others() {
    let stage = Stage::new().await;
    let (anna, ben) = (Uuid::now_v7(), Uuid::now_v7());
    let waits = Arc::new(Waits::new(100, Duration::from_secs(60)));
    let mut of_anna = waiting(&stage, &waits, std::iter::repeat_n(anna, 200));
    // All but a few are told at once that it is not there yet.
    for _ in 0..200 - 16 {
        let refused = of_anna.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.kind().slug), (503, "not-caught-up"));
    }
    let mut of_ben = waiting(&stage, &waits, std::iter::repeat_n(ben, 16));
    tokio::task::yield_now().await;
    assert!(of_ben.try_join_next().is_none(), "there is room for his");
    stage.notify(&notice("workouts", 4, 10, &[]));
    for mut waited in [of_anna, of_ben] {
        assert_eq!(waited.len(), 16);
        while let Some(outcome) = waited.join_next().await {
            outcome.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn while_a_projector_stands_still_no_more_wait_than_there_is_room_for() {
    let stage = Stage::new().await;
    let waits = Arc::new(Waits::new(50, Duration::from_secs(5)));
    // Twice: whoever has waited leaves the place to others.
    for _ in 0..2 {
        let waited = waiting(&stage, &waits, (0..300).map(|_| Uuid::now_v7())).join_all().await;
        let of_kind = |kind: &str| {
            waited.iter().filter(|outcome| outcome.as_ref().is_err_and(|problem| problem.kind().slug == kind)).count()
        };
        assert_eq!((of_kind("not-caught-up"), of_kind("unavailable")), (50, 250));
    }
}

#[tokio::test]
async fn a_token_nobody_gave_out_is_refused() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    let given = stage.token(4, 0).await;
    let (positions, signature) = given.rsplit_once('.').unwrap();
    // What the first form was checked with, and anybody could work out.
    let digits = murmur2(b"4-0") & 0xffff;
    let of_another_store = ConsistencyToken::of(4, 0).signed(&TokenKey::new([7; 32]));
    let forged = [
        String::new(),
        "nonsense".to_owned(),
        format!("1.4-0.{digits:x}"),
        format!("2.4-0.{digits:x}"),
        positions.to_owned(),
        given[..given.len() - 1].to_owned(),
        format!("2.4-1.{signature}"),
        format!("2.5-0.{signature}"),
        format!("{positions}.5-0.{signature}"),
        of_another_store,
    ];
    for stage in [&stage, &stage.replica()] {
        for token in &forged {
            let in_header = stage.get_with("/v1/me", &anna, &[("consistency-token", token)]).await;
            let in_query = stage.get(&format!("/v1/me?consistency_token={token}"), &anna).await;
            for reply in [in_header, in_query] {
                assert_eq!(reply.status, 400, "{token}");
                assert!(reply.json()["detail"].as_str().unwrap().contains("drop it and ask without one"), "{token}");
            }
        }
        assert_eq!(stage.get_with("/v1/me", &anna, &[("consistency-token", &given)]).await.status, 200);
        assert_eq!(stage.get(&format!("/v1/me?consistency_token={given}"), &anna).await.status, 200);
    }
    // Ours, and still nobody's.
    let foreign = stage.token(32, 1).await;
    assert_eq!(stage.get_with("/v1/me", &anna, &[("consistency-token", &foreign)]).await.status, 400);
}

#[tokio::test]
async fn freshness_follows_the_slowest_read_model_used() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    let update =
        "UPDATE checkpoints SET as_of = now() - interval '1 minute' WHERE worker = 'profiles.v1' AND partition = 7";
    sqlx::query(update).execute(&stage.read_models).await.unwrap();
    stage.app.changes.read_checkpoints(Duration::ZERO).await.unwrap();
    let behind = |reply: crate::stage::Reply| reply.header("freshness").parse::<u64>().unwrap();
    for path in ["/v1/me", "/v1/leaderboards/distance_m"] {
        assert!(behind(stage.get(path, &anna).await) >= 60_000, "{path}");
    }
    assert!(behind(stage.get("/v1/workouts", &anna).await) < 60_000);
}

#[tokio::test]
async fn a_read_model_that_was_put_back_is_believed() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    stage.checkpoint("workouts", 4, 20).await;
    stage.app.changes.read_checkpoints(Duration::ZERO).await.unwrap();
    stage.checkpoint("workouts", 4, 3).await;
    let (app, model) = (stage.app.clone(), ReadModel::Workouts);
    eventually("the older state is known", || async {
        app.changes.read_checkpoints(Duration::ZERO).await.unwrap();
        app.changes.progress().applied(model, 4) == 3
    })
    .await;
    let token = stage.token(4, 3).await;
    let reply = stage.get_with("/v1/workouts", &anna, &[("consistency-token", &token)]).await;
    assert_eq!(reply.json(), json!({"items": [], "next": null}));
}
