//! Privacy zones over a real stack: of a public track nobody else sees what lies near the place where it begins, however they
//! ask, and its athlete sees all of it.

use fittrack_domain::recording::measure::haversine_m;
use fittrack_journeys::recordings::{self, File};
use fittrack_journeys::{Answer, Athlete, Call, TestStack, problem};
use serde_json::{Value, json};

/// Far from its start for most of its way.
const RADIUS_M: u32 = 500;

fn a_ride() -> File {
    let groups = recordings::real().unwrap().unwrap_or_else(|| recordings::invented().unwrap());
    groups[0].files[0].clone()
}

/// Each sample's position, where it has one.
fn positions(recording: &Value) -> Vec<Option<(f64, f64)>> {
    let column = |name: &str| recording["samples"][name].as_array().cloned().unwrap_or_default();
    let latitudes = column("latitude_deg").into_iter();
    latitudes.zip(column("longitude_deg")).map(|(north, east)| Some((north.as_f64()?, east.as_f64()?))).collect()
}

async fn set_zones(athlete: &Athlete, zones: &Value) -> Answer {
    let call = Call::put("/v1/me/privacy-zones").json(&json!({"zones": zones}));
    athlete.send(&call).await.unwrap().expecting(202).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ends_of_a_public_track_near_home_are_its_athlete_s_alone() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let (ann, bo) = (api.register("Ann").await.unwrap(), api.register("Bo").await.unwrap());
    let file = a_ride();
    // Nothing was said of who may see it, so nobody else does.
    let import = Call::post("/v1/workouts/imports").file(file.format.content_type(), file.bytes.clone());
    let imported = ann.send(&import).await.unwrap().expecting(202).unwrap();
    let id = imported.json()["workouts"][0]["id"].as_str().unwrap().parse().unwrap();
    let path = format!("/v1/workouts/{id}");
    let target = format!("{path}/recording");
    let whole = ann.get_seeing(&target, &imported.token()).await.unwrap().json();
    problem::check(&bo.send(&Call::get(&target).seeing(&imported.token())).await.unwrap(), 404).unwrap();

    let track: Vec<(f64, f64)> = positions(&whole).into_iter().flatten().collect();
    let home = track[0];
    // Searched for below: the device itself wrote no such place.
    let planted = (home.0 + 0.000_012_3, home.1 + 0.000_045_6);
    let zone =
        json!({"name": "Our house", "latitude_deg": planted.0, "longitude_deg": planted.1, "radius_m": RADIUS_M});
    set_zones(&ann, &json!([zone])).await;
    let published = ann.edit(id, 1, &json!({"visibility": "public"})).await.unwrap();

    let others = bo.get_seeing(&target, &published.token()).await.unwrap();
    let shown = others.json();
    let (count, of) = (shown["sample_count"].as_u64().unwrap(), whole["sample_count"].as_u64().unwrap());
    assert!(count > 0 && count < of, "{count} of {of} samples");
    let seen = positions(&shown);
    for end in [seen.first(), seen.last()] {
        let away_m = haversine_m(planted, end.unwrap().expect("a track begins and ends with a position"));
        assert!(away_m > f64::from(RADIUS_M), "{away_m} m");
    }
    assert_eq!(shown["samples"]["elapsed_s"][0], 0);
    assert!(
        shown["samples"].as_object().unwrap().values().all(|column| column.as_array().unwrap().len() as u64 == count)
    );
    let own = ann.get_seeing(&target, &published.token()).await.unwrap().json();
    assert_eq!(own, whole, "its athlete sees all of it");

    let answers = [
        others,
        bo.get(&format!("{target}?resolution=low")).await.unwrap(),
        bo.get(&format!("{target}?fields=heart_rate_bpm,distance_m&resolution=medium")).await.unwrap(),
        bo.get(&path).await.unwrap(),
        bo.get(&format!("/v1/athletes/{}", ann.id)).await.unwrap(),
        bo.get("/v1/me/privacy-zones").await.unwrap(),
        bo.get("/v1/leaderboards/distance_m?period=all").await.unwrap(),
    ];
    for answer in answers {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        for secret in [planted.0, planted.1].map(|degrees| format!("{degrees:.7}")) {
            assert!(!text.contains(secret.trim_end_matches('0')), "{secret} is in {answer}");
        }
        assert!(!text.contains("Our house"), "{answer}");
    }
    problem::check(&bo.send(&Call::get(format!("{path}/original"))).await.unwrap(), 404).unwrap();
    assert_eq!(ann.get("/v1/me/privacy-zones").await.unwrap().json()["zones"][0], zone_as_shown(&zone));

    // Taken away again, the whole track is everybody's.
    let without = set_zones(&ann, &json!([])).await;
    let shown = bo.get_seeing(&target, &without.token()).await.unwrap().json();
    assert_eq!(shown["sample_count"], whole["sample_count"]);
}

/// Exact to the ten-millionth of a degree.
fn zone_as_shown(zone: &Value) -> Value {
    let rounded = |name: &str| (zone[name].as_f64().unwrap() * 1e7).round() / 1e7;
    json!({
        "name": zone["name"], "radius_m": zone["radius_m"],
        "latitude_deg": rounded("latitude_deg"), "longitude_deg": rounded("longitude_deg"),
    })
}
