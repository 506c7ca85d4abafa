//! `demo`: what an app does in its first minute: sign up, upload recordings, read back the list, totals and leaderboard.
//! Says after how many milliseconds each upload was readable, measured from its answer.

mod client;
mod recordings;
mod tables;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use fittrack_local::{Error, Result};
use serde_json::json;

use crate::cli::Demo;
use client::Client;
use recordings::Upload;

/// How long an upload may take to become readable before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn run(arguments: &Demo) -> Result<ExitCode> {
    let folder = super::folder(&arguments.which)?;
    let status = super::existing(&folder)?.status().await?;
    if let Some(down) = status.processes.iter().find(|process| !process.ready) {
        return Err(Error::failed(format!("{} is not ready", down.name))
            .advise("start what is missing with deploy/fittrack up --detach"));
    }
    let uploads = if arguments.files.is_empty() {
        recordings::invented(std::time::SystemTime::now().into(), rand::random())?
    } else {
        arguments.files.iter().map(|path| recordings::read(path)).collect::<Result<Vec<_>>>()?
    };
    let mut client = Client::new(&status.command_api, &status.query_api)?;
    sign_up(&mut client).await?;
    for upload in uploads {
        import(&mut client, upload).await?;
    }
    show(&client).await?;
    Ok(ExitCode::SUCCESS)
}

async fn sign_up(client: &mut Client) -> Result<()> {
    let number: u32 = rand::random();
    let email = format!("demo-{number:08x}@example.com");
    let password = format!("{:032x}", rand::random::<u128>());
    let began = Instant::now();
    let account = json!({ "email": email, "password": password, "display_name": format!("Demo {number:08x}") });
    client.post("/v1/account", &account).await?;
    client.log_in(&email, &password).await?;
    say!("signed up and logged in as {email}, {}", milliseconds(began.elapsed()));
    // A first read, so that the ones measured below do not pay for fetching the keys.
    client.get_consistent::<serde_json::Value>("/v1/me").await?;
    Ok(())
}

async fn import(client: &mut Client, upload: Upload) -> Result<()> {
    let (size, name) = (upload.bytes.len(), upload.name.clone());
    let began = Instant::now();
    let imported = client.import(upload).await?;
    let answered = Instant::now();
    say!("imported {name} ({}), answered in {}", kilobytes(size), milliseconds(answered - began));
    for workout in &imported.workouts {
        while !client.is_readable(&workout.id).await? {
            if answered.elapsed() > PATIENCE {
                return Err(Error::failed(format!("workout {} is still not readable", workout.id))
                    .advise("see deploy/fittrack status, deploy/fittrack projectors status and the logs"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let visible = milliseconds(answered.elapsed());
        say!("  workout {} ({}), readable {visible} after the answer", workout.id, workout.status);
    }
    Ok(())
}

async fn show(client: &Client) -> Result<()> {
    say!("\nWorkouts  (GET /v1/workouts)");
    say!("{}", tables::workouts(&client.get_consistent::<client::List<_>>("/v1/workouts").await?.items).trim_end());
    say!("\nWeekly totals  (GET /v1/me/analytics/totals?by=week)");
    let totals = client.get_consistent::<client::List<_>>("/v1/me/analytics/totals?by=week").await?;
    say!("{}", tables::totals(&totals.items).trim_end());
    say!("\nLeaderboard, distance of all time  (GET /v1/leaderboards/distance_m?period=all)");
    let board = client.get_consistent::<client::List<_>>("/v1/leaderboards/distance_m?period=all&limit=10").await?;
    say!("{}", tables::leaderboard(&board.items, client.athlete_id()).trim_end());
    Ok(())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn kilobytes(size: usize) -> String {
    format!("{:.1} kB", size as f64 / 1000.0)
}
