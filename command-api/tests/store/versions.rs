//! Streams that hold events of older and newer versions than this program writes.
use command_api::store::append::{Append, NewEvent};
use fittrack_domain::{athlete::Athlete, ids::AthleteId};
use uuid::Uuid;

use crate::support::{Database, append_to, new_event};

const ATHLETE: AthleteId = AthleteId(Uuid::from_u128(1));

fn stored(event_type: &str, event_version: &str, payload: &str) -> NewEvent {
    NewEvent {
        event_type: event_type.into(),
        event_version: event_version.into(),
        payload: payload.into(),
        ..new_event()
    }
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
