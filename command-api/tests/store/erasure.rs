//! The log of somebody who left: closed against whoever appends at that moment, then without content, and whole all the same.
use command_api::{
    erasure::places,
    store::{append::Outcome, lane::AppendError},
};
use fittrack_domain::partition::{DEFAULT_PARTITIONS, partition_of};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Database, append_to, new_event};

const LEAVER: Uuid = Uuid::from_u128(7);

fn partition() -> i32 {
    partition_of(LEAVER, DEFAULT_PARTITIONS)
}

/// Somebody of the leaver's partition.
fn neighbour() -> Uuid {
    (8..10_000).map(Uuid::from_u128).find(|other| partition_of(*other, DEFAULT_PARTITIONS) == partition()).unwrap()
}

async fn close(eraser: &PgPool) -> i64 {
    places::close_log(eraser, LEAVER, partition(), Uuid::from_u128(99)).await.unwrap()
}

async fn content(database: &Database, owner: Uuid) -> Vec<(i64, String, String, Uuid)> {
    sqlx::query_as(
        "SELECT position, event_type, payload::text, event_id FROM events WHERE owner_id = $1 ORDER BY position",
    )
    .bind(owner)
    .fetch_all(&database.admin)
    .await
    .unwrap()
}

#[tokio::test]
async fn nothing_is_appended_behind_the_farewell_and_others_of_the_batch_are_stored() {
    let database = Database::new().await;
    let (store, eraser) = (database.store().await, database.pool_as("fittrack_eraser").await);
    store.append(append_to(Uuid::from_u128(1), LEAVER, 0, 2)).await.unwrap();
    let farewell = close(&eraser).await;
    assert_eq!(farewell, 3);
    assert_eq!(close(&eraser).await, farewell, "closing it once more changes nothing");
    let late = (0..20).map(|n| store.append(append_to(Uuid::from_u128(100 + n), LEAVER, 0, 1)));
    let others = (0..20).map(|n| store.append(append_to(Uuid::from_u128(200 + n), neighbour(), 0, 1)));
    let (late, others) = tokio::join!(futures::future::join_all(late), futures::future::join_all(others));
    assert!(late.iter().all(|outcome| *outcome == Err(AppendError::Closed)), "{late:?}");
    assert!(others.iter().all(|outcome| matches!(outcome, Ok(Outcome::Stored(_)))), "{others:?}");
    database.assert_log_is_whole().await;
}

#[tokio::test]
async fn whoever_appends_while_a_log_is_closed_is_before_the_farewell_or_refused() {
    let database = Database::new().await;
    let (store, eraser) = (database.store().await, database.pool_as("fittrack_eraser").await);
    let appends = (0..200).map(|n| store.append(append_to(Uuid::from_u128(100 + n), LEAVER, 0, 1)));
    let (outcomes, farewell) = tokio::join!(futures::future::join_all(appends), close(&eraser));
    let stored = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Stored(_)))).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == Err(AppendError::Closed)).count();
    assert_eq!((stored + refused, i64::try_from(stored).unwrap()), (200, farewell - 1));
    let last = content(&database, LEAVER).await.pop().unwrap();
    assert_eq!((last.0, last.1.as_str()), (farewell, "account_erased"));
    database.assert_log_is_whole().await;
}

#[tokio::test]
async fn events_lose_their_content_and_keep_their_places_and_ids() {
    let database = Database::new().await;
    let (store, eraser) = (database.store().await, database.pool_as("fittrack_eraser").await);
    let secret = |event| command_api::store::append::NewEvent {
        event_type: "workout_logged".into(),
        payload: r#"{"title":"home, sweet home"}"#.into(),
        metadata: r#"{"traceparent":"00-home"}"#.into(),
        ..event
    };
    for n in 0..5 {
        let mut append = append_to(Uuid::from_u128(300 + n), LEAVER, 0, 1);
        append.events = vec![secret(new_event())];
        store.append(append).await.unwrap();
        let mut append = append_to(Uuid::from_u128(400 + n), neighbour(), 0, 1);
        append.events = vec![secret(new_event())];
        store.append(append).await.unwrap();
    }
    let before = content(&database, LEAVER).await;
    let of_neighbour = content(&database, neighbour()).await;
    let refused = places::redact_events(&eraser, LEAVER, partition(), 0, 100).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "an open log is not redacted");
    let farewell = close(&eraser).await;
    // Span by span, and the first once more as after a crash.
    for (after, upto, found) in [(0, 4, 2), (0, 4, 2), (4, farewell, 3)] {
        assert_eq!(places::redact_events(&eraser, LEAVER, partition(), after, upto).await.unwrap(), found);
    }
    let after = content(&database, LEAVER).await;
    assert_eq!(after.len(), before.len() + 1);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.0, before.3), (after.0, after.3));
        assert_eq!((after.1.as_str(), after.2.as_str()), ("redacted", r#"{"type":"redacted"}"#));
    }
    assert_eq!(content(&database, neighbour()).await, of_neighbour);
    let hints = "SELECT count(*) FROM events e WHERE e::text LIKE '%home%'";
    assert_eq!(database.count(hints).await, 5, "those of the neighbour");
    database.assert_log_is_whole().await;
}

#[tokio::test]
async fn only_the_eraser_closes_and_redacts_and_only_through_the_functions() {
    let database = Database::new().await;
    let eraser = database.pool_as("fittrack_eraser").await;
    close(&eraser).await;
    for role in ["fittrack_command", "fittrack_relay", "fittrack_projector"] {
        let pool = database.pool_as(role).await;
        let refused = places::close_log(&pool, LEAVER, partition(), Uuid::nil()).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{role}");
        assert!(places::redact_events(&pool, LEAVER, partition(), 0, 1).await.is_err(), "{role}");
    }
    // Saying so by hand lets nobody change the log who may not: and an accident of its owner stays refused.
    for (pool, sql) in [
        (&eraser, "SELECT set_config('fittrack.redacting', 'on', false)"),
        (&eraser, "UPDATE events SET payload = '{}'"),
        (&eraser, "DELETE FROM events"),
        (&database.admin, "UPDATE events SET payload = '{}'"),
        (&database.admin, "DELETE FROM events"),
        (&database.admin, "TRUNCATE events"),
    ] {
        let outcome = sqlx::query(sql).execute(pool).await;
        assert_eq!(outcome.is_err(), !sql.starts_with("SELECT"), "{sql}");
    }
}
