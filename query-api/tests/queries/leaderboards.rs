//! Boards: ranks, the order among equals, pages, and one's own place.
use serde_json::{Value, json};

use crate::stage::{Athlete, Stage, notice};

/// A score on the board of the ISO week from 23 November 2026.
async fn score(stage: &Stage, athlete: &Athlete, sport: &str, metres: i64, minute: i32) {
    sqlx::query(
        "INSERT INTO leaderboards_v2.leaderboards (period, starts_on, sport, athlete_id, distance_mm, duration_ms,
                                                   moving_ms, elevation_gain_mm, workouts, scored_at)
         VALUES ('week', '2026-11-23', $1, $2, $3, 1000, 1000, 0, 2, '2026-11-24T08:00:00Z'::timestamptz + make_interval(mins => $4))",
    )
    .bind(sport)
    .bind(athlete.id)
    .bind(metres * 1_000)
    .bind(minute)
    .execute(&stage.read_models)
    .await
    .unwrap();
}

/// Anna 100, Ben and Cleo 90 (Cleo earlier), Dora 80, Emil nothing.
async fn board(stage: &Stage) -> Vec<Athlete> {
    let mut athletes = Vec::new();
    for (name, metres, minute) in [("Anna", 100, 9), ("Ben", 90, 5), ("Cleo", 90, 4), ("Dora", 80, 1), ("Emil", 0, 0)] {
        let athlete = stage.athlete(name).await;
        score(stage, &athlete, "all", metres, minute).await;
        athletes.push(athlete);
    }
    athletes
}

fn ranked(rows: &[(i64, &str, f64)]) -> Vec<(i64, String, f64)> {
    rows.iter().map(|(rank, name, value)| (*rank, (*name).to_owned(), *value)).collect()
}

fn rows(items: &Value) -> Vec<(i64, String, f64)> {
    let row = |item: &Value| {
        let name = item["display_name"].as_str();
        (item["rank"].as_i64().unwrap(), name.unwrap().to_owned(), item["value"].as_f64().unwrap())
    };
    items.as_array().unwrap().iter().map(row).collect()
}

#[tokio::test]
async fn ranks_are_1_2_2_4_and_the_earlier_goes_first_among_equals() {
    let stage = Stage::new().await;
    let athletes = board(&stage).await;
    let reply = stage.get("/v1/leaderboards/distance_m?date=2026-11-29", &athletes[4]).await;
    let board = reply.json();
    let expected = ranked(&[(1, "Anna", 100.0), (2, "Cleo", 90.0), (2, "Ben", 90.0), (4, "Dora", 80.0)]);
    assert_eq!(rows(&board["items"]), expected);
    assert_eq!(board["next"], json!(null));
    assert_eq!(
        (&board["period"], &board["starts_on"], &board["sport"]),
        (&json!("2026-W48"), &json!("2026-11-23"), &json!("all"))
    );

    // The same, a row a page.
    let mut path = "/v1/leaderboards/distance_m?date=2026-11-29&limit=1".to_owned();
    let mut walked = Vec::new();
    loop {
        let page = stage.get(&path, &athletes[0]).await.json();
        walked.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next"].as_str() else { break };
        path = format!("/v1/leaderboards/distance_m?date=2026-11-29&limit=1&cursor={cursor}");
    }
    assert_eq!(rows(&json!(walked)), expected);

    let counted = stage.get("/v1/leaderboards/workouts?date=2026-11-29", &athletes[0]).await.json();
    assert_eq!(counted["items"].as_array().unwrap().len(), 5);
    assert!(counted["items"].as_array().unwrap().iter().all(|row| row["rank"] == 1 && row["value"] == 2));
    for empty in
        ["distance_m?date=2026-11-22", "distance_m?date=2026-11-29&sport=run", "elevation_gain_m?date=2026-11-29"]
    {
        let board = stage.get(&format!("/v1/leaderboards/{empty}"), &athletes[0]).await.json();
        assert_eq!(board["items"], json!([]), "{empty}");
    }
}

#[tokio::test]
async fn a_walk_while_scores_come_repeats_none_and_leaves_none_out() {
    let stage = Stage::new().await;
    let reader = stage.athlete("Reader").await;
    let mut there_before = Vec::new();
    for place in 0..12 {
        let athlete = stage.athlete(&format!("Athlete {place}")).await;
        // Three of each score, so that pages end among equals.
        score(&stage, &athlete, "all", 1_000 - i64::from(place / 3) * 100, place).await;
        there_before.push(json!(athlete.id));
    }
    let mut path = "/v1/leaderboards/distance_m?date=2026-11-29&limit=2".to_owned();
    let mut walked = Vec::new();
    for page in 1.. {
        let reply = stage.get(&path, &reader).await;
        walked.extend(reply.items("athlete_id"));
        // One goes before everything that was read, one behind everything that was not.
        for metres in [2_000 + i64::from(page), 100 - i64::from(page)] {
            score(&stage, &stage.stranger(), "all", metres, 0).await;
        }
        stage.notify(&notice("leaderboards", 3, i64::from(page), &[reader.id]));
        let Some(cursor) = reply.json()["next"].as_str().map(str::to_owned) else { break };
        path = format!("/v1/leaderboards/distance_m?date=2026-11-29&limit=2&cursor={cursor}");
        assert!(page < 50, "the walk does not end");
    }
    walked.retain(|id| there_before.contains(id));
    assert_eq!(walked, there_before);
}

#[tokio::test]
async fn my_place_has_its_rank_percentile_and_neighbours() {
    let stage = Stage::new().await;
    let athletes = board(&stage).await;
    let place = |who: usize, around: usize| {
        let path = format!("/v1/leaderboards/distance_m/me?date=2026-11-29&around={around}");
        let (stage, athlete) = (&stage, &athletes[who]);
        async move { stage.get(&path, athlete).await.json() }
    };
    let ben = place(1, 1).await;
    assert_eq!(
        (&ben["rank"], &ben["value"], &ben["percentile"], &ben["ranked"]),
        (&json!(2), &json!(90.0), &json!(75.0), &json!(4))
    );
    assert_eq!(rows(&ben["neighbours"]), ranked(&[(2, "Cleo", 90.0), (2, "Ben", 90.0), (4, "Dora", 80.0)]));
    let anna = place(0, 5).await;
    assert_eq!((&anna["rank"], &anna["percentile"]), (&json!(1), &json!(100.0)));
    assert_eq!(anna["neighbours"].as_array().unwrap().len(), 4);
    let emil = place(4, 5).await;
    assert_eq!((&emil["rank"], &emil["value"], &emil["percentile"]), (&json!(null), &json!(null), &json!(null)));
    assert_eq!((&emil["ranked"], &emil["neighbours"]), (&json!(4), &json!([])));
}

#[tokio::test]
async fn a_new_score_and_a_new_name_show_on_the_board() {
    let stage = Stage::new().await;
    let athletes = board(&stage).await;
    let path = "/v1/leaderboards/distance_m?date=2026-11-29";
    let first = |reply: Value| reply["items"][0]["display_name"].clone();
    assert_eq!(first(stage.get(path, &athletes[0]).await.json()), "Anna");
    let newcomer = stage.stranger();
    score(&stage, &newcomer, "all", 500, 0).await;
    stage.notify(&notice("leaderboards", 3, 1, &[newcomer.id]));
    let board = stage.get(path, &athletes[0]).await.json();
    assert_eq!(
        (&board["items"][0]["athlete_id"], &board["items"][0]["display_name"]),
        (&json!(newcomer.id), &json!(null))
    );
    let update = "UPDATE profiles_v1.profiles SET display_name = 'Anne' WHERE athlete_id = $1";
    sqlx::query(update).bind(athletes[0].id).execute(&stage.read_models).await.unwrap();
    stage.notify(&notice("profiles", 3, 1, &[athletes[0].id]));
    assert_eq!(stage.get(path, &athletes[1]).await.json()["items"][1]["display_name"], "Anne");
}
