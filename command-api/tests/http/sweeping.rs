//! Blobs that no import names go, all others stay.
use std::time::Duration;

use command_api::blobs::{self, BlobKind, Sweeper};
use fittrack_domain::{
    recording::{self, Format, synthesize},
    sport::Sport,
};

use crate::support::{World, count};

const BLOBS: &str = "SELECT count(*) FROM blobs";

#[tokio::test]
async fn old_blobs_that_nothing_names_are_swept() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let ride = synthesize(1, Sport::Ride, "2026-10-01T06:00:00Z".parse().unwrap(), 600.0);
    let fit = recording::write(&ride, Format::Fit).unwrap();
    let imported = ann.imports("application/vnd.ant.fit", fit).await;
    blobs::store(&world.recordings, BlobKind::Original, [7; 32], b"left by a crash").await.unwrap();
    assert_eq!(count(&world.recordings, BLOBS).await, 3);

    let mut sweeper = Sweeper::new(world.recordings.clone(), world.store.clone());
    assert_eq!(sweeper.sweep().await.unwrap(), 0, "it is young");
    let mut sweeper = sweeper.min_age(Duration::ZERO);
    assert_eq!(sweeper.sweep().await.unwrap(), 1);
    assert_eq!(count(&world.recordings, BLOBS).await, 2);

    let id = imported.body["workouts"][0]["id"].as_str().unwrap();
    assert_eq!(ann.delete(&format!("/v1/workouts/{id}")).answer().await.status, 202);
    assert_eq!(sweeper.sweep().await.unwrap(), 2);
}

#[tokio::test]
async fn storing_a_blob_again_makes_it_young() {
    let world = World::new().await;
    let age = "UPDATE blobs SET stored_at = stored_at - interval '2 days'";
    blobs::store(&world.recordings, BlobKind::Recording, [1; 32], b"a").await.unwrap();
    sqlx::query(age).execute(&world.recordings).await.unwrap();
    blobs::store(&world.recordings, BlobKind::Recording, [1; 32], b"a").await.unwrap();
    let mut sweeper = Sweeper::new(world.recordings.clone(), world.store.clone());
    assert_eq!(sweeper.sweep().await.unwrap(), 0);
    sqlx::query(age).execute(&world.recordings).await.unwrap();
    assert_eq!(sweeper.sweep().await.unwrap(), 1);
}
