//! The dispatcher: idempotency, preconditions, races, replicas with stale memory.

use command_api::dispatch::{DispatchError, Dispatcher, Precondition, Receipt, Request};
use fittrack_domain::{
    aggregate::Context,
    athlete::{Athlete, AthleteCommand, AthleteRefusal, RegisterAthlete, UpdateProfile},
    ids::AthleteId,
    patch::Patch,
    values::{Text, TimeZone},
};
use futures::future::join_all;
use uuid::Uuid;

use crate::support::Database;

const ATHLETE: AthleteId = AthleteId(Uuid::from_u128(1));

fn request(command: AthleteCommand) -> Request<Athlete> {
    Request {
        stream_id: ATHLETE.0,
        owner_id: ATHLETE,
        command,
        context: Context::example(),
        command_id: Uuid::now_v7(),
        fingerprint: None,
        keyed: false,
        precondition: None,
        traceparent: None,
        correlation_id: None,
    }
}

fn register() -> Request<Athlete> {
    request(AthleteCommand::RegisterAthlete(RegisterAthlete {
        athlete_id: ATHLETE,
        display_name: Text::parse("Ada").unwrap(),
        time_zone: TimeZone::default(),
    }))
}

fn rename(name: &str) -> Request<Athlete> {
    request(AthleteCommand::UpdateProfile(Box::new(UpdateProfile {
        display_name: Patch::Set(Text::parse(name).unwrap()),
        ..UpdateProfile::default()
    })))
}

async fn registered(database: &Database) -> Dispatcher {
    let dispatcher = database.dispatcher().await;
    dispatcher.dispatch(register()).await.unwrap();
    dispatcher
}

type Answer = Result<Receipt, DispatchError<AthleteRefusal>>;

#[tokio::test]
async fn a_retry_gets_the_first_answer_whatever_happened_since() {
    let database = Database::new().await;
    let dispatcher = registered(&database).await;
    let first = Request { precondition: Some(Precondition::Version(1)), ..rename("Grace") };
    let answer = dispatcher.dispatch(first.clone()).await.unwrap();
    dispatcher.dispatch(rename("Edsger")).await.unwrap();
    // Refused by its precondition now, but it was stored: the same answer again.
    let again = dispatcher.dispatch(first).await.unwrap();
    assert_eq!(again, Receipt { replayed: true, ..answer });

    // Refused by a rule now.
    let registration = register();
    let other = AthleteId(Uuid::from_u128(2));
    let mut registration = Request { stream_id: other.0, owner_id: other, ..registration };
    registration.command = AthleteCommand::RegisterAthlete(RegisterAthlete {
        athlete_id: other,
        display_name: Text::parse("Barbara").unwrap(),
        time_zone: TimeZone::default(),
    });
    let answer = dispatcher.dispatch(registration.clone()).await.unwrap();
    assert_eq!(dispatcher.dispatch(registration).await.unwrap(), Receipt { replayed: true, ..answer });
    // Changes nothing now.
    let rename_back = rename("Edsger");
    assert!(!dispatcher.dispatch(rename_back).await.unwrap().changed);
}

#[tokio::test]
async fn one_command_id_for_two_requests_is_refused() {
    let database = Database::new().await;
    let dispatcher = registered(&database).await;
    let first = Request { fingerprint: Some("one".into()), ..rename("Grace") };
    dispatcher.dispatch(first.clone()).await.unwrap();
    let other = Request { fingerprint: Some("two".into()), command_id: first.command_id, ..rename("Edsger") };
    let refused = dispatcher.dispatch(other).await;
    assert!(matches!(refused, Err(DispatchError::FingerprintMismatch)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_parallel_copies_of_one_command_store_one_event() {
    let database = Database::new().await;
    let (one, two) = (registered(&database).await, database.dispatcher().await);
    let command = rename("Grace");
    let answers: Vec<Answer> =
        join_all((0..50).map(|n| if n % 2 == 0 { &one } else { &two }.dispatch(command.clone()))).await;
    let receipts: Vec<Receipt> = answers.into_iter().map(Result::unwrap).collect();
    assert!(receipts.iter().all(|receipt| receipt.version == 2));
    assert_eq!(receipts.iter().filter(|receipt| !receipt.replayed).count(), 1);
    assert_eq!(database.count("SELECT count(*) FROM events").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_writers_with_one_precondition_exactly_one_wins() {
    let database = Database::new().await;
    let (one, two) = (registered(&database).await, database.dispatcher().await);
    for version in 1..=10 {
        let expecting = |name: String| Request { precondition: Some(Precondition::Version(version)), ..rename(&name) };
        let answers: (Answer, Answer) = tokio::join!(
            one.dispatch(expecting(format!("one {version}"))),
            two.dispatch(expecting(format!("two {version}")))
        );
        let won = [&answers.0, &answers.1].into_iter().filter(|answer| answer.is_ok()).count();
        let lost = [&answers.0, &answers.1]
            .into_iter()
            .filter(
                |answer| matches!(answer, Err(DispatchError::VersionMismatch { current }) if *current == version + 1),
            )
            .count();
        assert_eq!((won, lost), (1, 1), "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_precondition_both_writers_succeed_one_after_the_other() {
    let database = Database::new().await;
    let (one, two) = (registered(&database).await, database.dispatcher().await);
    for n in 0..10 {
        let (a, b) = tokio::join!(one.dispatch(rename(&format!("one {n}"))), two.dispatch(rename(&format!("two {n}"))));
        a.unwrap();
        b.unwrap();
    }
    assert_eq!(database.count("SELECT max(sequence) FROM events").await, 21);
    database.assert_log_is_whole().await;
}

#[tokio::test]
async fn a_replica_with_stale_memory_decides_on_the_newer_state() {
    let database = Database::new().await;
    let stale = database.dispatcher().await;
    // It remembers that there is nobody.
    assert!(matches!(stale.dispatch(rename("Nobody")).await, Err(DispatchError::Refused(AthleteRefusal::NotFound))));
    let one = registered(&database).await;
    stale.dispatch(rename("Grace")).await.unwrap();
    one.dispatch(rename("Edsger")).await.unwrap();
    // Its memory says Grace; asking for Grace is a change all the same.
    assert!(stale.dispatch(rename("Barbara")).await.unwrap().changed);
}

#[tokio::test]
async fn a_command_that_begins_a_stream_finds_the_one_that_exists_after_all() {
    let database = Database::new().await;
    let first = register();
    let answer = database.dispatcher().await.dispatch(first.clone()).await.unwrap();
    // Another replica, which has read nothing.
    let other = database.dispatcher().await;
    assert_eq!(other.dispatch(first).await.unwrap(), Receipt { replayed: true, ..answer });
    let refused = other.dispatch(register()).await;
    assert!(matches!(refused, Err(DispatchError::Refused(AthleteRefusal::AlreadyRegistered))), "{refused:?}");
    assert_eq!(database.count("SELECT count(*) FROM events").await, 1);
}
