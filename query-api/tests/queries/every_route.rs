//! Every route, with everything a client may do wrong; and what is answered before it is routed, the same way.
use std::collections::BTreeSet;

use axum::Router;
use axum::http::Method;
use fittrack_runtime::edge::EdgeSettings;
use fittrack_runtime::problem::CATALOGUE;
use query_api::problems::KINDS;
use query_api::ready::ReadyFirst;
use query_api::routes;

use crate::stage::{Stage, Workout};
use crate::walk::Walk;

#[tokio::test]
async fn whatever_is_done_wrong_the_answer_is_whole() {
    let stage = Stage::with_recordings().await;
    let anna = stage.athlete("Anna").await;
    stage.workout(&anna, Workout::at("2026-11-24T06:00:00Z")).await;
    let document = serde_json::to_value(routes::openapi()).unwrap();
    let mut walk = Walk::new(stage.router.clone(), &document, &anna.token);
    walk.all().await;
    walk.pages(CATALOGUE.iter().chain(KINDS)).await;
    let paged: BTreeSet<&str> = CATALOGUE.iter().chain(KINDS).map(|kind| kind.slug).collect();
    assert!(walk.met.iter().all(|slug| paged.contains(slug.as_str())), "without a page: {:?}", walk.met);
    for status in [200, 204, 304, 400, 401, 404, 405, 406, 414] {
        assert!(walk.answered.contains_key(&status), "never met {status}: {:?}", walk.answered);
    }
}

#[tokio::test]
async fn a_ready_answer_tells_other_origins_and_refuses_other_forms_as_the_router_does() {
    let mut stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    let settings = EdgeSettings { cors_origins: "https://app.example.org".parse().unwrap(), ..EdgeSettings::default() };
    let edge = routes::edge(&stage.app, settings);
    let page = [("origin", "https://app.example.org")];
    stage.router = ReadyFirst::new(stage.app.clone(), edge.clone(), routes::router(stage.app.clone(), &edge));
    let routed = stage.get_with("/v1/me", &anna, &page).await;
    let refused = stage.get_with("/v1/me", &anna, &[("accept", "text/html")]).await;
    assert_eq!((routed.status.as_u16(), refused.status.as_u16()), (200, 406));
    // Behind this one there is nothing: what is answered was ready.
    stage.router = ReadyFirst::new(stage.app.clone(), edge, Router::new());
    let ready = stage.get_with("/v1/me", &anna, &page).await;
    for name in ["access-control-allow-origin", "access-control-expose-headers"] {
        assert_eq!((ready.header(name), ready.header(name).is_empty()), (routed.header(name), false), "{name}");
    }
    let vary = |headers: &axum::http::HeaderMap| headers.get_all("vary").iter().cloned().collect::<Vec<_>>();
    assert_eq!(vary(&ready.headers), vary(&routed.headers));
    assert_eq!(vary(&ready.headers).len(), 2);
    assert_eq!(
        stage.get_with("/v1/me", &anna, &[("accept", "text/html")]).await.status,
        404,
        "not answered from memory"
    );
    assert_eq!(stage.send(Method::GET, "/v1/me", Some(&anna), &[("accept", "application/*")]).await.status, 200);
}
