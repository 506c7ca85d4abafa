//! What is noted of refusals for the audit log: too many requests, a token too narrow, somebody else's thing. The edge tells of the
//! first two; the last is noted by the route that finds nothing of the caller's.
use std::sync::Arc;

use fittrack_runtime::{
    edge::{Lack, Record, Refused},
    rate_limit::Asker,
    trace::{self, TraceContext},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    app::App,
    identity::{
        audit::{AuditEvent, MAX_USER_AGENT, Origin, printable},
        notes::{Note, Notes},
    },
};

/// Takes notes of what the edge refuses.
pub fn record(notes: Notes) -> Record {
    Arc::new(move |refused| notes.take(note(&refused)))
}

fn note(refused: &Refused<'_>) -> Note {
    let (event, what, athlete_id, address) = match refused.lack {
        Lack::Allowance(Asker::Athlete(athlete_id)) => {
            (AuditEvent::RateLimitExceeded, "requests", Some(athlete_id), None)
        }
        Lack::Allowance(Asker::Address(address)) => {
            (AuditEvent::RateLimitExceeded, "requests", None, Some(address.network()))
        }
        Lack::Scope(athlete_id) => (AuditEvent::AuthzFail, "scope", Some(athlete_id), None),
    };
    let user_agent = refused.user_agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    let user_agent = user_agent.map(|text| printable(&text, MAX_USER_AGENT));
    Note {
        event,
        what,
        athlete_id,
        origin: Origin { address, user_agent },
        details: json!({"method": refused.method.as_str()}),
        trace_id: Some(refused.trace.trace_id()),
    }
}

/// Notes that somebody asked for a thing that is another's.
pub fn another_s(app: &App, athlete_id: Uuid, origin: &Origin, thing: &'static str, id: Uuid) {
    app.notes.take(Note {
        event: AuditEvent::AuthzFail,
        what: thing,
        athlete_id: Some(athlete_id),
        origin: origin.clone(),
        details: json!({"id": id}),
        trace_id: trace::current().map(TraceContext::trace_id),
    });
}
