//! Everything an athlete has, taken away as a zip and brought into a new account: what was seen of the old one is seen of the
//! new one, to the thousandth and the byte; and the same zip again changes nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use fittrack_journeys::recordings::{self, Activities};
use fittrack_journeys::{Answer, Athlete, Call, TestStack, bodies};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Asks for an export, waits for it and downloads it.
async fn export(athlete: &Athlete) -> Bytes {
    let asked = athlete.send(&Call::post("/v1/account/export")).await.unwrap().expecting(202).unwrap();
    let done = athlete.until_done(asked.header("location").unwrap()).await.unwrap().json();
    let zip = athlete.get(done["file"].as_str().unwrap()).await.unwrap();
    assert_eq!(zip.header("content-type"), Some("application/zip"));
    assert_eq!(done["sha256"], hex::encode(Sha256::digest(&zip.body)));
    zip.body
}

/// Sends a zip and waits until it was worked through.
async fn import(athlete: &Athlete, zip: &Bytes) -> Answer {
    let call = Call::post("/v1/workouts/imports").file("application/zip", zip.clone());
    let accepted = athlete.send(&call).await.unwrap().expecting(202).unwrap();
    athlete.until_done(accepted.header("location").unwrap()).await.unwrap()
}

/// What became of the files.
async fn statuses(athlete: &Athlete, import: &Answer) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let path = format!("/v1/imports/{}", import.id().unwrap());
    for item in athlete.all(&format!("{path}?limit=7"), None).await.unwrap() {
        *found.entry(item["status"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    found
}

/// Logged, edited, deleted and imported workouts, of two time zones; measurements. The token that sees the last of it.
async fn live(athlete: &Athlete, groups: &[Activities]) -> String {
    let strength = json!({
        "sport": "strength", "started_at": "2025-03-01T22:30:00Z", "duration_s": 1800.5, "notes": "heavy", "perceived_exertion": 8,
        "sets": [{"exercise": "squat", "repetitions": 5, "mass_kg": 80.5, "kind": "warm_up"}, {"exercise": "squat", "repetitions": 5}]
    });
    athlete.log(&strength).await.unwrap();
    for group in groups {
        let file = &group.files[0];
        athlete.import(file.format.content_type(), file.bytes.clone(), "public").await.unwrap();
    }
    // The others in another zone, and with the other formats' own forms.
    athlete
        .update_profile(&json!({"time_zone": "Pacific/Kiritimati", "birth_year": 1988, "bio": "Rows."}))
        .await
        .unwrap();
    for minutes in [10, 2_000, 50_000] {
        athlete.log(&bodies::run(&bodies::minutes_into_2025(minutes))).await.unwrap();
    }
    let run = |minutes| bodies::run(&bodies::minutes_into_2025(minutes));
    let edited = athlete.log(&run(70_000)).await.unwrap();
    let change = json!({"distance_m": 4999.125, "moving_s": 1700.5, "title": "Canal", "visibility": "followers"});
    athlete.edit(edited.id().unwrap(), 1, &change).await.unwrap();
    let deleted = athlete.log(&run(90_000)).await.unwrap();
    athlete.delete(deleted.id().unwrap()).await.unwrap();
    let list = athlete.all("/v1/workouts", Some(&deleted.token())).await.unwrap();
    // One recording is moved to another day, one is deleted.
    let recorded: Vec<&Value> =
        list.iter().filter(|workout| workout["sport"] != "strength" && workout["title"].is_null()).collect();
    let ride = recorded.iter().find(|workout| workout["sport"] == "ride").unwrap();
    let id = ride["id"].as_str().unwrap().parse().unwrap();
    let change = json!({"started_at": "2020-06-07T05:00:00Z", "title": "Moved", "energy_kcal": 321});
    athlete.edit(id, 1, &change).await.unwrap();
    let zone = json!({"name": "Home", "latitude_deg": 52.0973, "longitude_deg": 6.6417, "radius_m": 400});
    let zones = Call::new(reqwest::Method::PUT, "/v1/me/privacy-zones").json(&json!({"zones": [zone]}));
    athlete.send(&zones).await.unwrap().expecting(202).unwrap();
    let mut token = String::new();
    for (kind, value, day) in
        [("mass_kg", 72.0, "2025-10-29"), ("mass_kg", 71.25, "2025-10-29"), ("threshold_power_w", 251.0, "2025-10-30")]
    {
        let body = json!({"kind": kind, "value": value, "measured_on": day});
        let call = Call::post("/v1/me/measurements").json(&body);
        token = athlete.send(&call).await.unwrap().expecting(202).unwrap().token();
    }
    token
}

/// A workout as both accounts must show it: everything but what names it, and when it was stored.
fn comparable(mut workout: Value) -> Value {
    let fields = workout.as_object_mut().unwrap();
    for field in ["id", "version", "athlete_id", "logged_at", "changed_at"] {
        fields.remove(field);
    }
    // Made from the athlete's id; that there is one is what both must say.
    if let Some(session_id) = workout.pointer_mut("/recording/session_id").filter(|id| !id.is_null()) {
        *session_id = json!("one");
    }
    workout
}

/// Everything that is seen of an athlete's workouts, by start and sport.
async fn seen(athlete: &Athlete, token: &str) -> Vec<(String, Value)> {
    let mut seen = Vec::new();
    for item in athlete.all("/v1/workouts?limit=3", Some(token)).await.unwrap() {
        let path = format!("/v1/workouts/{}", item["id"].as_str().unwrap());
        let workout = athlete.get(&path).await.unwrap().json();
        let (mut samples, mut original) = (Value::Null, String::new());
        if workout["recording"].is_object() {
            samples = athlete.get(&format!("{path}/recording")).await.unwrap().json();
            samples.as_object_mut().unwrap().remove("workout_id");
            original = hex::encode(Sha256::digest(&athlete.get(&format!("{path}/original")).await.unwrap().body));
        }
        let name = format!("{} {} {}", workout["started_at"], workout["sport"], workout["duration_s"]);
        let all =
            json!({"item": comparable(item), "workout": comparable(workout), "samples": samples, "original": original});
        seen.push((name, all));
    }
    seen.sort_by(|one, two| one.0.cmp(&two.0));
    seen
}

async fn totals(athlete: &Athlete, by: &str) -> Vec<Value> {
    let mut totals = Vec::new();
    let rest = "&from=2019-01-01&to=2026-12-31";
    for query in [format!("by={by}"), format!("by={by}{rest}")] {
        totals.extend(athlete.all(&format!("/v1/me/analytics/totals?{query}"), None).await.unwrap());
    }
    totals
}

/// The athlete's own values on the boards of every period they have done something in.
async fn own_values(athlete: &Athlete, workouts: &[(String, Value)]) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for (_, all) in workouts {
        let day = all["workout"]["local_date"].as_str().unwrap();
        for metric in ["distance_m", "duration_s", "elevation_gain_m"] {
            for period in ["week", "month", "year"] {
                let path = format!("/v1/leaderboards/{metric}/me?period={period}&date={day}");
                let value = athlete.get(&path).await.unwrap().json()["value"].clone();
                values.insert(path, value);
            }
        }
    }
    values
}

async fn measurements(athlete: &Athlete) -> Vec<(Value, Value, Value)> {
    let list = athlete.all("/v1/me/measurements", None).await.unwrap();
    list.into_iter().map(|one| (one["kind"].clone(), one["measured_on"].clone(), one["value"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_and_brought_to_a_new_account_is_seen_there_as_it_was() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let groups = recordings::real().unwrap().unwrap_or_else(|| recordings::invented().unwrap());
    let old = api.register_in("Old", "Europe/Berlin").await.unwrap();
    let token = live(&old, &groups).await;
    let before = seen(&old, &token).await;
    let zip = export(&old).await;

    let new = api.register_in("New", "America/Lima").await.unwrap();
    let imported = import(&new, &zip).await;
    let found = statuses(&new, &imported).await;
    let stored = 1 + measurements(&old).await.len() + before.len();
    assert_eq!(found, BTreeMap::from([("stored".to_owned(), stored)]), "{imported}");
    let token = imported.token();
    let after = seen(&new, &token).await;
    assert_eq!(after.len(), before.len());
    for (one, two) in before.iter().zip(&after) {
        assert_eq!(one, two);
    }
    for by in ["day", "week", "month", "year"] {
        let expected = totals(&old, by).await;
        assert!(!expected.is_empty());
        assert_eq!(totals(&new, by).await, expected, "{by}");
    }
    assert_eq!(measurements(&new).await, measurements(&old).await);
    let expected = own_values(&old, &before).await;
    assert!(expected.values().any(Value::is_number), "{expected:?}");
    assert_eq!(own_values(&new, &after).await, expected);
    let zones = new.get("/v1/me/privacy-zones").await.unwrap().json();
    assert_eq!((&zones["zones"][0]["name"], &zones["zones"][0]["radius_m"]), (&json!("Home"), &json!(400)), "{zones}");
    let profile = new.get("/v1/me").await.unwrap().json();
    assert_eq!((&profile["display_name"], &profile["time_zone"]), (&json!("New"), &json!("Pacific/Kiritimati")));

    // The same zip again, and into the account it came from.
    let position = |athlete: Uuid| {
        let stack = &stack;
        async move {
            let mut store = stack.event_store().await.unwrap();
            let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM events WHERE owner_id = $1").bind(athlete);
            count.fetch_one(&mut store).await.unwrap()
        }
    };
    for athlete in [&new, &old] {
        let events = position(athlete.id).await;
        let again = import(athlete, &zip).await;
        let found = statuses(athlete, &again).await;
        assert_eq!(found, BTreeMap::from([("duplicate".to_owned(), stored)]), "{again}");
        assert_eq!(position(athlete.id).await, events);
    }
}
