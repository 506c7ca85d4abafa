//! Privacy zones: set as a whole, kept under a version of their own, and refused field by field.
use serde_json::{Value, json};

use crate::support::World;

const ROUTE: &str = "/v1/me/privacy-zones";

fn home(radius_m: u32) -> Value {
    json!({"name": "Home", "latitude_deg": 52.097_312_4, "longitude_deg": 6.641_664_8, "radius_m": radius_m})
}

#[tokio::test]
async fn the_list_is_set_and_replaced_in_a_stream_of_its_own() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let first = ann.put(ROUTE).json(&json!({"zones": [home(400)]})).await;
    assert_eq!(first.status, 202, "{}", first.body);
    assert_eq!((first.header("etag"), first.header("location")), (Some("\"v1\""), Some(ROUTE)));
    let again = ann.put(ROUTE).json(&json!({"zones": [home(400)]})).await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (202, Some("\"v1\"")));
    let stream = first.id();
    let before = world.last_payload(stream).await["zones"][0].clone();
    assert_eq!((&before["latitude_deg"], &before["radius_m"]), (&json!(52.097_312_4), &json!(400)));

    // Resized it is the same zone: what hides it stays where it is.
    let resized = ann.put(ROUTE).json(&json!({"zones": [home(900)]})).await;
    assert_eq!(resized.header("etag"), Some("\"v2\""));
    assert_eq!(world.last_payload(stream).await["zones"][0]["zone_id"], before["zone_id"]);
    let emptied = ann.put(ROUTE).json(&json!({"zones": []})).await;
    assert_eq!((emptied.header("etag"), emptied.id()), (Some("\"v3\""), stream));
    let anew = ann.put(ROUTE).json(&json!({"zones": [home(400)]})).await;
    assert_eq!(anew.header("etag"), Some("\"v4\""));
    assert_ne!(world.last_payload(stream).await["zones"][0]["zone_id"], before["zone_id"]);

    // The profile's version is what others see of an athlete: no zone moves it.
    assert_eq!(world.events_of(ann.athlete_id).await.len(), 1);
    let bens = world.athlete("ben").await.put(ROUTE).json(&json!({"zones": [home(400)]})).await;
    assert!(bens.header("etag") == Some("\"v1\"") && bens.id() != stream, "{}", bens.body);
}

#[tokio::test]
async fn a_repeated_request_is_answered_as_the_first_time_and_if_match_is_honoured() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let body = json!({"zones": [home(400)]});
    let first = ann.put(ROUTE).header("idempotency-key", "zones-1").json(&body).await;
    let other = ann.put(ROUTE).header("if-match", "\"v1\"").json(&json!({"zones": []})).await;
    assert_eq!((first.header("etag"), other.header("etag")), (Some("\"v1\""), Some("\"v2\"")));
    let again = ann.put(ROUTE).header("idempotency-key", "zones-1").json(&body).await;
    assert_eq!((again.header("etag"), again.header("idempotency-replayed")), (Some("\"v1\""), Some("true")));
    // What was never set is shown as an empty list of version 0.
    let ben = world.athlete("ben").await;
    for (tag, status) in [("\"v1\"", 412), ("\"v0\"", 202), ("\"v0\"", 412), ("*", 202)] {
        let answer = ben.put(ROUTE).header("if-match", tag).json(&body).await;
        assert_eq!(answer.status, status, "{tag}: {}", answer.body);
    }
    let cleo = world.athlete("cleo").await;
    assert_eq!(cleo.put(ROUTE).header("if-match", "*").json(&body).await.status, 202);
    let stale = ann.put(ROUTE).header("if-match", "\"v1\"").json(&body).await;
    stale.assert_problem(412, "precondition-failed");
    let reused = ann.put(ROUTE).header("idempotency-key", "zones-1").json(&json!({"zones": []})).await;
    assert_eq!(reused.status, 422, "{}", reused.body);
    assert_eq!(world.events_of(first.id()).await.len(), 2);
}

#[tokio::test]
async fn what_is_no_zone_is_refused_field_by_field() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let with = |field: &str, value: Value| {
        let mut zone = home(400);
        zone[field] = value;
        json!({"zones": [home(200), zone]})
    };
    for (body, pointers) in [
        (with("name", json!("")), vec!["#/zones/1/name"]),
        (with("name", json!("x".repeat(81))), vec!["#/zones/1/name"]),
        (with("latitude_deg", json!(90.1)), vec!["#/zones/1/latitude_deg"]),
        (with("longitude_deg", json!(-180.1)), vec!["#/zones/1/longitude_deg"]),
        (with("radius_m", json!(199)), vec!["#/zones/1/radius_m"]),
        (with("radius_m", json!(2001)), vec!["#/zones/1/radius_m"]),
        (with("radius_m", json!(250.5)), vec!["#/zones/1/radius_m"]),
        (json!({"zones": vec![home(400); 6]}), vec!["#/zones"]),
        (
            json!({"zones": [{"latitude_deg": 91, "longitude_deg": 181, "radius_m": 1}]}),
            vec!["#/zones/0/latitude_deg", "#/zones/0/longitude_deg", "#/zones/0/radius_m"],
        ),
    ] {
        let answer = ann.put(ROUTE).json(&body).await;
        assert_eq!((answer.status.as_u16(), answer.pointers()), (422, pointers), "{body}");
    }
    // Nobody chooses what is to be unguessable.
    let chosen = ann.put(ROUTE).json(&with("zone_id", json!("0198c0de-7a1b-4c3d-8e4f-5a6b7c8d9e0f"))).await;
    assert_eq!(chosen.status, 422, "{}", chosen.body);
}
