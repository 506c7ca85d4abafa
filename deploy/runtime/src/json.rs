//! Extractors that refuse with problem documents: JSON bodies, merge patches, raw bodies, paths and queries.
//! They are the edge of rule "parse at the edge": a handler behind them holds a value whose every field was accepted.

use std::error::Error;
use std::time::Duration;

use axum::RequestExt;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::edge::BodyRead;
use crate::problem::{Problem, kinds};

mod refusal;

/// How long a small body may take to arrive where no edge says so.
const BODY_READ: Duration = Duration::from_secs(15);
/// How long an upload may take to arrive.
const UPLOAD_READ: Duration = Duration::from_secs(60);
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// A JSON body, `Content-Type: application/json`. Give `T` `#[serde(deny_unknown_fields)]`.
///
/// Refuses with 415 (another type), 413 (too long), 400 (not JSON) and 422 (a field, named by its pointer).
/// As a response it is what axum's is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

/// A JSON merge patch (RFC 7396), `Content-Type: application/merge-patch+json`; refuses as [`Json`] does.
/// In `T` a field is a [`Change`] where `null` clears it.
#[derive(Debug, Clone, Copy, Default)]
pub struct MergePatch<T>(pub T);

/// A body as it came, whatever its type; bounded by the route's `DefaultBodyLimit` and a minute.
#[derive(Debug, Clone)]
pub struct RawBody(pub Bytes);

/// The parameters of the path; a value that does not parse is a 400.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

/// The parameters of the query. Give `T` `#[serde(deny_unknown_fields)]`: an unknown one is then a 400 that names it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

/// What a body can be once it has been read, for extractors that need its bytes too.
pub trait FromBody: Sized {
    /// Parses the body of a request with these headers, or refuses it.
    fn from_body(headers: &HeaderMap, body: &[u8]) -> Result<Self, Problem>;
}

impl<T: DeserializeOwned> FromBody for Json<T> {
    fn from_body(headers: &HeaderMap, body: &[u8]) -> Result<Self, Problem> {
        require_type(headers, JSON)?;
        parse_json(body).map(Self)
    }
}

impl<T: DeserializeOwned> FromBody for MergePatch<T> {
    fn from_body(headers: &HeaderMap, body: &[u8]) -> Result<Self, Problem> {
        const ACCEPTED: HeaderValue = HeaderValue::from_static(MERGE_PATCH);
        require_type(headers, MERGE_PATCH).map_err(|problem| problem.header(ACCEPT_PATCH, ACCEPTED))?;
        parse_json(body).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_type(request.headers(), JSON)?;
        let (parts, body) = request.with_limited_body().into_parts();
        Self::from_body(&parts.headers, &read_small_body(&parts, body).await?)
    }
}

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_body(request, UPLOAD_READ).await.map(Self)
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(Problem::bad_request(error.body_text())),
            Err(error) => Err(Problem::internal(error)),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// Reads a body that is limited already as [`read_body`] does, within the time the edge gives to small ones.
pub async fn read_small_body(parts: &Parts, limited: Body) -> Result<Bytes, Problem> {
    let within = parts.extensions.get::<BodyRead>().map_or(BODY_READ, |given| given.0);
    collect(limited, within).await
}

/// Reads a whole body within the route's limit and the given time: 413 where it is longer, 400 where it breaks off or is late.
pub async fn read_body(request: Request, within: Duration) -> Result<Bytes, Problem> {
    collect(request.into_limited_body(), within).await
}

async fn collect(limited: Body, within: Duration) -> Result<Bytes, Problem> {
    match tokio::time::timeout(within, limited.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if is_too_long(&error) => {
            Err(Problem::payload_too_large("the body is longer than this path accepts"))
        }
        Ok(Err(_)) => Err(Problem::bad_request("the body broke off")),
        Err(_) => Err(Problem::bad_request(format!("the body did not arrive within {} s", within.as_secs()))),
    }
}

fn is_too_long(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(<dyn std::error::Error>::is::<LengthLimitError>)
}

/// Parses a JSON body as [`Json`] does, for a body that was read otherwise. A body is an object: serde would also take a list
/// of a struct's fields in their order.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Where in the body something is wrong is looked for only when something is.
    let value = serde_json::from_slice(body).or_else(|_| parse_following_the_path(body))?;
    if body.trim_ascii_start().first() == Some(&b'{') { Ok(value) } else { Err(refusal::of_no_object()) }
}

fn parse_following_the_path<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(refusal::of_body)?;
    deserializer.end().map_err(|error| refusal::of_syntax(&error))?;
    Ok(value)
}

/// Parses a query string as [`Query`] does.
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let deserializer = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(deserializer).map_err(refusal::of_query)
}

/// A field of a merge patch. Use with `#[serde(default)]`: absent keeps, `null` clears, a value replaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// The field was absent.
    #[default]
    Keep,
    /// The field was `null`.
    Clear,
    /// The field had a value.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T> Change<T> {
    /// The field's new value, given its present one.
    pub fn applied_to(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Keep => present,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }
}

/// The media type of a request's body in lower case, without parameters.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn require_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let refused = || Problem::new(&kinds::UNSUPPORTED_MEDIA_TYPE, format!("the body must be sent as {wanted}"));
    if media_type(headers).as_deref() != Some(wanted) {
        return Err(refused());
    }
    let charset = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(charset_of);
    // JSON is UTF-8 (RFC 8259); another charset would be read wrongly.
    if charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8")) { Ok(()) } else { Err(refused()) }
}

fn charset_of(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests;
