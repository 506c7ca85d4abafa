//! Imports of zips: shown to their athlete alone, with a page of what became of the files.
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{Athlete, Stage};

async fn import(on: &Stage, athlete: &Athlete, state: &str) -> Uuid {
    let id = Uuid::now_v7();
    let done = state == "succeeded";
    sqlx::query(
        "INSERT INTO import_jobs (import_id, athlete_id, state, files, partition, position) VALUES ($1, $2, $3, 5, $4, $5)",
    )
    .bind(id)
    .bind(athlete.id)
    .bind(state)
    .bind(done.then_some(3))
    .bind(done.then_some(77_i64))
    .execute(&on.recordings)
    .await
    .unwrap();
    for (number, status, reason) in
        [(0, "stored", None), (1, "duplicate", None), (2, "refused", Some("no activity file")), (3, "stored", None)]
    {
        sqlx::query(
            "INSERT INTO import_files (import_id, number, athlete_id, name, status, reason, workout_ids)
             VALUES ($1, $2, $3, 'file ' || $2, $4, $5, CASE WHEN $4 = 'refused' THEN '{}' ELSE ARRAY[$1] END)",
        )
        .bind(id)
        .bind(number)
        .bind(athlete.id)
        .bind(status)
        .bind(reason)
        .execute(&on.recordings)
        .await
        .unwrap();
    }
    id
}

#[tokio::test]
async fn an_import_says_what_became_of_its_files_page_by_page() {
    let stage = Stage::with_recordings().await;
    let anna = stage.athlete("Anna").await;
    let id = import(&stage, &anna, "succeeded").await;
    let reply = stage.get(&format!("/v1/imports/{id}?limit=3"), &anna).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (200, ""));
    assert_eq!(reply.header("freshness"), "0", "it is read where it is written");
    let said = reply.json();
    assert_eq!((&said["state"], &said["file_count"]), (&json!("succeeded"), &json!(5)));
    assert_eq!([&said["stored_count"], &said["duplicate_count"], &said["refused_count"]], [2, 1, 1]);
    assert_eq!(said["consistency_token"].as_str(), Some(&*stage.token(3, 77).await));
    assert_eq!(reply.items("status"), ["stored", "duplicate", "refused"]);
    assert_eq!(said["items"][2]["reason"], "no activity file");
    assert_eq!((&said["items"][0]["workout_ids"], &said["items"][2]["workout_ids"]), (&json!([id]), &json!([])));

    assert!(reply.header("link").contains("rel=\"next\""));
    let next = said["next"].as_str().unwrap();
    let rest = stage.get(&format!("/v1/imports/{id}?limit=3&cursor={next}"), &anna).await;
    assert_eq!((rest.items("name"), &rest.json()["next"]), (vec![json!("file 3")], &Value::Null));
    let etag = reply.header("etag").to_owned();
    let known = stage.get_with(&format!("/v1/imports/{id}?limit=3"), &anna, &[("if-none-match", &etag)]).await;
    assert_eq!(known.status, 304);
}

#[tokio::test]
async fn while_an_import_is_not_done_its_athlete_is_told_when_to_ask_again() {
    let stage = Stage::with_recordings().await;
    let anna = stage.athlete("Anna").await;
    let id = import(&stage, &anna, "running").await;
    let reply = stage.get(&format!("/v1/imports/{id}"), &anna).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (200, "1"));
    assert_eq!(reply.json()["consistency_token"], Value::Null);
}

#[tokio::test]
async fn an_import_is_its_athlete_s_alone_and_one_that_has_not_come_whole_is_none() {
    let stage = Stage::with_recordings().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    let id = import(&stage, &anna, "succeeded").await;
    assert_eq!(stage.get(&format!("/v1/imports/{id}"), &ben).await.status, 404);
    assert_eq!(stage.get(&format!("/v1/imports/{}", Uuid::now_v7()), &anna).await.status, 404);
    let arriving = import(&stage, &anna, "receiving").await;
    assert_eq!(stage.get(&format!("/v1/imports/{arriving}"), &anna).await.status, 404);
    let foreign = stage.get(&format!("/v1/imports/{id}?cursor=AQ"), &anna).await;
    assert_eq!(foreign.status, 400);
}
