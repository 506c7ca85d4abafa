//! Waiting until a process does its work, and saying why when it never does.
//! Each kind is asked the question its callers will ask: a query, a metadata request, `/readyz`. Kafka then gets its users and topics.

use std::time::{Duration, Instant};

use super::launch::Started;
use super::{KAFKA, POSTGRES, Stack, brokers};
use crate::error::{Error, Result};
use crate::state::State;
use crate::{databases, kafka};

/// How long a process may take until it is ready; a slow machine under load needs far less.
const DEADLINE: Duration = Duration::from_secs(120);

impl Stack {
    /// Whether a process answers right now.
    ///
    /// # Errors
    /// When no process of that name can exist.
    pub async fn is_ready(&self, name: &str) -> Result<bool> {
        let state = self.state()?;
        Ok(match name {
            POSTGRES => databases::is_ready(&self.administrator_url(&state)).await,
            KAFKA if state.external_kafka.is_some() => any_broker_listens(&state).await,
            KAFKA => kafka::is_ready(&brokers(&state), &self.secrets.kafka_administrator).await,
            service => self.service_is_ready(service).await?,
        })
    }

    async fn service_is_ready(&self, name: &str) -> Result<bool> {
        let url = format!("{}/readyz", self.private_url(name)?);
        let answer = self.http.get(url).timeout(Duration::from_secs(2)).send().await;
        Ok(answer.is_ok_and(|answer| answer.status().is_success()))
    }

    fn was_started(&self, name: &str) -> Result<bool> {
        Ok(self.state()?.processes.contains_key(name))
    }

    /// Waits until a process is ready; one that ran before this call and dies meanwhile is started again.
    ///
    /// # Errors
    /// When it dies or the deadline passes; with the last lines of its log.
    pub(super) async fn wait_ready(&self, name: &str, mut started: Option<Started>) -> Result<()> {
        let deadline = Instant::now() + DEADLINE;
        while !self.is_ready(name).await? {
            if started.is_none() && self.was_started(name)? && !self.is_alive(name)? {
                // It was about to die when this call looked first.
                started = Some(self.launch(name)?);
            }
            let died = started.as_ref().is_some_and(|started| !started.process.is_alive());
            let late = Instant::now() >= deadline;
            if died || late {
                let logged = self.logged_since(name, started.as_ref().map_or(0, |started| started.log_offset));
                if name == POSTGRES && !late && still_occupied(&logged) {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    started = Some(self.launch(name)?);
                    continue;
                }
                let what = if died { "ended before it was ready" } else { "is not ready after two minutes" };
                return Err(Error::failed(format!("{name} {what}; it said last: {}", last_lines(&logged)))
                    .advise(format!("read {}, then try again", self.log_path(name).display())));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        self.furnish(name).await
    }

    /// Gives a server of our own what its users need before anybody is told that it is ready.
    async fn furnish(&self, name: &str) -> Result<()> {
        let state = self.state()?;
        if name != KAFKA || state.external_kafka.is_some() {
            return Ok(());
        }
        kafka::provision(&brokers(&state), &self.secrets).await
    }
}

/// After `kill -9` of the server its children need a moment to notice; until then a new server refuses to start.
/// It says so once, and every child that goes writes a line after it: the whole log of this start is searched.
fn still_occupied(log: &str) -> bool {
    log.contains("shared memory block") || log.contains("postmaster.pid")
}

/// The end of a log, indented for an error message.
fn last_lines(log: &str) -> String {
    let mut lines: Vec<&str> = log.lines().collect();
    if lines.is_empty() {
        return "nothing".to_owned();
    }
    format!("\n    {}", lines.split_off(lines.len().saturating_sub(15)).join("\n    "))
}

async fn any_broker_listens(state: &State) -> bool {
    for broker in brokers(state).split(',') {
        if kafka::listens(broker.trim()).await {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_a_failed_start_shows_its_last_lines() {
        let lines: Vec<String> = (1..=20).map(|number| format!("line {number}")).collect();
        let log = lines.join("\n");
        let shown = last_lines(&log);
        assert!(shown.starts_with("\n    line 6\n") && shown.ends_with("line 20"), "{shown}");
        assert_eq!(last_lines(""), "nothing");
    }

    #[test]
    fn a_refused_start_is_recognised_behind_the_last_words_of_many_children() {
        let refusal = "FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use\n";
        let children = "FATAL:  terminating connection due to unexpected postmaster exit\n".repeat(200);
        assert!(still_occupied(&format!("{refusal}{children}")));
        assert!(!still_occupied(&children));
    }
}
