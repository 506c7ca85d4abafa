//! What a writer asks for: invented commands, each carrying a mark by which its event is found in the log.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use fittrack_domain::recording::{Format, synthesize, write};
use fittrack_domain::sport::Sport;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::bodies::minutes_into_2025;
use crate::client::{Api, Call, credentials};

const SPORTS: [&str; 5] = ["run", "ride", "swim", "walk", "row"];
const VISIBILITIES: [&str; 4] = ["public", "public", "followers", "private"];
const MINUTES_OF_A_YEAR: i64 = 365 * 24 * 60;

/// A call and the mark its event will carry.
pub struct Marked {
    pub call: Call,
    pub mark: String,
}

fn marked(call: Call, mark: String) -> Marked {
    Marked { call: call.key(mark.clone()), mark }
}

/// A workout of some sport, some day of 2025, now and then faster than anybody can be, or over within a minute or two.
pub fn log(random: &mut StdRng, mark: String) -> Marked {
    let body = workout(random, &mark);
    marked(Call::post("/v1/workouts").json(&body), mark)
}

fn workout(random: &mut StdRng, mark: &str) -> Value {
    let duration_s = duration_s(random);
    let speed_mps =
        if random.random_range(0..10) == 0 { 45.0 } else { f64::from(random.random_range(500..2_000)) / 1e3 };
    json!({
        "sport": SPORTS[random.random_range(0..SPORTS.len())],
        "started_at": minutes_into_2025(random.random_range(0..MINUTES_OF_A_YEAR)),
        "duration_s": duration_s,
        "moving_s": (duration_s * 900.0).round() / 1000.0,
        "distance_m": (duration_s * speed_mps * 1000.0).round() / 1000.0,
        "elevation_gain_m": random.random_range(0..400),
        "energy_kcal": random.random_range(0..900),
        "average_heart_rate_bpm": random.random_range(90..150),
        "max_heart_rate_bpm": random.random_range(150..200),
        "perceived_exertion": random.random_range(0..=10),
        "notes": "It rained.",
        "visibility": VISIBILITIES[random.random_range(0..VISIBILITIES.len())],
        "title": mark,
    })
}

/// Mostly hours; one in four at or around the minute below which newer boards count nothing.
fn duration_s(random: &mut StdRng) -> f64 {
    let milliseconds = match random.random_range(0..12) {
        0 => 60_000,
        1..3 => random.random_range(1_000..120_000),
        _ => random.random_range(60_000..7_200_000),
    };
    f64::from(milliseconds) / 1000.0
}

/// A change of one version of a workout, in what is counted and what is not.
pub fn edit(random: &mut StdRng, id: Uuid, version: i64, mark: String) -> Marked {
    let mut patch = json!({"title": mark});
    let whole = workout(random, &mark);
    for field in ["sport", "started_at", "distance_m", "visibility", "elevation_gain_m", "energy_kcal"] {
        if random.random_range(0..3) == 0 {
            patch[field] = whole[field].clone();
        }
    }
    if random.random_range(0..4) == 0 {
        // Both, for nobody moves for longer than it takes.
        patch["duration_s"] = whole["duration_s"].clone();
        patch["moving_s"] = whole["moving_s"].clone();
    }
    if random.random_range(0..5) == 0 {
        patch["moving_s"] = Value::Null;
        patch["notes"] = Value::Null;
    }
    marked(Call::patch(format!("/v1/workouts/{id}")).if_match(version).merge_patch(&patch), mark)
}

/// The removal of a workout.
pub fn delete(id: Uuid) -> Marked {
    let mark = format!("deleted {id}");
    let call = Call::delete(format!("/v1/workouts/{id}")).key(format!("delete-{id}"));
    Marked { call, mark }
}

/// A recording of a minute, at a time at which this writer has recorded nothing else.
pub fn import(random: &mut StdRng, nth: u32) -> Option<Marked> {
    let first = DateTime::<Utc>::from_timestamp(1_600_000_000, 0)?;
    let started_at = first + TimeDelta::minutes(10 * i64::from(nth));
    let format = Format::ALL[random.random_range(0..Format::ALL.len())];
    let sport = [Sport::Run, Sport::Ride][random.random_range(0..2)];
    let file = Bytes::from(write(&synthesize(random.random(), sport, started_at, 60.0), format).ok()?);
    let digest = hex::encode(Sha256::digest(&file));
    let call = Call::post("/v1/workouts/imports?visibility=public").file(format.content_type(), file);
    Some(Marked { call: call.key(format!("import-{digest}")), mark: format!("{digest}#0") })
}

/// A mass on some day of a month, which corrects what another writer has measured on that day; the value is this call's alone.
pub fn measure(random: &mut StdRng, athlete_id: Uuid, nth: u32) -> Marked {
    let value = f64::from(20_000 + nth) / 1000.0;
    let measured_on = format!("2025-06-{:02}", random.random_range(1..=28));
    let body = json!({"kind": "mass_kg", "value": value, "measured_on": measured_on});
    marked(Call::post("/v1/me/measurements").json(&body), format!("measured-{athlete_id}-{measured_on}-{value:?}"))
}

/// A zone around one of a few places, so that some stay where they were.
pub fn zones(random: &mut StdRng, mark: String) -> Marked {
    let (north, radius_m) = (random.random_range(0..3), random.random_range(200..=2_000));
    let zone = json!({"name": mark, "latitude_deg": 52 + north, "longitude_deg": 6.25, "radius_m": radius_m});
    marked(Call::put("/v1/me/privacy-zones").json(&json!({"zones": [zone]})), mark)
}

/// A new name for the athlete.
pub fn rename(mark: String) -> Marked {
    marked(Call::patch("/v1/me/profile").merge_patch(&json!({"display_name": mark})), mark)
}

/// Somebody new.
pub fn register(mark: String) -> Marked {
    let (email, password) = credentials();
    marked(Api::registration(&email, &password, &mark, "Europe/Berlin"), mark)
}

/// A workout that cannot be: it must leave nothing.
pub fn impossible(random: &mut StdRng, mark: String) -> Marked {
    let mut body = workout(random, &mark);
    body["duration_s"] = json!(-1);
    marked(Call::post("/v1/workouts").json(&body), mark)
}
