//! How tests reach the Kafka they were given, for the tests of every crate, which include this file.
//! `FITTRACK_TEST_KAFKA_...` are the settings of a service under another name, so that a service's own never reach a test.

use fittrack_runtime::config::Source;
use fittrack_runtime::kafka::KafkaAccess;

/// The Kafka of this test run, as its administrator: tests make topics of their own.
pub fn access() -> KafkaAccess {
    let given = std::env::vars().filter_map(|(key, value)| {
        let name = key.strip_prefix("FITTRACK_TEST_KAFKA_")?;
        Some((format!("FITTRACK_KAFKA_{name}"), value))
    });
    let mut source = Source::from_pairs(given);
    let access = KafkaAccess::required(&mut source);
    source
        .finish()
        .expect("run through deploy/fittrack test, which says where Kafka is (FITTRACK_TEST_KAFKA_BROKERS, ...)");
    access
}
