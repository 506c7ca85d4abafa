//! `kill -9` of the command API while it makes an export and while it takes one in: both are done after the restart, and nothing
//! is stored twice.

use fittrack_journeys::patience::until;
use fittrack_journeys::{Call, TestStack, bodies};
use fittrack_local::Parts;

use super::stage;

const WORKOUTS: i64 = 150;

/// Kills the command API in the middle of a job; what it held may be taken at once, as if its lease had run out.
async fn killed_in_the_middle(stack: &TestStack, jobs: &str) {
    let mut recordings = stack.recordings().await.unwrap();
    let taken = format!("SELECT count(*) FROM {jobs} WHERE epoch > 0");
    until("a worker has taken the job", async || {
        let taken: i64 =
            sqlx::query_scalar(&taken).fetch_one(&mut recordings).await.map_err(|error| error.to_string())?;
        if taken > 0 { Ok(()) } else { Err("nobody has it".to_owned()) }
    })
    .await
    .unwrap();
    stack.kill("command-api").await.unwrap();
    let expire = format!("UPDATE {jobs} SET lease_expires_at = clock_timestamp()");
    sqlx::query(&expire).execute(&mut recordings).await.unwrap();
    stack.ensure_up(Parts::Everything).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_api_may_be_killed_while_it_makes_an_export_or_takes_one_in() {
    let stage = stage().await;
    let (stack, api) = (&stage.stack, stage.stack.api().unwrap());
    let old = api.register("Old").await.unwrap();
    for hour in 0..WORKOUTS {
        old.log(&bodies::run(&bodies::minutes_into_2025(hour * 60))).await.unwrap();
    }
    let asked = old.send(&Call::post("/v1/account/export")).await.unwrap().expecting(202).unwrap();
    killed_in_the_middle(stack, "export_jobs").await;
    let done = old.until_done(asked.header("location").unwrap()).await.unwrap().json();
    let zip = old.get(done["file"].as_str().unwrap()).await.unwrap().body;

    let new = api.register("New").await.unwrap();
    let call = Call::post("/v1/workouts/imports").file("application/zip", zip);
    let accepted = new.send(&call).await.unwrap().expecting(202).unwrap();
    killed_in_the_middle(stack, "import_jobs").await;
    let done = new.until_done(accepted.header("location").unwrap()).await.unwrap().json();
    assert_eq!((done["refused_count"].as_i64(), done["file_count"].as_i64()), (Some(0), Some(WORKOUTS + 1)), "{done}");
    assert_eq!(done["stored_count"].as_i64(), Some(WORKOUTS), "the profile says the same already: {done}");
    let token = done["consistency_token"].as_str().unwrap();
    // More than a query would wait for.
    until("the read models have caught up", async || {
        new.get_seeing("/v1/workouts?limit=1", token).await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await
    .unwrap();
    let list = new.all("/v1/workouts?limit=100", Some(token)).await.unwrap();
    assert_eq!(i64::try_from(list.len()).unwrap(), WORKOUTS);
}
