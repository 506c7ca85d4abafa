//! What is noted of refusals for the audit log: too many requests, a token too narrow, somebody else's thing. The first two are seen
//! on the answer, around all routes; the last by the route that finds nothing of the caller's.
use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{AUTHORIZATION, USER_AGENT},
    },
    middleware::Next,
    response::Response,
};
use fittrack_runtime::{
    rate_limit::Asker,
    trace::{self, TraceContext},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    app::App,
    identity::{
        audit::{AuditEvent, MAX_USER_AGENT, Origin, printable},
        notes::Note,
    },
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Notes answers that refuse for want of an allowance or a scope.
pub async fn noted(State(app): State<App>, request: Request, next: Next) -> Response {
    let (token, agent) = (request.headers().get(AUTHORIZATION).cloned(), request.headers().get(USER_AGENT).cloned());
    let method = request.method().clone();
    let response = next.run(request).await;
    let about = |event, what, athlete_id, address| {
        let user_agent = agent.as_ref().map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        let user_agent = user_agent.map(|text| printable(&text, MAX_USER_AGENT));
        let trace = response.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
        Note {
            event,
            what,
            athlete_id,
            origin: Origin { address, user_agent },
            details: json!({"method": method.as_str()}),
            trace_id: trace.and_then(TraceContext::from_traceparent).map(TraceContext::trace_id),
        }
    };
    match (response.status(), response.extensions().get::<Asker>()) {
        (StatusCode::TOO_MANY_REQUESTS, Some(Asker::Athlete(athlete_id))) => {
            app.notes.take(about(AuditEvent::RateLimitExceeded, "requests", Some(*athlete_id), None));
        }
        (StatusCode::TOO_MANY_REQUESTS, Some(Asker::Address(address))) => {
            app.notes.take(about(AuditEvent::RateLimitExceeded, "requests", None, Some(address.network())));
        }
        (StatusCode::FORBIDDEN, _) => {
            if let Some(athlete_id) = token.and_then(|token| athlete_of(&app, token)) {
                app.notes.take(about(AuditEvent::AuthzFail, "scope", Some(athlete_id), None));
            }
        }
        _ => {}
    }
    response
}

fn athlete_of(app: &App, token: HeaderValue) -> Option<Uuid> {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, token)]);
    app.verifier.remembered(&headers).map(|caller| caller.athlete_id)
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
