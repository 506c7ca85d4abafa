//! Notices on their two roads, Kafka and Postgres, and databases that are away.
use std::sync::Arc;
use std::time::Duration;

use fittrack_runtime::auth::{JwksSource, Verifier};
use fittrack_runtime::config::Secret;
use fittrack_runtime::kafka::{self, KafkaAccess, TopicSpec};
use fittrack_runtime::keys::SigningKey;
use fittrack_runtime::pg::{self, PoolSettings};
use fittrack_runtime::private::Readiness;
use fittrack_schemas::topics;
use query_api::app::App;
use query_api::changes::follow;
use query_api::read_model::ReadModel;
use rdkafka::producer::FutureRecord;
use tokio_util::sync::CancellationToken;

use crate::given_kafka;
use crate::stage::{Stage, eventually, notice};

#[tokio::test]
async fn notices_come_through_postgres_where_there_is_no_kafka() {
    let stage = Stage::new().await;
    let stop = CancellationToken::new();
    let following = tokio::spawn(follow::notices(Arc::clone(&stage.app.changes), None, stop.clone()));
    let told = serde_json::to_string(&notice("totals", 5, 77, &[])).unwrap();
    // Repeated: the first may be said before anybody listens.
    eventually("the notice has come", || async {
        let notify = sqlx::query("SELECT pg_notify('fittrack_read_model_changes', $1)").bind(&told);
        notify.execute(&stage.read_models).await.unwrap();
        stage.app.changes.progress().applied(ReadModel::Totals, 5) == 77
    })
    .await;
    stop.cancel();
    following.await.unwrap().unwrap();
}

#[tokio::test]
async fn notices_come_through_kafka() {
    let access = given_kafka::access();
    let stage = Stage::new().await;
    let stop = CancellationToken::new();
    let following = tokio::spawn(follow::notices(Arc::clone(&stage.app.changes), Some(access.clone()), stop.clone()));
    let topic = topics::read_model_changes();
    let spec = TopicSpec { name: topic.name.to_owned(), partitions: topic.partitions, replication: 1, config: vec![] };
    kafka::ensure_topics(&access, &[spec], &stop).await.unwrap();
    let producer = kafka::producer(&access, "query-test").unwrap();
    // A partition no other test speaks of.
    let told = serde_json::to_string(&notice("totals", 1_001, 78, &[])).unwrap();
    eventually("the notice has come", || async {
        let record = FutureRecord::<(), _>::to(topic.name).payload(&told);
        producer.send(record, Duration::from_secs(60)).await.unwrap();
        stage.app.changes.progress().applied(ReadModel::Totals, 1_001) == 78
    })
    .await;
    // What cannot be read is passed over, and the next is heard.
    producer.send(FutureRecord::<(), _>::to(topic.name).payload("{}"), Duration::from_secs(60)).await.unwrap();
    let told = serde_json::to_string(&notice("totals", 1_001, 79, &[])).unwrap();
    producer.send(FutureRecord::<(), _>::to(topic.name).payload(&told), Duration::from_secs(60)).await.unwrap();
    let progress = stage.app.changes.progress();
    eventually("the next notice has come", || async { progress.applied(ReadModel::Totals, 1_001) == 79 }).await;
    stop.cancel();
    following.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_database_that_is_away_is_a_503_and_a_stop_is_heard_meanwhile() {
    let key = SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap();
    let verifier = Verifier::new(JwksSource::Keys(key.jwk_set()), "a", "b").unwrap();
    let nowhere = |name: &str| {
        let settings = PoolSettings { acquire_timeout: Duration::from_millis(200), ..PoolSettings::new(name) };
        pg::pool(&Secret::new("postgres://nobody@127.0.0.1:1/nothing"), settings).unwrap()
    };
    let app = App::new(verifier, nowhere("read models"), nowhere("recordings"), 1 << 20);
    let readiness = Readiness::new();
    let (stop, check) = (CancellationToken::new(), readiness.check("read models"));
    let checkpoints = tokio::spawn(follow::checkpoints(Arc::clone(&app.changes), check.clone(), stop.clone()));
    let notices = tokio::spawn(follow::notices(
        Arc::clone(&app.changes),
        Some(KafkaAccess::plaintext("127.0.0.1:1")),
        stop.clone(),
    ));
    let cursor_key = tokio::spawn(follow::cursor_key(app.clone(), readiness.check("cursor key"), stop.clone()));
    let token_key = tokio::spawn(follow::token_key(app.clone(), readiness.check("token key"), stop.clone()));
    let asked = query_api::queries::profiles::own(&app.read_models, uuid::Uuid::nil()).await;
    let problem = query_api::problems::of_database(asked.unwrap_err());
    assert_eq!(problem.status(), 503);
    assert!(!check.is_ready());
    stop.cancel();
    checkpoints.await.unwrap().unwrap();
    notices.await.unwrap().unwrap();
    cursor_key.await.unwrap().unwrap();
    token_key.await.unwrap().unwrap();
}

#[tokio::test]
async fn until_the_key_of_cursors_is_made_lists_are_a_503_and_the_process_is_not_ready() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    let (away, back) = ("ALTER TABLE cursor_key RENAME TO not_yet", "ALTER TABLE not_yet RENAME TO cursor_key");
    sqlx::query(away).execute(&stage.read_models).await.unwrap();
    let (readiness, stop) = (Readiness::new(), CancellationToken::new());
    let check = readiness.check("cursor key");
    let reading = tokio::spawn(follow::cursor_key(stage.app.clone(), check.clone(), stop));
    let refused = stage.get("/v1/workouts", &anna).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    assert_eq!(stage.get("/v1/me", &anna).await.status, 200, "what is no list needs none");
    assert!(!check.is_ready());
    sqlx::query(back).execute(&stage.read_models).await.unwrap();
    reading.await.unwrap().unwrap();
    assert!(check.is_ready());
    assert_eq!(stage.get("/v1/workouts", &anna).await.status, 200);
}

#[tokio::test]
async fn until_the_key_of_tokens_is_made_who_sends_one_gets_a_503_and_the_process_is_not_ready() {
    let stage = Stage::new().await;
    let anna = stage.athlete("Anna").await;
    let token = stage.replica().token(4, 0).await;
    let (away, back) = ("ALTER TABLE token_key RENAME TO not_yet", "ALTER TABLE not_yet RENAME TO token_key");
    sqlx::query(away).execute(&stage.recordings).await.unwrap();
    let (readiness, stop) = (Readiness::new(), CancellationToken::new());
    let check = readiness.check("token key");
    let reading = tokio::spawn(follow::token_key(stage.app.clone(), check.clone(), stop));
    let refused = stage.get_with("/v1/me", &anna, &[("consistency-token", &token)]).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    assert_eq!(stage.get("/v1/me", &anna).await.status, 200, "who sends none needs none");
    assert!(!check.is_ready());
    sqlx::query(back).execute(&stage.recordings).await.unwrap();
    reading.await.unwrap().unwrap();
    assert!(check.is_ready());
    assert_eq!(stage.get_with("/v1/me", &anna, &[("consistency-token", &token)]).await.status, 200);
}
