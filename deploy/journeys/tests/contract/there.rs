//! What there is when schemathesis begins, for `hooks.py` to ask for: an athlete with something of every kind, and what is given
//! out once and used up.
use std::path::Path;

use bytes::Bytes;
use fittrack_journeys::{Answer, Api, Athlete, Call, TestStack, recordings};
use serde_json::{Value, json};

/// Some of each; who asks when they are used up is refused.
const SESSIONS: usize = 40;
const ADMINISTRATORS: usize = 6;
const LEAVERS: usize = 2;

/// Makes it all, and leaves it in the folder, with files to import. The token all requests are made with.
pub async fn prepare(stack: &TestStack, folder: &Path) -> String {
    let api = stack.api().unwrap();
    let athlete = api.register("Contract").await.unwrap();
    let other = api.register("Contract's other").await.unwrap();
    let recorded = import_and_leave_files(&athlete, folder).await;
    for day in 1..=3 {
        let measured = json!({"kind": "mass_kg", "value": 70 + day, "measured_on": format!("2026-10-0{day}")});
        sent(&athlete, &Call::post("/v1/me/measurements").json(&measured), 202).await;
    }
    let run = json!({"sport": "run", "started_at": "2026-10-31T07:00:00Z", "duration_s": 3600, "visibility": "public"});
    let logged = athlete.log(&run).await.unwrap();
    let key = json!({"name": "contract", "scopes": ["read", "write"]});
    let key = sent(&athlete, &Call::post("/v1/account/api-keys").json(&key), 201).await;
    // Who asks for another export has the last one no more: this one is somebody's who asks for none.
    let keeper = api.register("Contract's keeper").await.unwrap();
    let (export, zip) = exported(&keeper).await;
    let there = json!({
        "password": athlete.password,
        "other": {"email": other.email, "password": other.password},
        "consistency_token": logged.token(),
        "ids": {
            "get_athlete": athlete.id,
            "get_workout": logged.id().unwrap(),
            "get_recording": recorded,
            "get_original": recorded,
            "get_import": taken_in(&athlete, zip).await,
            "show_export": export,
            "download_export": export,
            "show_erasure": erasure(&api, &other).await,
        },
        "keeper": keeper.access_token(),
        "api_key": key.json()["key"],
        "sessions": sessions(&api).await,
        "administrators": administrators(stack, &athlete).await,
        "leavers": leavers(&api).await,
    });
    std::fs::write(folder.join("there.json"), there.to_string()).unwrap();
    athlete.renewed().await.unwrap()
}

async fn sent(athlete: &Athlete, call: &Call, status: u16) -> Answer {
    athlete.send(call).await.unwrap().expecting(status).unwrap()
}

/// A file of each format for schemathesis to import, and the id of a workout with a recording.
async fn import_and_leave_files(athlete: &Athlete, folder: &Path) -> Value {
    let activities = recordings::invented().unwrap();
    for file in &activities.first().unwrap().files {
        std::fs::write(folder.join(format!("activity.{}", file.format.as_str())), &file.bytes).unwrap();
    }
    let file = activities.last().unwrap().files.first().unwrap();
    let recorded = athlete.import(file.format.content_type(), file.bytes.clone(), "public").await.unwrap();
    recorded.json()["workouts"][0]["id"].clone()
}

/// A finished export, and its zip.
async fn exported(athlete: &Athlete) -> (Value, Bytes) {
    let asked = sent(athlete, &Call::post("/v1/account/export"), 202).await;
    let export = athlete.until_done(asked.header("location").unwrap()).await.unwrap().json();
    let zip = athlete.get(export["file"].as_str().unwrap()).await.unwrap().body;
    (export["id"].clone(), zip)
}

/// The id of a finished import of a zip.
async fn taken_in(athlete: &Athlete, zip: Bytes) -> Value {
    let asked = sent(athlete, &Call::post("/v1/workouts/imports").file("application/zip", zip), 202).await;
    athlete.until_done(asked.header("location").unwrap()).await.unwrap().json()["id"].clone()
}

/// The id of the receipt of somebody who is gone; read by another.
async fn erasure(api: &Api, other: &Athlete) -> Value {
    let gone = api.register("Contract's past").await.unwrap();
    let password = json!({"password": gone.password});
    let asked = sent(&gone, &Call::delete("/v1/account").json(&password), 202).await;
    other.until_done(asked.header("location").unwrap()).await.unwrap().json()["id"].clone()
}

/// Sessions of an account that has nothing else, to be refreshed or to be ended.
async fn sessions(api: &Api) -> Vec<Value> {
    let guest = api.register("Contract's guest").await.unwrap();
    let credentials =
        Call::post("/v1/account/sessions").json(&json!({"email": guest.email, "password": guest.password}));
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(api.send_when_not_busy(&credentials).await.unwrap().expecting(201).unwrap().json());
    }
    sessions
}

/// Administrators who have no password yet.
async fn administrators(stack: &TestStack, athlete: &Athlete) -> Vec<Value> {
    let mut administrators = Vec::new();
    for number in 0..ADMINISTRATORS {
        let email = format!("ops-{number}-{}@example.org", athlete.id);
        let secret = stack.administrator(&email).await.unwrap();
        administrators.push(json!({"email": email, "one_time_secret": secret}));
    }
    administrators
}

/// Who are signed in and may be erased.
async fn leavers(api: &Api) -> Vec<Value> {
    let mut leavers = Vec::new();
    for _ in 0..LEAVERS {
        let leaver = api.register("Contract's leaver").await.unwrap();
        leavers.push(json!({"access_token": leaver.access_token(), "password": leaver.password}));
    }
    leavers
}
