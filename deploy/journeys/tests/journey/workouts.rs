//! Lists of workouts, what is not sent again, and the profile they stand under. One workout from the log to its deletion is in
//! `documents.rs`.

use fittrack_journeys::{Call, TestStack, bodies};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_filtered_and_walked_page_by_page() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Lia").await.unwrap();
    let mut last = String::new();
    for day in 1..=9 {
        let sport = if day % 3 == 0 { "ride" } else { "run" };
        let body = bodies::run(&format!("2025-02-0{day}T08:00:00Z"));
        let body = bodies::with(body, json!({"sport": sport, "title": format!("day {day}")}));
        last = athlete.log(&body).await.unwrap().token();
    }
    let titles = async |query: &str| {
        let items = athlete.all(&format!("/v1/workouts?{query}"), Some(&last)).await.unwrap();
        let title = |item: &Value| item["title"].as_str().unwrap().trim_start_matches("day ").to_owned();
        items.iter().map(title).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(titles("limit=2").await, "9 8 7 6 5 4 3 2 1");
    assert_eq!(titles("sport=ride&limit=1").await, "9 6 3");
    assert_eq!(titles("from=2025-02-03&to=2025-02-05").await, "5 4 3");
    assert_eq!(titles("text=DAY%207").await, "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_answer_is_not_sent_again() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Ida").await.unwrap();
    let logged = athlete.log(&bodies::run("2025-05-05T05:05:05Z")).await.unwrap();
    let workout = format!("/v1/workouts/{}", logged.id().unwrap());
    for path in [workout.as_str(), "/v1/workouts", "/v1/me", "/v1/me/analytics/totals?by=week"] {
        let first = athlete.get_seeing(path, &logged.token()).await.unwrap();
        let etag = first.header("etag").unwrap().to_owned();
        for _ in 0..3 {
            let again = athlete.send(&Call::get(path).header("if-none-match", &etag)).await.unwrap();
            assert_eq!((again.status, again.body.len()), (304, 0), "{again}");
            assert_eq!(again.header("etag"), Some(etag.as_str()), "{path}");
        }
        let other = athlete.send(&Call::get(path).header("if-none-match", "\"another\"")).await.unwrap();
        assert_eq!((other.status, other.body), (200, first.body), "{path}");
    }

    // After a change the same question gets the new answer, cached or not.
    let etag = "\"v1\"".to_owned();
    let edited = athlete.edit(logged.id().unwrap(), 1, &json!({"title": "renamed"})).await.unwrap();
    let call = Call::get(&workout).header("if-none-match", etag).seeing(&edited.token());
    let changed = athlete.send(&call).await.unwrap().expecting(200).unwrap();
    assert_eq!(changed.json()["title"], "renamed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_shown_as_it_was_changed_last() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Eva").await.unwrap();
    let me = athlete.get_seeing("/v1/me", &athlete.registered).await.unwrap().json();
    assert_eq!((&me["display_name"], &me["time_zone"]), (&json!("Eva"), &json!("UTC")));

    let change = json!({"display_name": "Eva B.", "time_zone": "Asia/Tokyo", "default_visibility": "public"});
    let updated = athlete.update_profile(&change).await.unwrap();
    let me = athlete.get_seeing("/v1/me", &updated.token()).await.unwrap().json();
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&me[field], value, "{field}");
    }

    // From the next workout on, its days are those of the new zone, and its visibility the new default.
    let mut body = bodies::run("2025-05-05T16:00:00Z");
    body.as_object_mut().unwrap().remove("visibility");
    let logged = athlete.log(&body).await.unwrap();
    let path = format!("/v1/workouts/{}", logged.id().unwrap());
    let workout = athlete.get_seeing(&path, &logged.token()).await.unwrap().json();
    assert_eq!((&workout["local_date"], &workout["visibility"]), (&json!("2025-05-06"), &json!("public")));
}
