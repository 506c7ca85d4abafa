//! Ready answers: kept while nothing changed, never served after a notice, asked about by their tag.
use axum::Router;
use axum::http::Method;
use fittrack_domain::partition::{DEFAULT_PARTITIONS, partition_of};
use fittrack_runtime::edge::Edge;
use fittrack_schemas::notice::ChangeNotice;

use query_api::ready::ReadyFirst;

use crate::stage::{Athlete, Stage, Workout, notice};

async fn rename(stage: &Stage, athlete: &Athlete, name: &str) {
    let update = "UPDATE profiles_v1.profiles SET display_name = $2, version = version + 1 WHERE athlete_id = $1";
    sqlx::query(update).bind(athlete.id).bind(name).execute(&stage.read_models).await.unwrap();
}

async fn name(stage: &Stage, athlete: &Athlete) -> String {
    stage.get("/v1/me", athlete).await.json()["display_name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_answer_is_kept_until_a_notice_names_its_owner() {
    let stage = Stage::new().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    assert_eq!(name(&stage, &anna).await, "Anna");
    rename(&stage, &anna, "Anne").await;
    // Nobody has said so: the kept answer proves that the next ones come from memory.
    assert_eq!(name(&stage, &anna).await, "Anna");
    stage.notify(&notice("profiles", 1, 1, &[ben.id]));
    stage.notify(&notice("workouts", 1, 1, &[anna.id]));
    stage.notify(&ChangeNotice { version: 2, ..notice("profiles", 1, 1, &[anna.id]) });
    assert_eq!(name(&stage, &anna).await, "Anna", "neither another's notice nor one of a build that is not shown");
    stage.notify(&notice("profiles", 1, 2, &[anna.id]));
    assert_eq!(name(&stage, &anna).await, "Anne");
}

#[tokio::test]
async fn a_notice_without_names_drops_its_partitions() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    assert_eq!(name(&stage, &anna).await, "Anna");
    rename(&stage, &anna, "Anne").await;
    let partition = partition_of(anna.id, DEFAULT_PARTITIONS);
    stage.notify(&ChangeNotice { owners: None, ..notice("profiles", partition, 9, &[]) });
    assert_eq!(name(&stage, &anna).await, "Anne");
}

#[tokio::test]
async fn a_change_nobody_told_of_is_found_in_the_checkpoints() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    assert_eq!(name(&stage, &anna).await, "Anna");
    rename(&stage, &anna, "Anne").await;
    stage.checkpoint("profiles", partition_of(anna.id, DEFAULT_PARTITIONS), 5).await;
    stage.app.changes.read_checkpoints(std::time::Duration::ZERO).await.unwrap();
    assert_eq!(name(&stage, &anna).await, "Anne");
}

#[tokio::test]
async fn another_build_of_the_read_model_drops_everything() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    assert_eq!(name(&stage, &anna).await, "Anna");
    rename(&stage, &anna, "Anne").await;
    let shown = "INSERT INTO builds (read_model, version, generation, state) VALUES ('profiles', 1, 2, 'fed');
                 UPDATE read_models SET generation = 2, flips = flips + 1 WHERE name = 'profiles'";
    sqlx::raw_sql(shown).execute(&stage.read_models).await.unwrap();
    stage.app.changes.read_checkpoints(std::time::Duration::ZERO).await.unwrap();
    assert_eq!(name(&stage, &anna).await, "Anne");
}

#[tokio::test]
async fn others_see_a_workout_until_its_owner_makes_it_private() {
    let stage = Stage::new().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    let workout = Workout { visibility: "public", ..Workout::at("2026-11-24T06:00:00Z") };
    let id = stage.workout(&anna, workout.clone()).await;
    let path = format!("/v1/workouts/{id}");
    assert_eq!(stage.get(&path, &ben).await.status, 200);
    stage.workout(&anna, Workout { visibility: "private", version: 2, ..workout }).await;
    stage.notify(&notice("workouts", 1, 2, &[anna.id]));
    assert_eq!(stage.get(&path, &ben).await.status, 404);
    assert_eq!(stage.get(&path, &anna).await.header("etag"), "\"v2\"");
}

#[tokio::test]
async fn what_the_client_holds_is_not_sent_again() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    stage.workout(&anna, Workout::at("2026-11-24T06:00:00Z")).await;
    for path in ["/v1/me", "/v1/workouts", "/v1/leaderboards/distance_m"] {
        let full = stage.get(path, &anna).await;
        assert_eq!(full.status, 200, "{path}");
        assert_eq!(
            (full.header("cache-control"), full.header("vary")),
            ("private, no-cache", "authorization, accept-encoding")
        );
        assert!(full.header("freshness").parse::<u64>().is_ok(), "{path}");
        let tag = full.header("etag").to_owned();
        for held in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let unchanged = stage.get_with(path, &anna, &[("if-none-match", &held)]).await;
            assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0), "{path} {held}");
            assert_eq!(unchanged.header("etag"), tag);
        }
        let two_lines = stage.get_with(path, &anna, &[("if-none-match", "\"x\""), ("if-none-match", &tag)]).await;
        assert_eq!(two_lines.status, 304, "{path}");
        assert_eq!(stage.get_with(path, &anna, &[("if-none-match", "\"x\"")]).await.status, 200, "{path}");
        let head = stage.send(Method::HEAD, path, Some(&anna), &[]).await;
        assert_eq!((head.status.as_u16(), head.body.len(), head.header("etag")), (200, 0, tag.as_str()));
        assert_eq!(head.header("content-length"), full.body.len().to_string());
    }
}

#[tokio::test]
async fn a_kept_answer_needs_no_router_and_everything_else_does() {
    let mut stage = Stage::new().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    let paths = ["/v1/me", "/v1/leaderboards/distance_m?period=week"];
    let mut routed = Vec::new();
    for path in paths {
        routed.push(stage.get(path, &anna).await);
    }
    // Behind this one there is nothing: what is not ready is answered 404.
    stage.router = ReadyFirst::new(stage.app.clone(), Edge::default(), Router::new());
    for (path, routed) in paths.iter().zip(routed) {
        let ready = stage.get(path, &anna).await;
        assert_eq!((ready.status, &ready.body), (routed.status, &routed.body), "{path}");
        let names = |headers: &axum::http::HeaderMap| {
            let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
            names.retain(|name| name != "content-length"); // added when it is sent
            names.sort();
            names
        };
        assert_eq!(names(&ready.headers), names(&routed.headers), "{path}");
        assert_eq!(stage.get_with(path, &anna, &[("if-none-match", ready.header("etag"))]).await.status, 304);
    }
    let unready = [
        stage.get("/v1/me", &ben).await,
        stage.get("/v1/leaderboards/distance_m?period=week", &ben).await, // his token was never checked
        stage.get("/v1/workouts", &anna).await,
        stage.get_with("/v1/me", &anna, &[("consistency-token", "v1.0-0")]).await,
        stage.get("/v1/me?consistency_token=v1.0-0", &anna).await,
        stage.send(Method::HEAD, "/v1/me", Some(&anna), &[]).await,
        stage.send(Method::DELETE, "/v1/me", Some(&anna), &[]).await,
        stage.send(Method::GET, "/v1/me", None, &[]).await,
    ];
    assert!(unready.iter().all(|reply| reply.status == 404), "{unready:?}");
    stage.notify(&notice("profiles", 1, 2, &[anna.id]));
    assert_eq!(stage.get("/v1/me", &anna).await.status, 404);
}
