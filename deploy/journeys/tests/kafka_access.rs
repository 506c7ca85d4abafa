//! Who may do what in Kafka (S-61): every user tries everything on every topic of a broker that has the committed access list, and what
//! came of it is compared with another committed list. And who does not log in, or with another's password, gets nowhere and is told.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fittrack_journeys::patience::until;
use fittrack_journeys::process::OwnProcess;
use fittrack_journeys::{TestStack, committed};
use fittrack_local::services::Service;
use fittrack_runtime::config::Source;
use fittrack_runtime::kafka::{self, ConsumerSettings, KafkaAccess, LogContext, TopicSpec};
use fittrack_schemas::topics::{EVENTS, READ_MODEL_CHANGES};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

/// A topic on the same brokers that is none of FitTrack's, and one that nobody has made.
const SOMEBODY_ELSES: &str = "somebody-elses";
const NOT_THERE: &str = "not-there";
/// Groups of the services, with one that only begins like one.
const GROUPS: [&str; 4] =
    ["command-api-check", "fittrack-projector-totals.v1", "fittrack-query-api", "fittrack-query-apis"];
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn each_user_may_do_what_the_committed_list_says_and_nothing_else() {
    let stack = TestStack::shared().await.unwrap();
    let admin = access(stack.kafka_settings_of_administrator().unwrap());
    let topic = TopicSpec { name: SOMEBODY_ELSES.to_owned(), partitions: 1, replication: 1, config: vec![] };
    kafka::ensure_topics(&admin, &[topic], &CancellationToken::new()).await.unwrap();

    let mut found = String::from(
        "# What each user of Kafka may do: P produce, C consume, N make the topic (new); G read as a group.\n\
         # Renewed with `FITTRACK_BLESS=1 cargo test -p fittrack-journeys --test kafka_access`; read what changed, then commit it.\n",
    );
    for service in Service::ALL {
        let user = access(stack.kafka_settings_of(service).unwrap());
        for topic in [EVENTS, READ_MODEL_CHANGES, SOMEBODY_ELSES, NOT_THERE] {
            let mut may = String::new();
            may.push(if allowed(produce(&user, topic).await) { 'P' } else { '-' });
            may.push(if allowed(consume(&user, service, topic).await) { 'C' } else { '-' });
            may.push(if allowed(create(&user, topic).await) { 'N' } else { '-' });
            writeln!(found, "{:<12} topic  {topic:<30} {may}", service.name()).unwrap();
        }
        for group in GROUPS {
            let may = if allowed(read_as(&user, group).await) { 'G' } else { '-' };
            writeln!(found, "{:<12} group  {group:<30} {may}", service.name()).unwrap();
        }
    }
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka_access/allowed.txt");
    committed::holds(&list, &found).unwrap();

    // Not even who may make topics makes one by producing to it, and nothing of the attempts is there.
    produce(&admin, NOT_THERE).await.expect_err("a topic that was not there took a message");
    let client = kafka::hint_producer(&admin, "test", &LogContext::default()).unwrap();
    let metadata = tokio::task::spawn_blocking(move || client.client().fetch_metadata(None, PATIENCE)).await.unwrap();
    let metadata = metadata.unwrap();
    let names: Vec<&str> = metadata.topics().iter().map(rdkafka::metadata::MetadataTopic::name).collect();
    assert!(names.contains(&SOMEBODY_ELSES) && !names.contains(&NOT_THERE), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_log_in_gets_nowhere_and_learns_why() {
    let stack = TestStack::shared().await.unwrap();
    let good = stack.kafka_settings_of(Service::QueryApi).unwrap();
    let password = good.iter().find(|(key, _)| key == "FITTRACK_KAFKA_PASSWORD").unwrap().1.clone();
    let another = stack.kafka_settings_of(Service::Projectors).unwrap();
    let with = |key: &str, value: &str| {
        let changed =
            good.clone().into_iter().map(|(name, was)| if name == key { (name, value.into()) } else { (name, was) });
        access(changed.collect())
    };
    assert_eq!(answer(&access(good.clone())).await, Ok(()));
    assert!(answer(&access(another)).await.is_ok());
    for (what, user) in [
        ("an unknown user", with("FITTRACK_KAFKA_USER", "stranger")),
        ("another user's password", with("FITTRACK_KAFKA_USER", "projectors")),
        ("a wrong password", with("FITTRACK_KAFKA_PASSWORD", "0f3a-marker")),
        ("a password sent instead of proven", with("FITTRACK_KAFKA_SASL_MECHANISM", "PLAIN")),
    ] {
        let refusal = answer(&user).await.unwrap_err();
        assert!(refusal.starts_with("Kafka refuses the user or the password"), "{what}: {refusal}");
        assert!(!refusal.contains(&password) && !refusal.contains("0f3a-marker"), "{what}: {refusal}");
    }
    let nobody = KafkaAccess::plaintext(stack.kafka_brokers().unwrap());
    answer(&nobody).await.expect_err("a broker of the stack talks to whoever names no user");
    // Nor does the controller, which could make users and topics.
    let controller = format!("127.0.0.1:{}", stack.ports().unwrap().kafka_controller());
    answer(&KafkaAccess::plaintext(controller)).await.expect_err("the controller talks to whoever names no user");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_let_in_says_so_and_never_its_password() {
    const WRONG: &str = "7b1d-marker";
    let stack = TestStack::start().await.unwrap();
    stack.stop_process("projectors").await.unwrap();
    let mut settings = stack.settings("projectors").unwrap();
    settings.retain(|(key, _)| key != "FITTRACK_KAFKA_PASSWORD");
    settings.push(("FITTRACK_KAFKA_PASSWORD".to_owned(), WRONG.to_owned()));
    let _running = OwnProcess::spawn_with(&stack, "projectors", &["run"], settings).unwrap();
    let readyz = format!("{}/readyz", stack.private_url("projectors").unwrap());
    until("readiness names the refusal", async || {
        let answer = reqwest::get(&readyz).await.map_err(|error| error.to_string())?;
        let (status, report) = (answer.status(), answer.text().await.map_err(|error| error.to_string())?);
        assert!(!report.contains(WRONG), "{report}");
        let says = status == 503 && report.contains("Kafka refuses the user or the password (FITTRACK_KAFKA_USER");
        if says { Ok(()) } else { Err(format!("{status} {report}")) }
    })
    .await
    .unwrap();
    let log = std::fs::read_to_string(stack.log_path("projectors")).unwrap();
    assert!(log.lines().any(|line| line.contains("ERROR") && line.contains("Kafka refuses the user")), "{log}");
    assert!(!log.contains(WRONG), "{log}");
}

fn access(settings: Vec<(String, String)>) -> KafkaAccess {
    let mut source = Source::from_pairs(settings);
    let access = KafkaAccess::required(&mut source);
    source.finish().unwrap();
    access
}

/// Whether it was done, or refused for want of a right; anything else is no answer to that.
fn allowed(outcome: Result<(), RDKafkaErrorCode>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed,
        ) => false,
        Err(other) => panic!("neither done nor refused: {other:?}"),
    }
}

fn code(error: &KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or_else(|| panic!("{error}"))
}

async fn produce(user: &KafkaAccess, topic: &str) -> Result<(), RDKafkaErrorCode> {
    // Not as the relay does, whose producer never gives up: without a right to write anything it waits for one.
    let producer = kafka::hint_producer(user, "test", &LogContext::default()).unwrap();
    let sent = producer.send(FutureRecord::<str, str>::to(topic).partition(0).payload("tried"), PATIENCE);
    let sent = tokio::time::timeout(PATIENCE, sent).await.expect("the broker says yes or no");
    sent.map(|_| ()).map_err(|(error, _)| code(&error))
}

/// Reads as a group the service may read as, so that the topic alone decides.
async fn consume(user: &KafkaAccess, service: Service, topic: &str) -> Result<(), RDKafkaErrorCode> {
    let own = match service {
        Service::CommandApi => "command-api-check",
        Service::Projectors => "fittrack-projector-totals.v1",
        Service::QueryApi => "fittrack-query-api",
    };
    let settings = ConsumerSettings { partition_eof: true, ..ConsumerSettings::default() };
    let consumer = Arc::new(kafka::consumer(user, own, &settings).unwrap());
    // A consumer of a topic it may not even know of waits for it in silence.
    let (asking, name) = (Arc::clone(&consumer), topic.to_owned());
    let known = tokio::task::spawn_blocking(move || asking.fetch_metadata(Some(&name), PATIENCE)).await.unwrap();
    if let Some(error) = known.unwrap().topics().first().and_then(rdkafka::metadata::MetadataTopic::error) {
        return Err(RDKafkaErrorCode::from(error));
    }
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    match tokio::time::timeout(PATIENCE, consumer.recv()).await.expect("the broker says yes or no") {
        Ok(_) | Err(KafkaError::PartitionEOF(_)) => Ok(()),
        Err(error) => Err(code(&error)),
    }
}

/// Only asks whether it may: nothing is made.
async fn create(user: &KafkaAccess, topic: &str) -> Result<(), RDKafkaErrorCode> {
    let admin = kafka::admin(user, "test").unwrap();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE)).validate_only(true);
    let results = admin.create_topics(&[NewTopic::new(topic, 1, TopicReplication::Fixed(1))], &options).await.unwrap();
    match results.into_iter().next().expect("one answer a topic") {
        Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
        Err((_, code)) => Err(code),
    }
}

async fn read_as(user: &KafkaAccess, group: &str) -> Result<(), RDKafkaErrorCode> {
    let settings = ConsumerSettings { group: Some(group.to_owned()), ..ConsumerSettings::default() };
    let consumer = Arc::new(kafka::consumer(user, "test", &settings).unwrap());
    let asking = Arc::clone(&consumer);
    let asked = tokio::task::spawn_blocking(move || {
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition(EVENTS, 0);
        asking.committed_offsets(partitions, PATIENCE)
    });
    // The question goes unanswered where the group is not the user's; that is said to whoever reads.
    let outcome = tokio::select! {
        asked = asked => asked.unwrap().map(|_| ()),
        read = consumer.recv() => read.map(|_| ()),
    };
    outcome.map_err(|error| code(&error))
}

async fn answer(user: &KafkaAccess) -> Result<(), String> {
    let log = LogContext::default();
    let producer = kafka::hint_producer(user, "test", &log).unwrap();
    let asking = move || kafka::answers(producer.client(), &log, READ_MODEL_CHANGES, Duration::from_secs(5));
    tokio::task::spawn_blocking(asking).await.unwrap()
}
