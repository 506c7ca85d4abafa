//! Leaderboards: who is on them, and where.

use fittrack_journeys::{Athlete, TestStack, bodies};
use serde_json::{Value, json};

/// Rank and value of these athletes on a board, best first.
async fn places(board: &str, asked_by: &Athlete, of: &[&Athlete], token: &str) -> Vec<(String, i64, f64)> {
    let rows = asked_by.all(&format!("/v1/leaderboards/{board}&limit=200"), Some(token)).await.unwrap();
    let place = |row: &Value| {
        let athlete = of.iter().find(|athlete| row["athlete_id"] == json!(athlete.id))?;
        Some((athlete.name.clone(), row["rank"].as_i64().unwrap(), row["value"].as_f64().unwrap()))
    };
    rows.iter().filter_map(place).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn visibility_moves_a_workout_on_and_off_the_board() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Vio").await.unwrap();
    let board = "distance_m?period=month&date=2021-01-15&sport=run";
    let logged = athlete
        .log(&bodies::with(bodies::run("2021-01-15T06:00:00Z"), json!({"visibility": "private"})))
        .await
        .unwrap();
    let id = logged.id().unwrap();
    assert_eq!(places(board, &athlete, &[&athlete], &logged.token()).await, []);
    let mut version = 1;
    for (visibility, shown) in [("public", true), ("followers", false), ("public", true), ("private", false)] {
        let edited = athlete.edit(id, version, &json!({"visibility": visibility})).await.unwrap();
        version = edited.version().unwrap();
        let expected = if shown { vec![("Vio".to_owned(), 1, 5_000.0)] } else { vec![] };
        assert_eq!(places(board, &athlete, &[&athlete], &edited.token()).await, expected, "{visibility}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equals_share_a_rank_and_the_next_one_is_left_out() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let mut athletes = Vec::new();
    let mut token = String::new();
    for (name, metres) in [("Ada", 9_000.0), ("Ben", 8_000.0), ("Cem", 8_000.0), ("Dot", 7_000.0)] {
        let athlete = api.register(name).await.unwrap();
        let body = bodies::with(bodies::run("2021-03-01T06:00:00Z"), json!({"distance_m": metres}));
        // Tokens of several partitions: each one's own answer must be seen before the board is compared.
        token = athlete.log(&body).await.unwrap().token();
        places("distance_m?period=week&date=2021-03-01", &athlete, &[], &token).await;
        athletes.push(athlete);
    }
    let of: Vec<&Athlete> = athletes.iter().collect();
    let expected = [("Ada", 1, 9_000.0), ("Ben", 2, 8_000.0), ("Cem", 2, 8_000.0), ("Dot", 4, 7_000.0)];
    let expected: Vec<_> = expected.map(|(name, rank, metres)| (name.to_owned(), rank, metres)).to_vec();
    for board in [
        "distance_m?period=week&date=2021-03-01",
        "distance_m?period=month&date=2021-03-31&sport=run",
        "distance_m?period=year&date=2021-12-31&sport=all",
    ] {
        let found = places(board, &athletes[3], &of, &token).await;
        // Others may be on the longer boards as well: only the differences of rank are ours.
        let first = found[0].1;
        let found: Vec<_> = found.into_iter().map(|(name, rank, metres)| (name, rank - first + 1, metres)).collect();
        assert_eq!(found, expected, "{board}");
    }

    let around = "/v1/leaderboards/distance_m/me?period=week&date=2021-03-01&sport=run&around=1";
    let mine = athletes[2].get_seeing(around, &token).await.unwrap().json();
    assert!(mine.to_string().contains("\"rank\":2"), "{mine}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_do_counts_in_totals_and_on_no_board() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Zed").await.unwrap();
    let body = bodies::with(bodies::run("2021-05-01T06:00:00Z"), json!({"distance_m": 30_000.0}));
    let token = athlete.log(&body).await.unwrap().token();
    let year = athlete.get_seeing("/v1/me/analytics/totals?by=year", &token).await.unwrap();
    assert_eq!(year.items()[0]["distance_m"], 30_000.0);
    let board = "distance_m?period=week&date=2021-05-01&sport=run";
    assert_eq!(places(board, &athlete, &[&athlete], &token).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_less_than_a_minute_counts_in_totals_and_on_no_board() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Wes").await.unwrap();
    let board = "workouts?period=week&date=2021-06-01&sport=run";
    let short = bodies::with(bodies::run("2021-06-01T06:00:00Z"), json!({"duration_s": 59.999, "distance_m": 100.0}));
    let logged = athlete.log(&short).await.unwrap();
    let year = athlete.get_seeing("/v1/me/analytics/totals?by=year", &logged.token()).await.unwrap();
    assert_eq!(year.items()[0]["workouts"], 1);
    assert_eq!(places(board, &athlete, &[&athlete], &logged.token()).await, []);
    let edited = athlete.edit(logged.id().unwrap(), 1, &json!({"duration_s": 60.0})).await.unwrap();
    assert_eq!(places(board, &athlete, &[&athlete], &edited.token()).await, [("Wes".to_owned(), 1, 1.0)]);
}
