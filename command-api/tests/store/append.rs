//! The append function: what it stores, what it refuses, and that no race makes a gap.
use std::collections::{HashMap, HashSet};

use command_api::store::append::{Append, Outcome, Place, append};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::support::{Database, append_to, eventually, new_event};

async fn connection(database: &Database) -> PgConnection {
    PgConnection::connect_with(&database.options_as("fittrack_command")).await.unwrap()
}

fn versions(outcomes: &[Outcome]) -> Vec<(&'static str, i64)> {
    outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Stored(place) => ("stored", place.version),
            Outcome::Duplicate(earlier) => ("duplicate", earlier.place.version),
            Outcome::Conflict { current_version } => ("conflict", *current_version),
        })
        .collect()
}

#[tokio::test]
async fn a_batch_stores_each_command_whole_and_numbers_partitions_without_gaps() {
    let database = Database::new().await;
    let mut connection = connection(&database).await;
    let owner = Uuid::from_u128(1);
    let (a, b) = (append_to(Uuid::from_u128(10), owner, 0, 3), append_to(Uuid::from_u128(11), owner, 0, 2));
    let outcomes = append(&mut connection, &[&a, &b]).await.unwrap();
    assert_eq!(versions(&outcomes), [("stored", 3), ("stored", 2)]);
    let positions: Vec<(i64, String, i64, i16)> =
        sqlx::query_as("SELECT position, aggregate_id, sequence, command_index FROM events ORDER BY position")
            .fetch_all(&database.admin)
            .await
            .unwrap();
    let (a, b) = (Uuid::from_u128(10).to_string(), Uuid::from_u128(11).to_string());
    let expected = [(1, a.clone(), 1, 0), (2, a.clone(), 2, 1), (3, a, 3, 2), (4, b.clone(), 1, 0), (5, b, 2, 1)];
    assert_eq!(positions, expected);
}

#[tokio::test]
async fn a_stored_command_is_a_duplicate_the_second_time_with_its_first_answer() {
    let database = Database::new().await;
    let mut connection = connection(&database).await;
    let stream = Uuid::from_u128(10);
    let first = append_to(stream, Uuid::from_u128(1), 0, 2);
    let stored = append(&mut connection, &[&first]).await.unwrap();
    let later = append_to(stream, Uuid::from_u128(1), 2, 1);
    append(&mut connection, &[&later]).await.unwrap();

    // The same command, decided anew: other event ids, another stream even.
    let again = Append { events: vec![new_event()], aggregate_id: Uuid::from_u128(77), ..first };
    let outcomes = append(&mut connection, &[&again]).await.unwrap();
    let (Outcome::Stored(place), Outcome::Duplicate(earlier)) = (&stored[0], &outcomes[0]) else {
        panic!("{stored:?} {outcomes:?}")
    };
    assert_eq!(earlier.place, *place);
    assert_eq!(earlier.aggregate_id, stream.to_string());
    assert_eq!(database.count("SELECT count(*) FROM events").await, 3);
}

#[tokio::test]
async fn of_two_commands_on_one_version_in_one_batch_the_first_wins() {
    let database = Database::new().await;
    let mut connection = connection(&database).await;
    let stream = Uuid::from_u128(10);
    let (a, b) = (append_to(stream, Uuid::from_u128(1), 0, 1), append_to(stream, Uuid::from_u128(1), 0, 2));
    assert_eq!(versions(&append(&mut connection, &[&a, &b]).await.unwrap()), [("stored", 1), ("conflict", 0)]);
    assert_eq!(database.count("SELECT count(*) FROM events").await, 1);
}

#[tokio::test]
async fn one_command_id_twice_in_one_batch_is_stored_once() {
    let database = Database::new().await;
    let mut connection = connection(&database).await;
    let a = append_to(Uuid::from_u128(10), Uuid::from_u128(1), 0, 1);
    let b = Append { aggregate_id: Uuid::from_u128(11), ..append_to(Uuid::from_u128(11), Uuid::from_u128(1), 0, 1) };
    let b = Append { command_id: a.command_id, ..b };
    assert_eq!(versions(&append(&mut connection, &[&a, &b]).await.unwrap()), [("stored", 1), ("conflict", 0)]);
}

#[tokio::test]
async fn a_wrong_expected_version_stores_nothing_and_says_which_it_is() {
    let database = Database::new().await;
    let mut connection = connection(&database).await;
    let stream = Uuid::from_u128(10);
    append(&mut connection, &[&append_to(stream, Uuid::from_u128(1), 0, 4)]).await.unwrap();
    for expected in [0, 3, 5] {
        let outcomes = append(&mut connection, &[&append_to(stream, Uuid::from_u128(1), expected, 1)]).await.unwrap();
        assert_eq!(versions(&outcomes), [("conflict", 4)]);
    }
    assert_eq!(database.count("SELECT count(*) FROM events").await, 4);
}

/// A connection keeps its plan, and the first one is made while the table is empty.
#[tokio::test]
async fn an_append_planned_on_an_empty_table_reads_a_few_index_entries_however_long_the_log_is() {
    // One event begins a stream the short way, two take the long one.
    for events_each in [1, 2] {
        few_index_entries_are_read(events_each).await;
    }
}

async fn few_index_entries_are_read(events_each: usize) {
    const BATCHES: u32 = 20;
    const BATCH: u32 = 100;
    let database = Database::new().await;
    let mut connection = connection(&database).await;
    for batch in 0..BATCHES {
        let appends: Vec<Append> = (0..BATCH)
            .map(|n| append_to(Uuid::now_v7(), Uuid::from_u128(u128::from(batch % 3 + n)), 0, events_each))
            .collect();
        append(&mut connection, &appends.iter().collect::<Vec<_>>()).await.unwrap();
    }
    connection.close().await.unwrap();
    let read =
        "SELECT (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE relname = 'events')::bigint
                     + (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'events')";
    let scans = "SELECT sum(idx_scan)::bigint FROM pg_stat_user_indexes WHERE relname = 'events'";
    let appended = i64::from(BATCHES * BATCH);
    // A closing connection reports what it did.
    eventually("the statistics have arrived", async || database.count(scans).await >= appended).await;
    let read = database.count(read).await;
    assert!(read <= appended * 4, "{read} index entries and rows read for {appended} appends of {events_each} events");
}

/// A batch of nothing but new streams goes the short way; its answers stand in its order, whatever partitions it touches.
#[tokio::test]
async fn new_streams_of_several_owners_are_numbered_each_in_its_partition() {
    let database = Database::new().await;
    let mut connection = connection(&database).await;
    let owners = [5_u128, 6, 5, 7, 6, 5].map(Uuid::from_u128);
    let batch: Vec<Append> = owners.iter().map(|owner| append_to(Uuid::now_v7(), *owner, 0, 1)).collect();
    let mut expected: HashMap<i32, i64> = HashMap::new();
    for _ in 0..2 {
        let again: Vec<Append> = batch.iter().map(|new| append_to(Uuid::now_v7(), new.owner_id, 0, 1)).collect();
        let outcomes = append(&mut connection, &again.iter().collect::<Vec<_>>()).await.unwrap();
        for (asked, outcome) in again.iter().zip(outcomes) {
            let position = expected.entry(asked.partition).or_default();
            *position += 1;
            let place = Place { version: 1, partition: asked.partition, position: *position };
            assert_eq!(outcome, Outcome::Stored(place));
        }
    }
    assert!(expected.len() > 1, "the owners share one partition");
    database.assert_log_is_whole().await;
}

/// What is not new among new streams is judged as ever, and the others are stored.
#[tokio::test]
async fn one_command_that_is_not_new_sends_its_batch_the_long_way() {
    let database = Database::new().await;
    let mut connection = connection(&database).await;
    let owner = Uuid::from_u128(1);
    let known = append_to(Uuid::now_v7(), owner, 0, 1);
    append(&mut connection, &[&known]).await.unwrap();
    let same_stream = append_to(known.aggregate_id, owner, 0, 1);
    for (old, expected) in [(&known, ("duplicate", 1)), (&same_stream, ("conflict", 1))] {
        let (before, after) = (append_to(Uuid::now_v7(), owner, 0, 1), append_to(Uuid::now_v7(), owner, 0, 1));
        let outcomes = append(&mut connection, &[&before, old, &after]).await.unwrap();
        assert_eq!(versions(&outcomes), [("stored", 1), expected, ("stored", 1)]);
    }
    assert_eq!(database.count("SELECT count(*) FROM events").await, 5);
    database.assert_log_is_whole().await;
}

#[tokio::test]
async fn nobody_may_write_the_log_but_through_the_function() {
    let database = Database::new().await;
    append(&mut connection(&database).await, &[&append_to(Uuid::from_u128(1), Uuid::from_u128(1), 0, 1)])
        .await
        .unwrap();
    for role in ["fittrack_command", "fittrack_relay", "fittrack_projector"] {
        let pool = database.pool_as(role).await;
        for sql in [
            "DELETE FROM events",
            "UPDATE events SET position = 9",
            "TRUNCATE events",
            "INSERT INTO events SELECT * FROM events",
        ] {
            let refused = sqlx::query(sql).execute(&pool).await.unwrap_err();
            let code = refused.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap();
            assert_eq!(code, "42501", "{role}: {sql}");
        }
    }
    // Not even the owner, by mistake.
    let refused = sqlx::query("DELETE FROM events").execute(&database.admin).await.unwrap_err();
    assert!(refused.to_string().contains("never changed"), "{refused}");
}

#[tokio::test]
async fn the_function_refuses_an_isolation_level_that_would_not_see_earlier_appends() {
    let database = Database::new().await;
    let mut connection = connection(&database).await;
    for events in [1, 2] {
        sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ").execute(&mut connection).await.unwrap();
        let new = append_to(Uuid::from_u128(1), Uuid::from_u128(1), 0, events);
        let error = append(&mut connection, &[&new]).await.unwrap_err();
        assert!(error.to_string().contains("READ COMMITTED"), "{error}");
        sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
    }
}

/// Many connections, few streams, few owners, random batches with wrong versions and repeated ids among them: whatever
/// interleaving happens, the log is whole, what was answered `stored` is there once, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn races_of_many_writers_leave_a_whole_log() {
    let seed: u64 = std::env::var("FITTRACK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("FITTRACK_SEED={seed}");
    let database = Database::new().await;
    let owners: Vec<Uuid> = (0..3).map(Uuid::from_u128).collect();
    let writers = (0..8_u64).map(|writer| {
        let options = database.options_as("fittrack_command");
        let owners = owners.clone();
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed ^ writer);
            let mut connection = PgConnection::connect_with(&options).await.unwrap();
            let mut believed: HashMap<Uuid, i64> = HashMap::new();
            let mut stored: HashMap<Uuid, usize> = HashMap::new();
            let mut refused: HashSet<Uuid> = HashSet::new();
            let mut mine: Vec<Append> = Vec::new();
            for _ in 0..60 {
                let is_all_new = random.random_bool(0.3);
                let batch: Vec<Append> = (0..random.random_range(1..12))
                    .map(|_| {
                        let owner = owners[random.random_range(0..owners.len())];
                        if is_all_new && random.random_bool(0.98) {
                            mine.push(append_to(Uuid::from_u128(random.random()), owner, 0, 1));
                            return mine[mine.len() - 1].clone();
                        }
                        // Streams are per owner, as in real life.
                        let stream = Uuid::from_u128(owner.as_u128() * 100 + random.random_range(1..4));
                        if !mine.is_empty() && random.random_bool(0.1) {
                            return mine[random.random_range(0..mine.len())].clone();
                        }
                        let version = believed.get(&stream).copied().unwrap_or(0);
                        let fresh = append_to(stream, owner, version, random.random_range(1..4));
                        mine.push(fresh.clone());
                        fresh
                    })
                    .collect();
                let outcomes = append(&mut connection, &batch.iter().collect::<Vec<_>>()).await.unwrap();
                for (asked, outcome) in batch.iter().zip(outcomes) {
                    match outcome {
                        Outcome::Stored(place) => {
                            believed.insert(asked.aggregate_id, place.version);
                            assert!(stored.insert(asked.command_id, asked.events.len()).is_none(), "stored twice");
                            refused.remove(&asked.command_id);
                        }
                        Outcome::Duplicate(_) => assert!(stored.contains_key(&asked.command_id)),
                        Outcome::Conflict { current_version } => {
                            believed.insert(asked.aggregate_id, current_version);
                            if !stored.contains_key(&asked.command_id) {
                                refused.insert(asked.command_id);
                            }
                        }
                    }
                }
            }
            (stored, refused)
        })
    });
    let (mut stored, mut refused) = (HashMap::new(), HashSet::new());
    for writer in writers.collect::<Vec<_>>() {
        let (more_stored, more_refused) = writer.await.unwrap();
        stored.extend(more_stored);
        refused.extend(more_refused);
    }
    database.assert_log_is_whole().await;
    let in_log: Vec<(Uuid, i64)> = sqlx::query_as("SELECT command_id, count(*) FROM events GROUP BY command_id")
        .fetch_all(&database.admin)
        .await
        .unwrap();
    assert!(in_log.len() > 100, "the campaign stored only {} commands", in_log.len());
    let in_log: HashMap<Uuid, usize> =
        in_log.into_iter().map(|(id, events)| (id, usize::try_from(events).unwrap())).collect();
    assert_eq!(in_log, stored, "what was answered stored is in the log, once, and nothing else");
    assert!(refused.iter().all(|id| !in_log.contains_key(id)));
}
