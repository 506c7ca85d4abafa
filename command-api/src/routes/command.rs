//! What every command brings besides its body: who asks, under which key, on which version, in which trace.
//! An extractor, so that a handler begins with all of it read and refused where it must be.
use axum::{
    RequestExt,
    extract::{FromRequest, FromRequestParts, MatchedPath, Request},
    http::{
        HeaderMap, HeaderValue, Method, Uri,
        header::{CONTENT_TYPE, IF_MATCH},
    },
};
use bytes::Bytes;
use fittrack_domain::{
    aggregate::{Context, Decider},
    ids::AthleteId,
};
use fittrack_runtime::{
    auth::Caller,
    json::{FromBody, read_small_body},
    problem::Problem,
    trace,
};
use fittrack_schemas::consistency::TokenKey;
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
    /// What the request's fingerprint is made of.
    asked: Asked,
    /// The version the client means, where it said so.
    pub if_match: Option<IfMatch>,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// What the answer's consistency token is to be signed with.
    pub token_key: TokenKey,
}

/// A command's id, and its place among those under way.
#[derive(Debug)]
pub struct Begun {
    /// That of the client's key, else of what the command is about, else new.
    pub command_id: Uuid,
    /// The request's, where it may come again under the same id.
    fingerprint: Option<String>,
    _underway: Option<Underway>,
}

/// The parts of a request that two under one key must have in common.
#[derive(Debug)]
struct Asked {
    method: Method,
    uri: Uri,
    content_type: Option<HeaderValue>,
    if_match: Option<HeaderValue>,
    body: Bytes,
}

/// No body is asked for; one that is sent counts for the fingerprint alone.
#[derive(Debug, Clone, Copy)]
pub struct NoBody;

impl FromBody for NoBody {
    fn from_body(_: &HeaderMap, _: &[u8]) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl<B: FromBody> FromRequest<App> for Command<B> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.with_limited_body().into_parts();
        let caller = Caller::from_request_parts(&mut parts, app).await?;
        let token_key = app.gate.pass()?.clone();
        let athlete_id = AthleteId(caller.athlete_id);
        let bytes = read_small_body(&parts, body).await?;
        let keyed = keyed_command(&parts.headers, athlete_id, parts.method.as_str(), route(&parts)?)?;
        let if_match = IfMatch::from_headers(&parts.headers)?;
        let body = B::from_body(&parts.headers, &bytes)?;
        let header = |name| parts.headers.get(name).cloned();
        let asked = Asked {
            content_type: header(CONTENT_TYPE),
            if_match: header(IF_MATCH),
            method: parts.method,
            uri: parts.uri,
            body: bytes,
        };
        let traceparent = trace::current().map(trace::TraceContext::to_traceparent);
        Ok(Self { body, envelope: Envelope { athlete_id, keyed, asked, if_match, traceparent, token_key } })
    }
}

impl Envelope {
    /// The command under the client's key, or under what it is about, or under a new id.
    ///
    /// # Errors
    /// 409 while the same command is under way in this process.
    pub fn begin(&self, app: &App, about: Option<Uuid>) -> Result<Begun, Problem> {
        match self.keyed.or(about) {
            Some(command_id) => Ok(Begun {
                command_id,
                fingerprint: Some(self.asked.fingerprint()),
                _underway: app.running.begin(command_id)?,
            }),
            None => Ok(Begun { command_id: Uuid::now_v7(), fingerprint: None, _underway: None }),
        }
    }

    /// The request to the dispatcher, without precondition.
    pub fn request<A: Decider>(
        &self,
        stream_id: Uuid,
        command: A::Command,
        context: Context,
        begun: &Begun,
    ) -> dispatch::Request<A> {
        dispatch::Request {
            stream_id,
            owner_id: self.athlete_id,
            command,
            context,
            command_id: begun.command_id,
            fingerprint: begun.fingerprint.clone(),
            keyed: self.keyed == Some(begun.command_id),
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

impl Asked {
    fn fingerprint(&self) -> String {
        let text = |value: &Option<HeaderValue>| value.as_ref().map_or(Vec::new(), |value| value.as_bytes().to_vec());
        fingerprint([
            self.method.as_str().as_bytes(),
            self.uri.path().as_bytes(),
            &text(&self.content_type),
            &text(&self.if_match),
            &self.body,
        ])
    }
}

/// Identifies a request by what it asks, SHA-256 in hexadecimal: method, path, content type, `If-Match` and body. Two requests
/// under one key must have the same.
pub fn fingerprint(parts: [&[u8]; 5]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_changes_with_every_part() {
        let original: [&[u8]; 5] = [b"POST", b"/v1/workouts", b"application/json", b"", b"{}"];
        for part in 0..5 {
            let mut changed = original;
            changed[part] = b"s";
            assert_ne!(fingerprint(original), fingerprint(changed), "{part}");
        }
        let moved: [&[u8]; 5] = [b"POST", b"/v1/workouts", b"application/json", b"{", b"}"];
        assert_ne!(fingerprint(original), fingerprint(moved));
        assert_eq!(fingerprint(original), fingerprint(original));
    }
}
