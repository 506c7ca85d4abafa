//! One workout from the log to its deletion, and the profile it stands under.

use fittrack_journeys::{Call, TestStack, bodies, problem};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_workout_is_logged_edited_and_deleted_and_each_is_seen() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register_in("Ann", "Europe/Berlin").await.unwrap();

    let body = bodies::with(
        bodies::run("2025-03-30T22:30:00Z"),
        json!({"title": "Along the canal", "notes": "windy", "average_heart_rate_bpm": 148, "max_heart_rate_bpm": 171}),
    );
    let logged = athlete.log(&body).await.unwrap();
    let id = logged.id().unwrap();
    assert_eq!((logged.version(), logged.header("etag")), (Some(1), Some("\"v1\"")));
    assert_eq!(logged.header("location"), Some(format!("/v1/workouts/{id}").as_str()));
    assert_eq!(logged.header("consistency-token"), Some(logged.token().as_str()));

    let path = format!("/v1/workouts/{id}");
    let seen = athlete.get_seeing(&path, &logged.token()).await.unwrap();
    assert_eq!(seen.header("etag"), Some("\"v1\""));
    let workout = seen.json();
    for (field, value) in body.as_object().unwrap().iter().filter(|(field, _)| *field != "started_at") {
        assert_eq!(&workout[field], value, "{field}");
    }
    assert_eq!((&workout["time_zone"], &workout["local_date"]), (&json!("Europe/Berlin"), &json!("2025-03-31")));
    assert!(seen.header("freshness").unwrap().parse::<u64>().is_ok());

    let change = json!({"distance_m": 8040.5, "title": "Along the canal, with Bo", "notes": null});
    let edited = athlete.edit(id, 1, &change).await.unwrap();
    assert_eq!((edited.id(), edited.version(), edited.header("etag")), (Some(id), Some(2), Some("\"v2\"")));
    let workout = athlete.get_seeing(&path, &edited.token()).await.unwrap().json();
    assert_eq!((&workout["distance_m"], &workout["notes"]), (&json!(8040.5), &Value::Null));
    assert_eq!((&workout["version"], &workout["duration_s"]), (&json!(2), &json!(1800.0)));

    let stale = Call::patch(&path).if_match(1).merge_patch(&json!({"title": "too late"}));
    problem::check(&athlete.send(&stale).await.unwrap(), 412).unwrap();

    let deleted = athlete.delete(id).await.unwrap();
    assert_eq!(deleted.version(), Some(3));
    let gone = athlete.send(&Call::get(&path).seeing(&deleted.token())).await.unwrap();
    problem::check(&gone, 404).unwrap();
    let list = athlete.all("/v1/workouts", Some(&deleted.token())).await.unwrap();
    assert_eq!(list, Vec::<Value>::new());
    problem::check(&athlete.send(&Call::delete(&path)).await.unwrap(), 404).unwrap();
}

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
