//! Without Kafka, commits are told over Postgres.
use fittrack_schemas::notice::ChangeNotice;
use projectors::{notices::Notices, projections::totals::Totals, source::store::StoreSource};
use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;

use crate::{
    given::{History, athlete, run, workout},
    support::{self, Databases, PATIENCE},
};

#[tokio::test]
async fn a_commit_is_told_with_its_owners_and_positions() {
    let databases = Databases::new().await;
    let mut listener = PgListener::connect_with(&databases.read_models).await.unwrap();
    listener.listen("fittrack_read_model_changes").await.unwrap();
    let mut parts = databases.parts();
    let stop = CancellationToken::new();
    parts.notices = Notices::over_postgres(parts.read_models.clone(), stop.clone());
    let running = support::run::<Totals>(parts.clone(), StoreSource::new(parts.store.clone()));
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {}));
    databases.append(&history.events).await;
    let notification = tokio::time::timeout(PATIENCE, listener.recv()).await.unwrap().unwrap();
    let notice: ChangeNotice = serde_json::from_str(notification.payload()).unwrap();
    let expected = ChangeNotice {
        read_model: "totals".into(),
        version: 1,
        generation: 1,
        checkpoints: vec![(history.events[0].partition, 1)],
        owners: Some(vec![athlete(1)]),
    };
    assert_eq!(notice, expected);
    assert!(running.stop().await.is_ok());
    stop.cancel();
}
