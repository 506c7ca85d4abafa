//! Measurements: recorded, corrected, and refused where no person can have them.
use serde_json::{Value, json};

use crate::support::World;

fn mass(kg: f64, on: &str) -> Value {
    json!({"kind": "mass_kg", "value": kg, "measured_on": on})
}

#[tokio::test]
async fn a_measurement_is_recorded_and_corrected_in_a_stream_of_its_own() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let first = ann.post("/v1/me/measurements").json(&mass(71.5, "2026-10-30")).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let location = "/v1/me/measurements?kind=mass_kg";
    assert_eq!((first.header("etag"), first.header("location")), (Some("\"v1\""), Some(location)));
    let corrected = ann.post("/v1/me/measurements").json(&mass(71.25, "2026-10-30")).await;
    assert_eq!((corrected.header("etag"), &corrected.body["id"]), (Some("\"v2\""), &first.body["id"]));
    let again = ann.post("/v1/me/measurements").json(&mass(71.25, "2026-10-30")).await;
    assert_eq!(again.header("etag"), Some("\"v2\""));
    let other_day = ann.post("/v1/me/measurements").json(&mass(71.25, "2026-10-31")).await;
    assert_eq!(other_day.header("etag"), Some("\"v1\""));

    let stream = first.body["id"].as_str().unwrap().parse().unwrap();
    let payload = &world.last_payload(stream).await;
    assert_eq!((&payload["value"], &payload["measured_on"]), (&json!(71.25), &json!("2026-10-30")));
    assert_eq!(world.events_of(stream).await.len(), 2, "measured and corrected, and nothing for what was so already");
    // Another athlete's measurement of the same day is another one.
    let ben = world.athlete("ben").await;
    let bens = ben.post("/v1/me/measurements").json(&mass(71.25, "2026-10-30")).await;
    assert!(bens.header("etag") == Some("\"v1\"") && bens.body["id"] != first.body["id"], "{}", bens.body);
}

#[tokio::test]
async fn what_no_person_can_have_is_refused_field_by_field() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    for (body, pointers) in [
        (json!({"kind": "mass_lb", "value": 160, "measured_on": "31.10.2026"}), vec!["#/kind", "#/measured_on"]),
        (mass(10.0, "2026-10-31"), vec!["#/value"]),
        (mass(71.5, "2999-01-01"), vec!["#/measured_on"]),
        (mass(71.5, "1850-01-01"), vec!["#/measured_on"]),
        (mass(71.5, "+2026-10-31"), vec!["#/measured_on"]),
        (json!({"kind": "threshold_power_w", "value": 1000.5, "measured_on": "2026-10-31"}), vec!["#/value"]),
    ] {
        let answer = ann.post("/v1/me/measurements").json(&body).await;
        assert_eq!((answer.status.as_u16(), answer.pointers()), (422, pointers), "{body}");
    }
}
