//! The committed list of Kafka's topics and of who may use them, held against the topics the code knows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use fittrack_domain::partition::DEFAULT_PARTITIONS;
use fittrack_schemas::topics;

const LIST: &str = include_str!("../kafka/access.txt");

/// The lines that begin with this word, in words.
fn lines(kind: &str) -> Vec<Vec<&'static str>> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().collect());
    lines.filter(|words: &Vec<&str>| words.first() == Some(&kind)).collect()
}

#[test]
fn the_listed_topics_are_those_of_the_code() {
    let listed: Vec<String> = lines("topic").iter().map(|words| words[1..].join(" ")).collect();
    let known = [topics::events(DEFAULT_PARTITIONS), topics::read_model_changes()]
        .map(|topic| format!("{} {} {}", topic.name, topic.partitions, topic.retention_ms));
    assert_eq!(listed, known);
}

#[test]
fn only_listed_topics_are_allowed_and_each_is_written_by_one_user() {
    let known: BTreeSet<&str> = lines("topic").iter().map(|words| words[1]).collect();
    let allowed = lines("allow");
    let used: BTreeSet<&str> = allowed.iter().filter(|words| words[3] == "topic").map(|words| words[4]).collect();
    assert_eq!(used, known);
    for topic in known {
        let writers = allowed.iter().filter(|words| words[2..] == ["write", "topic", topic]);
        assert_eq!(writers.count(), 1, "{topic}");
    }
    assert!(allowed.iter().all(|words| words[1] != "query-api" || words[2] == "read"), "the query API only reads");
}
