//! Recordings from real devices (invented ones where there are none): each activity is stored once, says what its device
//! says, and is in the sums and on the boards that the test adds up from the devices' own numbers.

use std::collections::BTreeMap;

use fittrack_journeys::device::{Session, tcx_laps};
use fittrack_journeys::model::{label_of, starts_on};
use fittrack_journeys::recordings::{self, Activities, File};
use fittrack_journeys::{Answer, Athlete, TestStack};
use serde_json::{Value, json};
use uuid::Uuid;

async fn import(athlete: &Athlete, file: &File) -> Answer {
    athlete.import(file.format.content_type(), file.bytes.clone(), "public").await.unwrap()
}

/// The ids an import answered; all with this status.
fn ids(answer: &Answer, status: &str) -> Vec<Uuid> {
    let workouts = answer.json()["workouts"].as_array().cloned().unwrap_or_default();
    assert!(workouts.iter().all(|workout| workout["status"] == status), "{status}: {answer}");
    workouts.iter().map(|workout| workout["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[track_caller]
fn assert_near(what: &str, found: &Value, expected: Option<f64>, tolerance: f64) {
    match expected {
        Some(expected) => {
            let found = found.as_f64().unwrap_or(f64::NAN);
            assert!((found - expected).abs() <= tolerance, "{what}: {found} instead of {expected}");
        }
        None => assert_eq!(found, &Value::Null, "{what}"),
    }
}

fn assert_as_the_device_says(name: &str, workout: &Value, session: &Session) {
    assert_eq!(workout["sport"], session.sport, "{name}");
    let started_at: chrono::DateTime<chrono::Utc> = workout["started_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(started_at, session.started_at, "{name}");
    assert_near(name, &workout["duration_s"], Some(session.elapsed_s), 0.0005);
    assert_near(name, &workout["moving_s"], Some(session.timer_s), 0.0005);
    if session.distance_m.is_some() {
        assert_near(name, &workout["distance_m"], session.distance_m, 0.005);
    }
    if session.ascent_m.is_some() {
        assert_near(name, &workout["elevation_gain_m"], session.ascent_m, 0.0005);
    }
    assert_near(name, &workout["energy_kcal"], session.energy_kcal, 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recording_is_stored_once_and_says_what_its_device_says() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register_in("Rec", "Europe/Berlin").await.unwrap();
    let real = recordings::real().unwrap();
    let groups = match &real {
        Some(groups) => groups.clone(),
        None => recordings::invented().unwrap(),
    };
    let (mut workouts, mut token) = (Vec::new(), String::new());
    for group in &groups {
        let (stored, seen) = import_all_forms(&athlete, group).await;
        token = seen;
        workouts.extend(stored);
    }
    if real.is_some() {
        readme_says(&workouts);
    }
    let list = athlete.all("/v1/workouts?limit=3", Some(&token)).await.unwrap();
    assert_eq!(list.len(), workouts.len(), "each activity is in the list once");
    let started = |item: &Value| item["started_at"].as_str().unwrap().to_owned();
    assert!(list.is_sorted_by(|newer, older| started(newer) >= started(older)), "{list:?}");

    totals_are_the_sums(&athlete, &workouts, &token).await;
    boards_are_the_sums(&athlete, &workouts, &token).await;
}

/// Imports all forms of one or more activities; the workouts, and a token that sees them.
async fn import_all_forms(athlete: &Athlete, group: &Activities) -> (Vec<Value>, String) {
    let first = &group.files[0];
    let answer = import(athlete, first).await;
    let stored = ids(&answer, "stored");
    assert_eq!(answer.header("location"), Some(format!("/v1/workouts/{}", stored[0]).as_str()));
    for file in &group.files {
        // The first file itself again, and every other form of the same activity.
        assert_eq!(ids(&import(athlete, file).await, "duplicate"), stored, "{} after {}", file.name, first.name);
    }

    let mut workouts = Vec::new();
    for id in &stored {
        let path = format!("/v1/workouts/{id}");
        workouts.push(athlete.get_seeing(&path, &answer.token()).await.unwrap().json());
        let original = athlete.get(&format!("{path}/original")).await.unwrap();
        assert!(original.body == first.bytes, "the original of {} comes back byte for byte", first.name);
        let recording = athlete.get(&format!("{path}/recording?resolution=high")).await.unwrap().json();
        columns_are_equally_long(&first.name, &recording);
    }
    if group.sessions.is_empty() {
        let laps = tcx_laps(&String::from_utf8_lossy(&first.bytes));
        assert_eq!(workouts.len(), 1, "{}", first.name);
        assert_near(&first.name, &workouts[0]["duration_s"], Some(laps.elapsed_s), 0.001);
        assert_near(&first.name, &workouts[0]["moving_s"], Some(laps.timer_s), 0.001);
        assert_near(&first.name, &workouts[0]["distance_m"], Some(laps.distance_m), 0.01);
        assert_near(&first.name, &workouts[0]["energy_kcal"], Some(laps.energy_kcal).filter(|kcal| *kcal > 0.0), 0.5);
    } else {
        assert_eq!(workouts.len(), group.sessions.len(), "{}: a workout a leg", first.name);
        for (workout, session) in workouts.iter().zip(&group.sessions) {
            assert_as_the_device_says(&first.name, workout, session);
        }
    }
    if workouts.len() > 1 {
        let session_id = &workouts[0]["recording"]["session_id"];
        assert!(session_id.is_string(), "{}", workouts[0]);
        for (leg, workout) in workouts.iter().enumerate() {
            assert_eq!((&workout["recording"]["session_id"], &workout["recording"]["leg"]), (session_id, &json!(leg)));
        }
    }
    (workouts, answer.token())
}

fn columns_are_equally_long(name: &str, recording: &Value) {
    let samples = if recording["samples"].is_object() { &recording["samples"] } else { recording };
    let lengths: BTreeMap<&String, usize> = samples
        .as_object()
        .expect("a recording is an object")
        .iter()
        .filter_map(|(field, column)| Some((field, column.as_array()?.len())))
        .collect();
    assert!(lengths.len() > 1, "{name}: {lengths:?}");
    assert!(lengths.values().all(|length| Some(length) == lengths.values().next()), "{name}: {lengths:?}");
}

/// What the page beside the recordings says of them, number by number.
fn readme_says(workouts: &[Value]) {
    let at = |started_at: &str| {
        let found = workouts.iter().find(|workout| workout["started_at"].as_str().unwrap().starts_with(started_at));
        found.expect("a recording of that instant")
    };
    let long = at("2020-04-18T11:10:44");
    let numbers = [
        ("duration_s", 5158.557),
        ("moving_s", 5158.557),
        ("distance_m", 36_322.85),
        ("elevation_gain_m", 79.0),
        ("energy_kcal", 773.0),
        ("average_heart_rate_bpm", 130.0),
        ("max_heart_rate_bpm", 160.0),
    ];
    for (field, number) in numbers {
        assert_near(field, &long[field], Some(number), 1e-6);
    }
    assert_eq!((&long["sport"], &long["recording"]["samples"]), (&json!("ride"), &json!(5_159)));

    let short = at("2020-06-01T14:52:40");
    for (field, number) in [("duration_s", 113.15), ("moving_s", 93.7), ("distance_m", 668.19)] {
        assert_near(field, &short[field], Some(number), 1e-6);
    }
    assert!(short["average_power_w"].is_number());

    let of_sport = |sport: &str| workouts.iter().filter(|workout| workout["sport"] == sport).collect::<Vec<_>>();
    let indoor = of_sport("ride").into_iter().find(|workout| workout["distance_m"] == json!(0.0)).unwrap();
    for (field, number) in [("duration_s", 324.513), ("moving_s", 196.229)] {
        assert_near(field, &indoor[field], Some(number), 1e-6);
    }
    assert_eq!((of_sport("ride").len(), of_sport("row").len(), of_sport("run").len()), (3, 1, 2));
    assert!(of_sport("run").iter().any(|run| run["recording"]["samples"] == json!(3_507)));
}

fn number(workout: &Value, field: &str) -> f64 {
    workout[field].as_f64().unwrap_or(0.0)
}

async fn totals_are_the_sums(athlete: &Athlete, workouts: &[Value], token: &str) {
    for by in ["day", "week", "month", "year"] {
        let mut expected: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for workout in workouts {
            let local_date = workout["local_date"].as_str().unwrap().parse().unwrap();
            expected.entry(label_of(by, starts_on(by, local_date))).or_default().push(workout);
        }
        let found = athlete.all(&format!("/v1/me/analytics/totals?by={by}"), Some(token)).await.unwrap();
        assert_eq!(found.len(), expected.len(), "{by}: {found:?}");
        for period in &found {
            let of_period = &expected[period["period"].as_str().unwrap()];
            assert_eq!(period["workouts"], json!(of_period.len()), "{by}: {period}");
            for field in ["distance_m", "duration_s", "moving_s", "elevation_gain_m", "energy_kcal"] {
                let sum: f64 = of_period.iter().map(|workout| number(workout, field)).sum();
                assert_near(field, &period[field], Some(sum), 0.001);
            }
        }
    }
}

/// On the boards of the weeks in which only this athlete has done anything, and of each sport.
async fn boards_are_the_sums(athlete: &Athlete, workouts: &[Value], token: &str) {
    for workout in workouts {
        let (day, sport) = (&workout["started_at"].as_str().unwrap()[..10], workout["sport"].as_str().unwrap());
        let monday = starts_on("week", day.parse().unwrap());
        let counts_in_week = |other: &&Value| {
            let day = other["started_at"].as_str().unwrap()[..10].parse().unwrap();
            let a_minute_or_more = number(other, "duration_s") >= 60.0;
            other["sport"] == sport && starts_on("week", day) == monday && a_minute_or_more
        };
        for metric in ["distance_m", "duration_s", "elevation_gain_m"] {
            let sum: f64 = workouts.iter().filter(counts_in_week).map(|workout| number(workout, metric)).sum();
            let path = format!("/v1/leaderboards/{metric}?period=week&date={day}&sport={sport}&limit=200");
            let rows = athlete.all(&path, Some(token)).await.unwrap();
            let mine = rows.iter().find(|row| row["athlete_id"] == json!(athlete.id));
            match mine {
                Some(mine) => assert_near(&path, &mine["value"], Some(sum), 0.001),
                None => assert!(sum.abs() < 1e-9, "{path}: {sum} is not on it"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_recording_may_be_imported_again_and_is_another_athlete_s_own() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let (ann, bo) = (api.register("Ann").await.unwrap(), api.register("Bo").await.unwrap());
    let groups = recordings::invented().unwrap();
    let file = &groups[1].files[0];
    let first = ids(&import(&ann, file).await, "stored")[0];
    let others = ids(&import(&bo, file).await, "stored")[0];
    assert_ne!(first, others);

    ann.delete(first).await.unwrap();
    let again = import(&ann, file).await;
    assert_ne!(ids(&again, "stored")[0], first);
    assert_eq!(ann.all("/v1/workouts", Some(&again.token())).await.unwrap().len(), 1);
}
