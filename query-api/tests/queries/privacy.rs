//! Privacy zones: their athlete's alone to see, and what of tracks they hide from everybody else, at once and when in doubt.
use fittrack_domain::partition::{DEFAULT_PARTITIONS, partition_of};
use fittrack_domain::recording::{Field, Recording, encode, measure::haversine_m};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::recordings::stored;
use crate::stage::{Athlete, Reply, Stage, Workout, notice};

const HOME: (f64, f64) = (52.1, 6.6);
const RADIUS_M: u32 = 300;
/// A second and 5.6 m a sample.
const STEP_DEG: f64 = 0.000_05;
const SAMPLES: u32 = 1_000;

/// From home to the north and back, once a second; with some seconds without a position first.
fn there_and_back() -> Recording {
    let north = |at: u32| if at < 10 { None } else { Some(f64::from(at.min(SAMPLES - at)) * STEP_DEG) };
    let column = |value: &dyn Fn(u32) -> Option<f64>| (0..SAMPLES).map(value).collect::<Vec<_>>();
    Recording::from_columns(
        (0..SAMPLES).map(f64::from).collect(),
        [
            (Field::LatitudeDeg, column(&|at| north(at).map(|north| HOME.0 + north))),
            (Field::LongitudeDeg, column(&|at| north(at).map(|_| HOME.1))),
            (Field::DistanceM, column(&|at| Some(f64::from(at) * 5.5))),
            (Field::HeartRateBpm, column(&|at| Some(100.0 + f64::from(at % 60)))),
        ],
    )
    .unwrap()
}

async fn recorded(stage: &Stage, athlete: &Athlete, recording: &Recording) -> String {
    let original = Uuid::now_v7().to_string();
    let place = json!({
        "format": "gpx",
        "original_sha256": stored(stage, "original", original.as_bytes()).await,
        "recording_sha256": stored(stage, "recording", &encode(recording)).await,
        "samples": recording.len(),
        "leg": 0,
    });
    let workout = Workout { visibility: "public", recording: Some(place), ..Workout::at("2026-11-24T06:00:00Z") };
    format!("/v1/workouts/{}", stage.workout(athlete, workout).await)
}

async fn set_zones(stage: &Stage, athlete: &Athlete, zones: &Value) {
    let put =
        "INSERT INTO privacy_zones_v1.privacy_zones (athlete_id, version, zones, changed_at) VALUES ($1, 1, $2, now())
               ON CONFLICT (athlete_id) DO UPDATE SET zones = excluded.zones, version = privacy_zones.version + 1";
    sqlx::query(put).bind(athlete.id).bind(zones).execute(&stage.read_models).await.unwrap();
}

fn zone_at((latitude, longitude): (f64, f64), radius_m: u32) -> Value {
    json!({"zone_id": Uuid::now_v7(), "name": "Home", "latitude_deg": latitude, "longitude_deg": longitude,
           "radius_m": radius_m})
}

/// A step of a projector over the athlete's log partition.
async fn projected(stage: &Stage, model: &str, athlete: &Athlete, position: i64) {
    let partition = partition_of(athlete.id, DEFAULT_PARTITIONS);
    stage.checkpoint(model, partition, position).await;
    stage.notify(&notice(model, partition, position, &[athlete.id]));
}

/// How far from home each position shown is.
fn from_home_m(reply: &Reply) -> Vec<f64> {
    let samples = &reply.json()["samples"];
    let column = |name: &str| samples[name].as_array().cloned().unwrap_or_default();
    let positions = column("latitude_deg").into_iter().zip(column("longitude_deg"));
    let known = positions.filter_map(|(latitude, longitude)| Some((latitude.as_f64()?, longitude.as_f64()?)));
    known.map(|position| haversine_m(HOME, position)).collect()
}

#[tokio::test]
async fn both_ends_within_a_zone_show_to_their_athlete_alone() {
    let stage = Stage::with_recordings().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    let path = recorded(&stage, &anna, &there_and_back()).await;
    set_zones(&stage, &anna, &json!([zone_at((-40.0, 170.0), 2_000), zone_at(HOME, RADIUS_M)])).await;
    for resolution in ["high", "medium", "low"] {
        let target = format!("{path}/recording?resolution={resolution}");
        let others = stage.get(&target, &ben).await;
        assert_eq!(others.status, 200);
        let shown = from_home_m(&others);
        assert!(
            shown.len() > 50 && shown.iter().all(|metres| *metres > f64::from(RADIUS_M)),
            "{resolution}: {shown:?}"
        );
        let reply = others.json();
        let (samples, count) = (&reply["samples"], reply["sample_count"].as_u64().unwrap());
        assert_eq!((&samples["elapsed_s"][0], &samples["distance_m"][0]), (&json!(0), &json!(0)), "{resolution}");
        assert!(samples.as_object().unwrap().values().all(|column| column.as_array().unwrap().len() as u64 == count));
        assert!(reply["recorded_sample_count"].as_u64().unwrap() < u64::from(SAMPLES) - 2 * 50, "{resolution}");
        let own = stage.get(&target, &anna).await;
        assert_eq!(own.json()["recorded_sample_count"], SAMPLES);
        if resolution == "high" {
            assert_eq!(from_home_m(&own).len(), SAMPLES as usize - 10);
        }
    }
    // Nor does a column without positions say how long the hidden way was.
    let beats = stage.get(&format!("{path}/recording?fields=heart_rate_bpm"), &ben).await.json();
    assert!(beats["sample_count"].as_u64().unwrap() < u64::from(SAMPLES) - 2 * 50);
    // Nor does the workout.
    let count = |reply: Reply| reply.json()["recording"]["samples"].clone();
    assert_eq!(count(stage.get(&path, &anna).await), SAMPLES);
    assert_eq!(count(stage.get(&path, &ben).await), Value::Null);
    for part in ["/original", ""] {
        let reply = stage.get(&format!("{path}{part}"), &ben).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(!text.contains("52.1") && !text.contains("deg"), "{text}");
    }
}

#[tokio::test]
async fn a_track_that_never_leaves_shows_no_sample_and_one_without_positions_all() {
    let stage = Stage::with_recordings().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    // The whole way is within the zone, wherever within the hidden circle that is.
    let midway = (HOME.0 + f64::from(SAMPLES) / 4.0 * STEP_DEG, HOME.1);
    set_zones(&stage, &anna, &json!([zone_at(midway, 2_000)])).await;
    let path = recorded(&stage, &anna, &there_and_back()).await;
    let inside = stage.get(&format!("{path}/recording"), &ben).await;
    assert_eq!((inside.status.as_u16(), &inside.json()["samples"]), (200, &json!({"elapsed_s": []})));
    assert_eq!((&inside.json()["sample_count"], &inside.json()["recorded_sample_count"]), (&json!(0), &json!(0)));
    let beats = vec![Some(100.0); 5];
    let indoors = Recording::from_columns(vec![0.0, 1.0, 2.0, 3.0, 4.0], [(Field::HeartRateBpm, beats)]).unwrap();
    let path = recorded(&stage, &anna, &indoors).await;
    assert_eq!(stage.get(&format!("{path}/recording"), &ben).await.json()["sample_count"], 5);
}

#[tokio::test]
async fn a_changed_zone_shows_in_the_next_answer_after_its_projection() {
    let stage = Stage::with_recordings().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    let target = format!("{}/recording", recorded(&stage, &anna, &there_and_back()).await);
    let whole = stage.get(&target, &ben).await;
    assert_eq!(whole.json()["sample_count"], SAMPLES);
    set_zones(&stage, &anna, &json!([zone_at(HOME, RADIUS_M)])).await;
    projected(&stage, "privacy_zones", &anna, 7).await;
    let shown = stage.get_with(&target, &ben, &[("if-none-match", whole.header("etag"))]).await;
    assert_eq!(shown.status, 200, "what the client holds is not what is shown now");
    assert!(from_home_m(&shown).iter().all(|metres| *metres > f64::from(RADIUS_M)));
    set_zones(&stage, &anna, &json!([])).await;
    projected(&stage, "privacy_zones", &anna, 8).await;
    assert_eq!(stage.get(&target, &ben).await.json()["sample_count"], SAMPLES);
}

#[tokio::test]
async fn while_what_is_hidden_is_not_known_nothing_is_shown_to_others() {
    let stage = Stage::with_recordings().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    set_zones(&stage, &anna, &json!([zone_at(HOME, RADIUS_M)])).await;
    let target = format!("{}/recording", recorded(&stage, &anna, &there_and_back()).await);
    // The workout came by an event whose turn in the zones' projection is still to come, as is perhaps a zone before it.
    projected(&stage, "workouts", &anna, 9).await;
    let behind = stage.get(&target, &ben).await;
    assert_eq!(behind.status, 503, "{:?}", behind.body);
    assert_eq!(behind.json()["type"], "https://fittrack.dev/problems/not-caught-up");
    assert_eq!(stage.get(&target, &anna).await.status, 200, "its athlete need not wait");
    projected(&stage, "privacy_zones", &anna, 9).await;
    assert_eq!(stage.get(&target, &ben).await.status, 200);

    // A zone that its projection could not take waits among the parked events.
    let park = "INSERT INTO parked_events (worker, owner_id, partition, position, event)
                VALUES ('privacy_zones.v1', $1, $2, 9, '{}')";
    let partition = partition_of(anna.id, DEFAULT_PARTITIONS);
    sqlx::query(park).bind(anna.id).bind(partition).execute(&stage.read_models).await.unwrap();
    projected(&stage, "privacy_zones", &anna, 10).await;
    assert_eq!(stage.get(&target, &ben).await.status, 503);
    assert_eq!(stage.get(&target, &anna).await.status, 200);
}

#[tokio::test]
async fn a_waiting_reader_is_let_in_when_the_zones_have_come() {
    let stage = Stage::with_recordings().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    let target = format!("{}/recording", recorded(&stage, &anna, &there_and_back()).await);
    projected(&stage, "workouts", &anna, 3).await;
    let comes = async {
        set_zones(&stage, &anna, &json!([zone_at(HOME, RADIUS_M)])).await;
        projected(&stage, "privacy_zones", &anna, 3).await;
    };
    let (shown, ()) = tokio::join!(stage.get(&target, &ben), comes);
    assert_eq!(shown.status, 200);
    assert!(from_home_m(&shown).iter().all(|metres| *metres > f64::from(RADIUS_M)));
}

#[tokio::test]
async fn zones_show_to_their_athlete_alone_and_without_what_hides_them() {
    let stage = Stage::new().await;
    let (anna, ben) = (stage.athlete("Anna").await, stage.athlete("Ben").await);
    set_zones(&stage, &anna, &json!([zone_at(HOME, RADIUS_M)])).await;
    let own = stage.get("/v1/me/privacy-zones", &anna).await;
    assert_eq!((own.status.as_u16(), own.header("etag")), (200, "\"v1\""));
    let home = json!({"name": "Home", "latitude_deg": 52.1, "longitude_deg": 6.6, "radius_m": 300});
    assert_eq!(own.json()["zones"], json!([home]));
    let others = stage.get("/v1/me/privacy-zones", &ben).await;
    assert_eq!((others.status.as_u16(), others.header("etag")), (200, "\"v0\""));
    assert_eq!(others.json(), json!({"version": 0, "zones": [], "changed_at": null}));
    for path in ["/v1/me", &format!("/v1/athletes/{}", anna.id)] {
        for athlete in [&anna, &ben] {
            let text = String::from_utf8_lossy(&stage.get(path, athlete).await.body).into_owned();
            assert!(!text.contains("52.1") && !text.contains("zones"), "{text}");
        }
    }
    set_zones(&stage, &anna, &json!([])).await;
    projected(&stage, "privacy_zones", &anna, 2).await;
    let emptied = stage.get("/v1/me/privacy-zones", &anna).await;
    assert_eq!((emptied.header("etag"), &emptied.json()["zones"]), ("\"v2\"", &json!([])));
}
