//! Long answers in the coding a client likes, from memory as from the database, each with a tag of its own.
use std::io::Read;

use axum::Router;
use fittrack_runtime::edge::Edge;
use query_api::ready::ReadyFirst;

use crate::stage::{Athlete, Reply, Stage, Workout};

async fn stage() -> (Stage, Athlete) {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    for hour in 0..10 {
        stage.workout(&anna, Workout::at(&format!("2026-11-20T0{hour}:00:00Z"))).await;
    }
    (stage, anna)
}

fn decoded(reply: &Reply) -> Vec<u8> {
    let mut plain = Vec::new();
    match reply.header("content-encoding") {
        "zstd" => plain = zstd::stream::decode_all(&*reply.body).unwrap(),
        "br" => brotli::BrotliDecompress(&mut &*reply.body, &mut plain).unwrap(),
        "gzip" => {
            flate2::read::GzDecoder::new(&*reply.body).read_to_end(&mut plain).unwrap();
        }
        other => panic!("coded as `{other}`"),
    }
    plain
}

#[tokio::test]
async fn a_long_answer_comes_in_the_coding_the_client_likes() {
    let (mut stage, anna) = stage().await;
    let plain = stage.get("/v1/workouts", &anna).await;
    assert!(plain.body.len() > 1024 && plain.header("content-encoding").is_empty());
    assert_eq!(plain.header("vary"), "authorization, accept-encoding");
    // The second time there is nothing behind the ready answers.
    for only_ready in [false, true] {
        if only_ready {
            stage.router = ReadyFirst::new(stage.app.clone(), Edge::default(), Router::new());
        }
        for (accepted, coding) in [("gzip", "gzip"), ("br, gzip", "br"), ("gzip, deflate, br, zstd", "zstd")] {
            let coded = stage.get_with("/v1/workouts", &anna, &[("accept-encoding", accepted)]).await;
            assert_eq!((coded.status.as_u16(), coded.header("content-encoding")), (200, coding));
            assert_eq!(coded.header("content-type"), "application/json");
            assert_eq!(decoded(&coded), plain.body, "{coding}");
            assert!(coded.body.len() < plain.body.len() / 2, "{coding}: {} bytes", coded.body.len());
            let tag = format!("{}-{coding}\"", plain.header("etag").trim_end_matches('"'));
            assert_eq!(coded.header("etag"), tag);
            let held = [("accept-encoding", accepted), ("if-none-match", &*tag)];
            let unchanged = stage.get_with("/v1/workouts", &anna, &held).await;
            assert_eq!((unchanged.status.as_u16(), unchanged.body.len(), unchanged.header("etag")), (304, 0, &*tag));
            let other = [("accept-encoding", accepted), ("if-none-match", plain.header("etag"))];
            assert_eq!(stage.get_with("/v1/workouts", &anna, &other).await.status, 200, "another representation");
        }
        let refused = stage.get_with("/v1/workouts", &anna, &[("accept-encoding", "gzip;q=0, identity")]).await;
        assert_eq!((refused.header("etag"), &refused.body), (plain.header("etag"), &plain.body));
    }
}

#[tokio::test]
async fn what_is_short_and_what_a_command_may_name_comes_as_it_is() {
    let (stage, anna) = stage().await;
    let long_notes: &'static str = "Up the hill and down again. ".repeat(60).leak();
    let workout = Workout { notes: Some(long_notes), ..Workout::at("2026-11-24T06:00:00Z") };
    let id = stage.workout(&anna, workout).await;
    let all = [("accept-encoding", "gzip, br, zstd")];
    for path in ["/v1/me".to_owned(), "/v1/workouts?sport=row".to_owned(), format!("/v1/workouts/{id}")] {
        let reply = stage.get_with(&path, &anna, &all).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-encoding")), (200, ""), "{path}");
    }
    let one = stage.get_with(&format!("/v1/workouts/{id}"), &anna, &all).await;
    assert!(one.body.len() > 1024);
    assert_eq!(one.header("etag"), "\"v1\"", "what `If-Match` expects");
    let problem = stage.get_with("/v1/workouts?nowhere=1", &anna, &all).await;
    assert_eq!((problem.status.as_u16(), problem.header("content-encoding")), (400, ""));
}

#[tokio::test]
async fn an_answer_that_takes_long_to_code_is_coded_too() {
    let (stage, anna) = stage().await;
    for minute in 0..190 {
        let at = format!("2026-11-21T{:02}:{:02}:00Z", minute / 60, minute % 60);
        stage.workout(&anna, Workout::at(&at)).await;
    }
    let path = "/v1/workouts?limit=200";
    let plain = stage.get(path, &anna).await;
    assert!(plain.body.len() > 64 * 1024, "{} bytes", plain.body.len());
    let all = [("accept-encoding", "gzip")];
    let first = stage.get_with(path, &anna, &all).await;
    assert_eq!(decoded(&first), plain.body);
    let again = stage.get_with(path, &anna, &all).await;
    assert_eq!((again.header("content-encoding"), &again.body), ("gzip", &first.body));
}
