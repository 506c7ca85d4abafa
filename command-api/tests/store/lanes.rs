//! Group commit: poison harms only itself, a cut connection loses nothing, a full queue refuses at once.
use std::time::Duration;

use command_api::store::{
    append::{Append, NewEvent, Outcome},
    lane::AppendError,
};
use futures::{StreamExt, future::join_all, stream};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::support::{Database, append_to, eventually, new_event};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_poisoned_append_fails_alone() {
    let database = Database::new().await;
    let store = database.store().await;
    let poison = |n: u128| {
        let nul = NewEvent { event_type: "a\0b".into(), ..new_event() };
        Append { events: vec![nul], ..append_to(Uuid::from_u128(n), Uuid::from_u128(n), 0, 1) }
    };
    let answers = join_all((1..=200_u128).map(|n| {
        let append = if n % 20 == 0 { poison(n) } else { append_to(Uuid::from_u128(n), Uuid::from_u128(n), 0, 1) };
        store.append(append)
    }))
    .await;
    let rejected = answers.iter().filter(|answer| matches!(answer, Err(AppendError::Rejected(_)))).count();
    let stored = answers.iter().filter(|answer| matches!(answer, Ok(Outcome::Stored(_)))).count();
    assert_eq!((rejected, stored), (10, 190));
    assert_eq!(database.count("SELECT count(*) FROM events").await, 190);
    database.assert_log_is_whole().await;
}

/// Two owners in different partitions race for one stream id: neither lock keeps them apart, the unique index does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_stream_id_asked_for_in_two_partitions_goes_to_one() {
    let database = Database::new().await;
    let (store, other) = (database.store().await, database.store().await);
    for n in 1..=20_u128 {
        let stream = Uuid::from_u128(n);
        let (a, b) =
            (append_to(stream, Uuid::from_u128(1000 + n), 0, 1), append_to(stream, Uuid::from_u128(2000 + n), 0, 1));
        let answers = tokio::join!(store.append(a), other.append(b));
        let stored =
            [&answers.0, &answers.1].into_iter().filter(|answer| matches!(answer, Ok(Outcome::Stored(_)))).count();
        assert_eq!(stored, 1, "{answers:?}");
    }
    database.assert_log_is_whole().await;
}

/// Every backend of the lanes is cut again and again under load; each append still ends as stored, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cut_connections_lose_nothing_and_double_nothing() {
    let database = Database::new().await;
    let store = database.store().await;
    let admin = database.admin.clone();
    let cutting = tokio::spawn(async move {
        for _ in 0..20 {
            sqlx::query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND query LIKE '%append_%' AND pid <> pg_backend_pid()",
            )
            .execute(&admin)
            .await
            .unwrap();
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    });
    let answers: Vec<_> = stream::iter(1..=4000_u128)
        .map(|n| store.append(append_to(Uuid::from_u128(n), Uuid::from_u128(n % 50), 0, 1 + usize::from(n > 2000))))
        .buffer_unordered(64)
        .collect()
        .await;
    cutting.await.unwrap();
    let not_stored: Vec<_> =
        answers.iter().filter(|answer| !matches!(answer, Ok(Outcome::Stored(_)))).take(3).collect();
    assert!(not_stored.is_empty(), "{not_stored:?}");
    assert_eq!(database.count("SELECT count(*) FROM events").await, 6000);
    database.assert_log_is_whole().await;
}

/// Somebody holds the partition's lock: appends wait behind it in a bounded queue, and what does not fit is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_queue_refuses_at_once_and_the_rest_is_stored() {
    use sqlx::Connection;
    let database = Database::new().await;
    let store = database.store().await;
    let owner = Uuid::from_u128(1);
    let mut holder = PgConnection::connect_with(&database.options_as("postgres")).await.unwrap();
    let mut lock = holder.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(1179210836, $1)")
        .bind(store.partition_of(owner))
        .execute(&mut *lock)
        .await
        .unwrap();
    let waiting: Vec<_> = (1..=6000_u128)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.append(append_to(Uuid::from_u128(n), owner, 0, 1)).await })
        })
        .collect();
    let mut refused = 0;
    eventually("some appends are refused", async || {
        refused = waiting.iter().filter(|task| task.is_finished()).count();
        refused > 0
    })
    .await;
    lock.rollback().await.unwrap();
    let answers: Vec<_> = join_all(waiting).await.into_iter().map(Result::unwrap).collect();
    let stored = answers.iter().filter(|answer| matches!(answer, Ok(Outcome::Stored(_)))).count();
    let overloaded = answers.iter().filter(|answer| matches!(answer, Err(AppendError::Overloaded))).count();
    assert_eq!(stored + overloaded, 6000);
    assert!(overloaded > 0);
    assert_eq!(database.count("SELECT count(*) FROM events").await, i64::try_from(stored).unwrap());
}
