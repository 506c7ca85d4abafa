//! How a stack is: every process with its pid, address and readiness, and the addresses a caller needs.
//! Printed as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::{KAFKA, POSTGRES, Stack, brokers};
use crate::databases::{EVENT_STORE, IDENTITY, READ_MODELS, RECORDINGS};
use crate::error::Result;
use crate::services::Service;

/// One process of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessStatus {
    pub name: String,
    /// Absent when it does not run, or is not ours.
    pub pid: Option<i32>,
    pub url: String,
    pub ready: bool,
}

/// A whole stack; the database URLs and Kafka's settings are the administrators'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    pub processes: Vec<ProcessStatus>,
    pub command_api: String,
    pub query_api: String,
    pub kafka: String,
    /// How the administrator of Kafka reaches it, in the settings of a service.
    pub kafka_settings: BTreeMap<String, String>,
    pub event_store_url: String,
    pub identity_url: String,
    pub read_models_url: String,
    pub recordings_url: String,
}

impl Stack {
    /// Asks every process how it is.
    ///
    /// # Errors
    /// When the account of the stack cannot be read.
    pub async fn status(&self) -> Result<Status> {
        let state = self.state()?;
        let mut names: Vec<&str> = vec![POSTGRES, KAFKA];
        names.extend(Service::ALL.map(Service::name));
        let replicas: Vec<&str> =
            state.processes.keys().map(String::as_str).filter(|name| !names.contains(name)).collect();
        names.extend(replicas);

        let mut processes = Vec::new();
        for name in names {
            let url = match name {
                POSTGRES => without_password(&self.administrator_url(&state)),
                KAFKA => brokers(&state),
                service => self.url(service)?,
            };
            let pid = state.processes.get(name).filter(|process| process.is_alive()).map(|process| process.pid);
            let ready = self.is_ready(name).await?;
            processes.push(ProcessStatus { name: name.to_owned(), pid, url, ready });
        }
        Ok(Status {
            processes,
            command_api: self.url("command-api")?,
            query_api: self.url("query-api")?,
            kafka: brokers(&state),
            kafka_settings: self.kafka_settings(&state, None).into_iter().collect(),
            event_store_url: self.database_url(EVENT_STORE)?,
            identity_url: self.database_url(IDENTITY)?,
            read_models_url: self.database_url(READ_MODELS)?,
            recordings_url: self.database_url(RECORDINGS)?,
        })
    }
}

fn without_password(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(url) => {
            format!("postgres://{}:{}", url.host_str().unwrap_or("127.0.0.1"), url.port().unwrap_or(5432))
        }
        Err(_) => url.to_owned(),
    }
}

impl fmt::Display for Status {
    /// The table for people.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.processes.iter().map(|process| process.name.len()).max().unwrap_or(0).max(7);
        writeln!(formatter, "{:width$}  {:>8}  {:5}  ADDRESS", "PROCESS", "PID", "READY")?;
        for process in &self.processes {
            let pid = process.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            let ready = if process.ready { "yes" } else { "no" };
            writeln!(formatter, "{:width$}  {pid:>8}  {ready:5}  {}", process.name, process.url)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_no_password_and_the_json_has_the_agreed_names() {
        let url = "postgres://postgres:secret@127.0.0.1:8405/postgres";
        let status = Status {
            processes: vec![ProcessStatus {
                name: POSTGRES.into(),
                pid: Some(7),
                url: without_password(url),
                ready: true,
            }],
            command_api: "http://127.0.0.1:8400".into(),
            query_api: "http://127.0.0.1:8402".into(),
            kafka: "127.0.0.1:8406".into(),
            kafka_settings: BTreeMap::from([("FITTRACK_KAFKA_PASSWORD".to_owned(), "secret".to_owned())]),
            event_store_url: url.into(),
            identity_url: url.into(),
            read_models_url: url.into(),
            recordings_url: url.into(),
        };
        assert!(!status.to_string().contains("secret"));
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["processes"][0]["name"], "postgres");
        assert_eq!(json["processes"][0]["pid"], 7);
        let mut keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "command_api",
                "event_store_url",
                "identity_url",
                "kafka",
                "kafka_settings",
                "processes",
                "query_api",
                "read_models_url",
                "recordings_url"
            ]
        );
    }
}
