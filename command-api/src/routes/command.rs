//! What every command brings besides its body: who asks, under which key, on which version, in which trace.
//! An extractor, so that a handler begins with all of it read and refused where it must be.
use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, MatchedPath, Request},
    http::{
        HeaderMap,
        header::{CONTENT_TYPE, IF_MATCH},
    },
};
use fittrack_domain::{
    aggregate::{Context, Decider},
    ids::AthleteId,
};
use fittrack_runtime::{auth::Caller, problem::Problem, trace};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    idempotency::{IdempotencyKey, Underway},
    if_match::IfMatch,
};
use crate::{
    app::App,
    dispatch::{self, DispatchError},
};

/// A command from a signed-in athlete with the body `B` (one of the runtime's extractors, or [`NoBody`]).
#[derive(Debug)]
pub struct Command<B> {
    /// The body, accepted by its extractor.
    pub body: B,
    /// Everything else.
    pub envelope: Envelope,
}

/// Everything about a command but what it asks.
#[derive(Debug)]
pub struct Envelope {
    /// Who asks.
    pub athlete_id: AthleteId,
    /// The id of the command the client's key names, where it gave a key.
    pub keyed: Option<Uuid>,
    /// SHA-256 in hexadecimal over method, path, content type, body and `If-Match`.
    pub fingerprint: String,
    /// The version the client means, where it said so.
    pub if_match: Option<IfMatch>,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
}

/// No body is asked for; one that is sent counts for the fingerprint alone.
#[derive(Debug, Clone, Copy)]
pub struct NoBody;

impl<S: Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;

    async fn from_request(_: Request, _: &S) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl<B: FromRequest<App, Rejection = Problem>> FromRequest<App> for Command<B> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, app).await?;
        app.gate.pass()?;
        let athlete_id = AthleteId(caller.athlete_id);
        let bytes = fittrack_runtime::json::read_small_body(Request::from_parts(parts.clone(), body)).await?;
        let path = parts.uri.path();
        let envelope = Envelope {
            athlete_id,
            keyed: keyed_command(&parts.headers, athlete_id, parts.method.as_str(), route(&parts)?)?,
            fingerprint: fingerprint(parts.method.as_str(), path, &parts.headers, &bytes),
            if_match: IfMatch::from_headers(&parts.headers)?,
            traceparent: trace::current().map(trace::TraceContext::to_traceparent),
        };
        let body = B::from_request(Request::from_parts(parts, Body::from(bytes)), app).await?;
        Ok(Self { body, envelope })
    }
}

impl Envelope {
    /// The command's id, and its place among those under way: that of the client's key, else of what it is about, else new.
    ///
    /// # Errors
    /// 409 while the same command is under way in this process.
    pub fn begin(&self, app: &App, about: Option<Uuid>) -> Result<(Uuid, Option<Underway>), Problem> {
        match self.keyed.or(about) {
            Some(command_id) => Ok((command_id, app.running.begin(command_id)?)),
            None => Ok((Uuid::now_v7(), None)),
        }
    }

    /// The request to the dispatcher, without precondition.
    pub fn request<A: Decider>(
        &self,
        stream_id: Uuid,
        command: A::Command,
        context: Context,
        command_id: Uuid,
    ) -> dispatch::Request<A> {
        dispatch::Request {
            stream_id,
            owner_id: self.athlete_id,
            command,
            context,
            command_id,
            fingerprint: Some(self.fingerprint.clone()),
            keyed: self.keyed == Some(command_id),
            precondition: None,
            traceparent: self.traceparent.clone(),
            correlation_id: None,
        }
    }

    /// Whether a reused command id means a reused key (else it is another command about the same thing).
    pub fn has_key(&self) -> bool {
        self.keyed.is_some()
    }
}

/// Whether a command failed only because its id belongs to another request.
pub fn is_reused<R: std::error::Error>(error: &DispatchError<R>) -> bool {
    matches!(error, DispatchError::FingerprintMismatch)
}

/// The id of the command a client's key names on this route, where it gave one.
pub fn keyed_command(
    headers: &HeaderMap,
    athlete_id: AthleteId,
    method: &str,
    route: &str,
) -> Result<Option<Uuid>, Problem> {
    let key = IdempotencyKey::from_headers(headers)?;
    Ok(key.map(|key| key.command_id(&athlete_id.to_string(), method, route)))
}

/// The route's template, such as `/v1/workouts/{workout_id}`.
pub fn route(parts: &axum::http::request::Parts) -> Result<&str, Problem> {
    let matched = parts.extensions.get::<MatchedPath>();
    matched.map(MatchedPath::as_str).ok_or_else(|| Problem::internal("a command came by no route"))
}

/// Identifies a request by what it asks: two requests under one key must have the same.
pub fn fingerprint(method: &str, path: &str, headers: &HeaderMap, body: &[u8]) -> String {
    let header = |name| headers.get(name).map_or(&[][..], axum::http::HeaderValue::as_bytes);
    let mut hash = Sha256::new();
    for part in [method.as_bytes(), path.as_bytes(), header(CONTENT_TYPE), header(IF_MATCH), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_changes_with_every_part_and_with_nothing_else() {
        let mut headers = HeaderMap::new();
        let original = fingerprint("POST", "/v1/workouts", &headers, b"{}");
        headers.insert("x-request-id", axum::http::HeaderValue::from_static("7"));
        assert_eq!(original, fingerprint("POST", "/v1/workouts", &headers, b"{}"));
        headers.insert(IF_MATCH, axum::http::HeaderValue::from_static("\"v1\""));
        assert_ne!(original, fingerprint("POST", "/v1/workouts", &headers, b"{}"));
        let headers = HeaderMap::new();
        assert_ne!(original, fingerprint("POST", "/v1/workout", &headers, b"s{}"));
        assert_ne!(original, fingerprint("POST", "/v1/workouts", &headers, b"{ }"));
    }
}
