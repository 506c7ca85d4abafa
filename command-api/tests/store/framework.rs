//! The store under `cqrs-es`, postgres-es as the oracle, and pins of what the framework must not be used for.
use std::collections::HashMap;

use command_api::store::framework::{COMMAND_ID, OWNER_ID};
use cqrs_es::{
    Aggregate, CqrsFramework, EventStore as _,
    persist::{PersistedEventRepository, PersistedEventStore},
};
use fittrack_domain::{
    aggregate::Context,
    athlete::{Athlete, AthleteCommand, RegisterAthlete, UpdateProfile},
    ids::AthleteId,
    patch::Patch,
    values::{Text, TimeZone},
};
use postgres_es::PostgresEventRepository;
use uuid::Uuid;

use crate::support::Database;

fn register(id: AthleteId) -> AthleteCommand {
    AthleteCommand::RegisterAthlete(RegisterAthlete {
        athlete_id: id,
        display_name: Text::parse("Ada").unwrap(),
        time_zone: TimeZone::default(),
    })
}

fn rename(name: &str) -> AthleteCommand {
    AthleteCommand::UpdateProfile(Box::new(UpdateProfile {
        display_name: Patch::Set(Text::parse(name).unwrap()),
        ..UpdateProfile::default()
    }))
}

fn metadata(owner: AthleteId) -> HashMap<String, String> {
    HashMap::from([(OWNER_ID.to_owned(), owner.to_string()), (COMMAND_ID.to_owned(), Uuid::now_v7().to_string())])
}

#[tokio::test]
async fn the_framework_drives_an_aggregate_over_our_store() {
    let database = Database::new().await;
    let store = database.store().await;
    let athlete = AthleteId(Uuid::from_u128(1));
    let id = athlete.to_string();
    let framework = CqrsFramework::<Athlete, _>::new(store.clone(), vec![], Context::example());
    framework.execute_with_metadata(&id, register(athlete), metadata(athlete)).await.unwrap();
    framework.execute_with_metadata(&id, rename("Grace"), metadata(athlete)).await.unwrap();
    let refused = framework.execute_with_metadata(&id, register(athlete), metadata(athlete)).await;
    assert!(matches!(refused, Err(cqrs_es::AggregateError::UserError(_))), "{refused:?}");

    let loaded = store.load::<Athlete>(athlete.0).await.unwrap();
    assert_eq!(loaded.version, 2);
    assert_eq!(loaded.state.profile.unwrap().display_name.as_str(), "Grace");
    database.assert_log_is_whole().await;
}

#[tokio::test]
async fn postgres_es_reads_the_very_stream_that_was_appended() {
    let database = Database::new().await;
    let store = database.store().await;
    let athlete = AthleteId(Uuid::from_u128(1));
    let id = athlete.to_string();
    let framework = CqrsFramework::<Athlete, _>::new(store.clone(), vec![], Context::example());
    framework.execute_with_metadata(&id, register(athlete), metadata(athlete)).await.unwrap();
    framework.execute_with_metadata(&id, rename("Grace"), metadata(athlete)).await.unwrap();

    let oracle = PostgresEventRepository::new(database.admin.clone());
    let rows = oracle.get_events::<Athlete>(&id).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.sequence).collect::<Vec<_>>(), [1, 2]);
    let oracle_store = PersistedEventStore::<_, Athlete>::new_event_store(oracle);
    let theirs = oracle_store.load_events(&id).await.unwrap();
    let ours = cqrs_es::EventStore::<Athlete>::load_events(&store, &id).await.unwrap();
    assert_eq!(
        ours.iter().map(|event| (event.sequence, &event.payload)).collect::<Vec<_>>(),
        theirs.iter().map(|event| (event.sequence, &event.payload)).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_commit_on_a_stale_aggregate_is_a_conflict() {
    let database = Database::new().await;
    let store = database.store().await;
    let athlete = AthleteId(Uuid::from_u128(1));
    let id = athlete.to_string();
    let framework = CqrsFramework::<Athlete, _>::new(store.clone(), vec![], Context::example());
    framework.execute_with_metadata(&id, register(athlete), metadata(athlete)).await.unwrap();
    let stale = cqrs_es::EventStore::<Athlete>::load_aggregate(&store, &id).await.unwrap();
    framework.execute_with_metadata(&id, rename("Grace"), metadata(athlete)).await.unwrap();
    let event = cqrs_es::EventStore::<Athlete>::load_events(&store, &id).await.unwrap().remove(1).payload;
    let refused = store.commit(vec![event], stale, metadata(athlete)).await;
    assert!(matches!(refused, Err(cqrs_es::AggregateError::AggregateConflict)), "{refused:?}");
}

/// Counts how often it was told of an event.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
struct Counter {
    applied: u32,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Counted;

impl cqrs_es::DomainEvent for Counted {
    fn event_type(&self) -> String {
        "counted".into()
    }
    fn event_version(&self) -> String {
        "1".into()
    }
}

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Command = ();
    type Event = Counted;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(
        &mut self,
        (): (),
        (): &(),
        sink: &cqrs_es::event_sink::EventSink<Self>,
    ) -> Result<(), Self::Error> {
        sink.write(Counted, self).await;
        Ok(())
    }

    fn apply(&mut self, _: Counted) {
        self.applied += 1;
    }
}

/// Why FitTrack does not use cqrs-es's aggregate store: handling applies an event, and committing applies it again.
/// When this fails after an upgrade, the framework has been mended and architecture.md's note can go.
#[tokio::test]
async fn pin_the_frameworks_aggregate_store_applies_every_event_twice() {
    let database = Database::new().await;
    sqlx::query("CREATE SCHEMA framework").execute(&database.admin).await.unwrap();
    sqlx::query(
        "CREATE TABLE framework.events (aggregate_type text, aggregate_id text, sequence bigint, event_type text,
         event_version text, payload json, metadata json, PRIMARY KEY (aggregate_type, aggregate_id, sequence))",
    )
    .execute(&database.admin)
    .await
    .unwrap();
    sqlx::query(
        "CREATE TABLE framework.snapshots (aggregate_type text, aggregate_id text, last_sequence bigint,
         current_snapshot bigint, payload json, PRIMARY KEY (aggregate_type, aggregate_id, last_sequence))",
    )
    .execute(&database.admin)
    .await
    .unwrap();
    let repository =
        PostgresEventRepository::new(database.admin.clone()).with_tables("framework.events", "framework.snapshots");
    let store = PersistedEventStore::<_, Counter>::new_aggregate_store(repository);
    CqrsFramework::new(store, vec![], ()).execute("1", ()).await.unwrap();
    let snapshot: sqlx::types::JsonValue =
        sqlx::query_scalar("SELECT payload FROM framework.snapshots").fetch_one(&database.admin).await.unwrap();
    assert_eq!(snapshot["applied"], 2, "one event was written, and the snapshot counted it twice");
}

/// Why FitTrack does not replay through postgres-es: its stream ends as if all was read when the database fails.
#[tokio::test]
async fn pin_the_frameworks_replay_stream_ends_silently_on_a_database_error() {
    let database = Database::new().await;
    let repository = PostgresEventRepository::new(database.admin.clone()).with_tables("no_such_table", "no_such_table");
    let mut stream = repository.stream_all_events::<Athlete>().await.unwrap();
    let read = stream.next::<Athlete>(&[]).await;
    assert!(read.is_none(), "a failed read now says so: {read:?}");
}
