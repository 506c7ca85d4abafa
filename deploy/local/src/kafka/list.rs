//! `schemas/kafka/access.txt` in types: the topics there are, and who may do what with which of them.
//! The same list is what operators give to brokers of their own.

use crate::error::{Error, Result};

/// The committed list.
pub const TEXT: &str = include_str!("../../../../schemas/kafka/access.txt");

/// All of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessList {
    pub topics: Vec<Topic>,
    pub allowed: Vec<Allowed>,
}

/// A topic as it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    pub partitions: i32,
    pub retention_ms: u64,
}

/// One line of what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    pub user: String,
    pub operation: Operation,
    pub resource: Resource,
    /// Its name, or the beginning of its name where `is_prefix`.
    pub name: String,
    pub is_prefix: bool,
}

/// In the protocol's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum Operation {
    Read = 3,
    Write = 4,
    Describe = 8,
}

/// In the protocol's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum Resource {
    Topic = 2,
    Group = 3,
}

impl AccessList {
    /// The committed list.
    ///
    /// # Errors
    /// When a line of it cannot be understood.
    pub fn committed() -> Result<Self> {
        Self::parse(TEXT)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut list = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let understood = match words.as_slice() {
                ["topic", name, partitions, retention] => {
                    topic(name, partitions, retention).map(|topic| list.topics.push(topic))
                }
                ["allow", user, operation, resource, name] => {
                    allowed(user, operation, resource, name).map(|allowed| list.allowed.push(allowed))
                }
                _ => None,
            };
            understood.ok_or_else(|| {
                Error::failed(format!("schemas/kafka/access.txt has a line nobody understands: {line}"))
            })?;
        }
        Ok(list)
    }
}

fn topic(name: &str, partitions: &str, retention_ms: &str) -> Option<Topic> {
    Some(Topic {
        name: name.to_owned(),
        partitions: partitions.parse().ok()?,
        retention_ms: retention_ms.parse().ok()?,
    })
}

fn allowed(user: &str, operation: &str, resource: &str, name: &str) -> Option<Allowed> {
    let operation = match operation {
        "read" => Operation::Read,
        "write" => Operation::Write,
        "describe" => Operation::Describe,
        _ => return None,
    };
    let resource = match resource {
        "topic" => Resource::Topic,
        "group" => Resource::Group,
        _ => return None,
    };
    let (name, is_prefix) = name.strip_suffix('*').map_or((name, false), |beginning| (beginning, true));
    let is_named = !name.is_empty() && !name.contains('*');
    is_named.then(|| Allowed { user: user.to_owned(), operation, resource, name: name.to_owned(), is_prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_list_is_understood() {
        let list = AccessList::committed().unwrap();
        let events = Topic { name: "fittrack.events.v1".into(), partitions: 32, retention_ms: 604_800_000 };
        assert_eq!(list.topics.first(), Some(&events));
        let groups = Allowed {
            user: "projectors".into(),
            operation: Operation::Read,
            resource: Resource::Group,
            name: "fittrack-projector-".into(),
            is_prefix: true,
        };
        assert!(list.allowed.contains(&groups));
    }

    /// The runbook is what operators type: no right more, and none less.
    #[test]
    fn the_runbook_says_the_same() {
        let list = AccessList::committed().unwrap();
        let runbook = include_str!("../../../runbooks/kafka.md");
        let said =
            |beginning: &str| -> Vec<&str> { runbook.lines().filter(|line| line.starts_with(beginning)).collect() };
        let rights: Vec<String> = list.allowed.iter().map(command).collect();
        assert_eq!(said("acls --add "), rights);
        let topics = said("topics --create ");
        assert_eq!(topics.len(), list.topics.len());
        for (Topic { name, partitions, retention_ms }, line) in list.topics.iter().zip(topics) {
            let begins = format!("--topic {name} --partitions {partitions} --config retention.ms={retention_ms} ");
            assert!(line.contains(&begins), "{line}");
        }
    }

    /// How the right is given with Kafka's own tool.
    fn command(allowed: &Allowed) -> String {
        let Allowed { user, operation, resource, name, is_prefix } = allowed;
        let resource = format!("{resource:?}").to_lowercase();
        let pattern = if *is_prefix { " --resource-pattern-type prefixed" } else { "" };
        format!("acls --add --allow-principal User:{user} --operation {operation:?} --{resource} {name}{pattern}")
    }

    #[test]
    fn a_line_nobody_understands_is_named_and_gives_nothing() {
        for line in [
            "allow query-api all topic a",
            "allow query-api read cluster a",
            "allow query-api read topic *",
            "allow query-api read topic a*b",
            "allow query-api read topic",
            "topic a many 1",
            "deny query-api read topic a",
        ] {
            let error = AccessList::parse(&format!("# said\n{line}\n")).unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
        }
    }
}
