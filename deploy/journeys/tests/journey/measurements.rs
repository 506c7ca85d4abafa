//! Dated facts about an athlete's body: recorded, corrected, listed newest day first, and seen by nobody else.

use fittrack_journeys::{Call, TestStack, problem};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn measurements_are_recorded_corrected_and_listed_by_day() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let anna = api.register("Anna").await.unwrap();
    let record = async |kind: &str, value: f64, on: &str| {
        let body = json!({"kind": kind, "value": value, "measured_on": on});
        anna.send(&Call::post("/v1/me/measurements").json(&body)).await.unwrap().expecting(202).unwrap()
    };
    record("mass_kg", 72.0, "2026-10-29").await;
    record("mass_kg", 71.5, "2026-10-31").await;
    record("max_heart_rate_bpm", 190.0, "2026-10-30").await;
    let corrected = record("mass_kg", 71.25, "2026-10-31").await;
    assert_eq!(corrected.version(), Some(2));

    let list = anna.get_seeing("/v1/me/measurements", &corrected.token()).await.unwrap();
    let said = |one: &Value| (one["measured_on"].clone(), one["kind"].clone(), one["value"].clone());
    let all: Vec<_> = list.items().iter().map(said).collect();
    let expected = [
        (json!("2026-10-31"), json!("mass_kg"), json!(71.25)),
        (json!("2026-10-30"), json!("max_heart_rate_bpm"), json!(190.0)),
        (json!("2026-10-29"), json!("mass_kg"), json!(72.0)),
    ];
    assert_eq!(all, expected);
    let masses = anna.all("/v1/me/measurements?kind=mass_kg&limit=1", None).await.unwrap();
    assert_eq!(masses.iter().map(said).collect::<Vec<_>>(), [expected[0].clone(), expected[2].clone()]);
    let days = anna.get("/v1/me/measurements?from=2026-10-30&to=2026-10-30").await.unwrap();
    assert_eq!(days.items().len(), 1);

    let ben = api.register("Ben").await.unwrap();
    assert!(ben.get("/v1/me/measurements").await.unwrap().items().is_empty());
    let nonsense = Call::get("/v1/me/measurements?kind=mass_lb");
    problem::check(&ben.send(&nonsense).await.unwrap(), 400).unwrap();
}
