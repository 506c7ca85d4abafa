//! Entries of the audit log that a flood of requests must not make a flood of: what somebody was refused, and what they looked at.
//! They go through a short queue to one task, which writes one of a kind a minute for each asker. What does not fit is counted and
//! not written; what waits while the process ends is lost.
use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use metrics::counter;
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::audit::{self, AuditEvent, Entry, Origin};

/// So many wait to be written.
const WAITING: usize = 256;
/// When the same asker's same event is written again.
const AGAIN: Duration = Duration::from_secs(60);
/// Of so many askers and events it is known when they were last written; of more at once nothing is.
const MOST: usize = 10_000;

/// Takes notes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notes(mpsc::Sender<Note>);

/// Something to be noted.
#[derive(Debug)]
pub struct Note {
    /// What happened.
    pub event: AuditEvent,
    /// What it was about.
    pub what: &'static str,
    /// Who did it, where they are known.
    pub athlete_id: Option<Uuid>,
    /// Where it came from.
    pub origin: Origin,
    /// What else is worth knowing, as an object.
    pub details: Value,
    /// Finds the request's log lines.
    pub trace_id: Option<String>,
}

/// Whose events are counted as one.
type Asker = (Option<Uuid>, Option<IpAddr>, AuditEvent, &'static str);

impl Notes {
    /// Notes of the identity database. The task that writes them ends with the last clone.
    pub fn new(pool: PgPool) -> Self {
        let (sender, notes) = mpsc::channel(WAITING);
        tokio::spawn(write(pool, notes));
        Self(sender)
    }

    /// Notes something soon; never waits.
    pub fn take(&self, note: Note) {
        if self.0.try_send(note).is_err() {
            count("dropped");
        }
    }
}

async fn write(pool: PgPool, mut notes: mpsc::Receiver<Note>) {
    let mut last = HashMap::new();
    while let Some(Note { event, what, athlete_id, origin, mut details, trace_id }) = notes.recv().await {
        // A known athlete is one asker from wherever.
        let asker: Asker = (athlete_id, origin.address.filter(|_| athlete_id.is_none()), event, what);
        if !is_news(&mut last, asker, Instant::now()) {
            count("repeated");
            continue;
        }
        let entry = match athlete_id {
            Some(athlete_id) => Entry::by_athlete(event, athlete_id, &origin),
            None => Entry::anonymous(event, &origin),
        };
        if let Some(details) = details.as_object_mut() {
            details.insert("what".to_owned(), what.into());
        }
        audit::note(&pool, entry.details(details).trace(trace_id)).await;
        count("written");
    }
}

fn is_news(last: &mut HashMap<Asker, Instant>, asker: Asker, now: Instant) -> bool {
    let is_recent = |at: &Instant| now.saturating_duration_since(*at) < AGAIN;
    if last.get(&asker).is_some_and(is_recent) {
        return false;
    }
    if last.len() >= MOST {
        last.retain(|_, at| is_recent(at));
    }
    let fits = last.len() < MOST;
    if fits {
        last.insert(asker, now);
    }
    fits
}

fn count(outcome: &'static str) {
    counter!("fittrack_audit_notes_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(number: u128) -> Asker {
        (Some(Uuid::from_u128(number)), None, AuditEvent::AuthzFail, "scope")
    }

    #[test]
    fn of_an_asker_s_event_one_a_minute_is_news() {
        let (mut last, now) = (HashMap::new(), Instant::now());
        assert!(is_news(&mut last, asker(1), now));
        assert!(is_news(&mut last, asker(2), now));
        assert!(is_news(&mut last, (asker(1).0, None, AuditEvent::AuthzFail, "workout"), now));
        assert!(!is_news(&mut last, asker(1), now + AGAIN / 2));
        assert!(is_news(&mut last, asker(1), now + AGAIN));
    }

    #[test]
    fn a_flood_of_askers_is_bounded_and_forgotten() {
        let (mut last, now) = (HashMap::new(), Instant::now());
        assert_eq!((0..20_000).filter(|number| is_news(&mut last, asker(*number), now)).count(), MOST);
        assert!(is_news(&mut last, asker(20_000), now + AGAIN));
        assert_eq!(last.len(), 1);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_dropped_and_nobody_waits() {
        // Nobody takes them.
        let (sender, _notes) = mpsc::channel(2);
        let notes = Notes(sender);
        for _ in 0..10 {
            notes.take(Note {
                event: AuditEvent::AuthzFail,
                what: "scope",
                athlete_id: None,
                origin: Origin::default(),
                details: Value::Null,
                trace_id: None,
            });
        }
        assert_eq!(notes.0.capacity(), 0);
    }
}
