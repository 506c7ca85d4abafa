//! Who may see what: nobody without a token, others what is public, owners everything of theirs.
use axum::http::Method;
use serde_json::json;
use uuid::Uuid;

use crate::stage::{Stage, Workout};

#[tokio::test]
async fn every_route_but_the_description_needs_a_token() {
    let stage = Stage::new().await;
    let id = Uuid::now_v7();
    for path in [
        "/v1/me".to_owned(),
        format!("/v1/athletes/{id}"),
        "/v1/workouts".to_owned(),
        format!("/v1/workouts/{id}"),
        format!("/v1/workouts/{id}/recording"),
        format!("/v1/workouts/{id}/original"),
        "/v1/me/analytics/totals?by=week".to_owned(),
        "/v1/leaderboards/distance_m".to_owned(),
        "/v1/leaderboards/distance_m/me".to_owned(),
    ] {
        let reply = stage.send(Method::GET, &path, None, &[]).await;
        assert_eq!(reply.status, 401, "{path}");
        assert_eq!(reply.header("content-type"), "application/problem+json", "{path}");
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{path}");
    }
    let description = stage.send(Method::GET, "/openapi.json", None, &[]).await;
    assert_eq!(description.status, 200);
    assert_eq!(description.json()["info"]["title"], "FitTrack query API");
}

#[tokio::test]
async fn a_workout_shows_to_its_owner_and_where_it_is_public_to_others() {
    let stage = Stage::new().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    for (visibility, others) in [("private", 404), ("followers", 404), ("public", 200)] {
        let sets = json!([{"exercise": "squat", "repetitions": 5, "mass_kg": 80.0, "kind": "working"}]);
        let workout =
            Workout { visibility, notes: Some("my knee"), sets: Some(sets), ..Workout::at("2026-11-24T06:00:00Z") };
        let id = stage.workout(&anna, workout).await;
        let path = format!("/v1/workouts/{id}");
        let own = stage.get(&path, &anna).await;
        assert_eq!((own.status.as_u16(), own.header("etag")), (200, "\"v1\""), "{visibility}");
        let shown = own.json();
        assert_eq!((&shown["notes"], &shown["perceived_exertion"]), (&json!("my knee"), &json!(7)));
        assert_eq!((&shown["distance_m"], &shown["duration_s"]), (&json!(10_012.345), &json!(2730.5)));
        assert_eq!(shown["started_at"], "2026-11-24T06:00:00Z");
        assert_eq!(shown["sets"][0]["exercise"], "squat");
        assert_eq!(shown["recording"], json!(null));
        let other = stage.get(&path, &ben).await;
        assert_eq!(other.status, others, "{visibility}");
        if others == 200 {
            let shown = other.json();
            assert_eq!((&shown["athlete_id"], &shown["title"]), (&json!(anna.id), &json!("Morning run")));
            for hidden in ["notes", "perceived_exertion", "gear_id"] {
                assert_eq!(shown[hidden], json!(null), "{hidden}");
            }
        } else {
            assert_eq!(other.json()["type"], "https://fittrack.dev/problems/not-found");
        }
    }
    assert_eq!(stage.get("/v1/workouts", &ben).await.json(), json!({"items": [], "next": null}));
    assert_eq!(stage.get("/v1/workouts", &anna).await.items("id").len(), 3);
}

#[tokio::test]
async fn a_profile_shows_its_words_to_others_and_all_to_its_owner() {
    let stage = Stage::new().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    let path = format!("/v1/athletes/{}", anna.id);
    let mine = stage.get("/v1/me", &anna).await;
    assert_eq!((mine.status.as_u16(), mine.header("etag")), (200, "\"v2\""));
    assert_eq!(mine.json()["birth_year"], 1990);
    assert_eq!(stage.get(&path, &anna).await.json(), mine.json());
    let others = stage.get(&path, &ben).await.json();
    assert_eq!((&others["display_name"], &others["bio"]), (&json!("Anna"), &json!("Likes hills.")));
    let shown: Vec<&String> = others.as_object().unwrap().keys().collect();
    assert_eq!(shown, ["bio", "display_name", "id", "registered_at", "version"]);
    let nobody = stage.stranger();
    assert_eq!(stage.get("/v1/me", &nobody).await.status, 404);
    assert_eq!(stage.get(&format!("/v1/athletes/{}", nobody.id), &anna).await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_the_reason() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    for (path, reason) in [
        ("/v1/me?colour=red", "colour"),
        ("/v1/workouts?sprot=run", "sprot"),
        ("/v1/workouts?sport=running", "sport"),
        ("/v1/workouts?limit=0", "must be from 1 to 200"),
        ("/v1/workouts?limit=201", "must be from 1 to 200"),
        ("/v1/workouts?limit=many", "limit"),
        ("/v1/workouts?from=yesterday", "from"),
        ("/v1/workouts?text=", "1 to 200 characters"),
        ("/v1/workouts?text=%00", "1 to 200 characters"),
        ("/v1/workouts?cursor=AAAA", "cursor"),
        ("/v1/workouts/not-an-id", ""),
        ("/v1/me/analytics/totals", "by"),
        ("/v1/me/analytics/totals?by=decade", "by"),
        ("/v1/me/analytics/totals?by=day&from=-262143-01-01", "from"),
        ("/v1/leaderboards/distance_m?sport=chess", "sport"),
        ("/v1/leaderboards/distance_m?period=day", "period"),
        ("/v1/leaderboards/distance_m?date=9999999-01-01", "date"),
        ("/v1/leaderboards/distance_m/me?around=51", "around"),
        ("/v1/me?consistency_token=1.2", "consistency token"),
    ] {
        let reply = stage.get(path, &anna).await;
        assert_eq!(reply.status, 400, "{path}");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(reason), "{path}: {detail}");
    }
    for (path, status) in [("/v1/nothing", 404), ("/v1/leaderboards/beauty", 404), ("/v1/workouts", 405)] {
        let method = if status == 405 { Method::POST } else { Method::GET };
        let reply = stage.send(method, path, Some(&anna), &[]).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.header("content-type"), "application/problem+json", "{path}");
    }
}
