//! Streams that hold events of older and newer versions than this program writes.
use command_api::store::append::{Append, NewEvent};
use cqrs_es::{EventStore as _, persist::PersistedEventStore};
use fittrack_domain::{
    athlete::Athlete,
    ids::AthleteId,
    upcast,
    workout::{Workout, WorkoutEvent},
};
use postgres_es::PostgresEventRepository;
use uuid::Uuid;

use crate::support::{Database, append_to, new_event};

/// Whom the stored samples are about, and which workout.
const ATHLETE: AthleteId = AthleteId(Uuid::from_u128(1));
const WORKOUT: Uuid = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0010);

fn stored(event_type: &str, event_version: &str, payload: &str) -> NewEvent {
    NewEvent {
        event_type: event_type.into(),
        event_version: event_version.into(),
        payload: payload.into(),
        ..new_event()
    }
}

/// A workout that was logged, and deleted by a program that wrote version 1.
fn deleted_long_ago() -> Append {
    let logged = include_str!("../../../domain/tests/stored/workout_logged.v1.json");
    let deleted = include_str!("../../../domain/tests/stored/workout_deleted.v1.json");
    let events = vec![stored("workout_logged", "1", logged), stored("workout_deleted", "1", deleted)];
    Append { events, ..append_to(WORKOUT, ATHLETE.0, 0, 2) }
}

#[tokio::test]
async fn an_event_of_an_older_version_is_read_as_the_newest() {
    let database = Database::new().await;
    let store = database.store().await;
    store.append(deleted_long_ago()).await.unwrap();
    let events = store.read_stream::<Workout>(WORKOUT).await.unwrap();
    assert!(matches!(&events[1].payload, WorkoutEvent::WorkoutDeleted(deleted) if deleted.deleted_by == ATHLETE));
    let loaded = store.load::<Workout>(WORKOUT).await.unwrap();
    assert_eq!((loaded.state, loaded.version), (Workout::Deleted { athlete_id: ATHLETE }, 2));
}

#[tokio::test]
async fn the_framework_reads_older_versions_by_the_same_steps() {
    let database = Database::new().await;
    let store = database.store().await;
    store.append(deleted_long_ago()).await.unwrap();
    let ours = store.read_stream::<Workout>(WORKOUT).await.unwrap();
    let repository = PostgresEventRepository::new(database.admin.clone());
    let framework = PersistedEventStore::<_, Workout>::new_event_store(repository).with_upcasters(upcast::all());
    let theirs = framework.load_events(&WORKOUT.to_string()).await.unwrap();
    assert_eq!(
        ours.iter().map(|event| &event.payload).collect::<Vec<_>>(),
        theirs.iter().map(|event| &event.payload).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_event_of_a_version_that_a_newer_program_wrote_is_not_guessed_at() {
    let database = Database::new().await;
    let store = database.store().await;
    let newer = stored("athlete_registered", "99", r#"{"type":"athlete_registered"}"#);
    let append = Append { aggregate_type: "athlete", events: vec![newer], ..append_to(ATHLETE.0, ATHLETE.0, 0, 1) };
    store.append(append).await.unwrap();
    let refused = store.load::<Athlete>(ATHLETE.0).await.unwrap_err();
    assert!(refused.to_string().contains("unknown event athlete_registered version 99"), "{refused}");
}
