//! Reading one's own writes: whoever shows the token of a command sees it, in every read model, every time.

use fittrack_journeys::{TestStack, bodies};
use serde_json::json;

const WRITES: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn of_hundreds_of_writes_each_is_seen_by_the_next_read() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Uma").await.unwrap();
    let mut stale = Vec::new();
    let mut workouts = 0;
    let mut last = None;
    for nth in 0..WRITES {
        // A new workout, an edit of it, the next one: lists and sums change every time.
        let written = match last.take() {
            Some((id, version)) if nth % 2 == 1 => {
                athlete.edit(id, version, &json!({"title": format!("no {nth}"), "distance_m": nth})).await.unwrap()
            }
            _ => {
                workouts += 1;
                let body = bodies::run(&bodies::minutes_into_2025(i64::try_from(nth).unwrap() * 60));
                let written = athlete.log(&bodies::with(body, json!({"title": format!("no {nth}")}))).await.unwrap();
                last = written.id().zip(written.version());
                written
            }
        };
        let (id, token) = (written.id().unwrap(), written.token());
        let one = athlete.get_seeing(&format!("/v1/workouts/{id}"), &token).await.unwrap().json();
        if one["title"] != format!("no {nth}") || one["version"].as_i64() != written.version() {
            stale.push(format!("write {nth}: {one}"));
        }
        let year = athlete.get_seeing("/v1/me/analytics/totals?by=year", &token).await.unwrap();
        if year.items()[0]["workouts"] != workouts {
            stale.push(format!("write {nth}: {workouts} workouts, {year}"));
        }
        let newest = athlete.get_seeing("/v1/workouts?limit=1", &token).await.unwrap();
        if newest.items()[0]["title"] != format!("no {nth}") {
            stale.push(format!("write {nth}: {newest}"));
        }
    }
    assert_eq!(stale, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_be_given_in_the_query_string() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Una").await.unwrap();
    for nth in 0..20 {
        let logged = athlete.log(&bodies::run(&bodies::minutes_into_2025(nth))).await.unwrap();
        let (id, token) = (logged.id().unwrap(), logged.token());
        athlete.get(&format!("/v1/workouts/{id}?consistency_token={token}")).await.unwrap();
    }
}
