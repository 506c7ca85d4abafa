//! Every refusal a client may see, as an `application/problem+json` document (RFC 9457).
//! Handlers and extractors return a [`Problem`]; the request's path and trace id are filled in when it becomes a response.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

mod catalogue;
mod page;

pub use catalogue::{CATALOGUE, Kind, kinds};
pub use page::{ProblemPage, page};

use crate::trace;

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The document a client receives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// A stable URI that names the kind of problem and leads to its description.
    #[serde(rename = "type")]
    #[schema(example = "https://fittrack.dev/problems/not-found")]
    pub kind: String,
    /// The kind in a few words; the same for every problem of the kind.
    #[schema(example = "Not found")]
    pub title: Cow<'static, str>,
    /// The HTTP status, repeated.
    #[schema(example = 404)]
    pub status: u16,
    /// What was wrong this time.
    #[schema(example = "there is no such workout")]
    pub detail: Cow<'static, str>,
    /// The path of the request; empty where none could be read.
    #[schema(example = "/v1/workouts/0198c0de-0000-7000-8000-000000000000")]
    pub instance: String,
    /// Identifies the request in logs; quote it when reporting a fault.
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    pub trace_id: String,
    /// The fields that were refused, where fields were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemField>,
    /// The allowances that are used up, by their names in `RateLimit-Policy`, where one is.
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["write"]))]
    pub violated_policies: Vec<String>,
}

/// One refused field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemField {
    /// Where in the body: a JSON pointer in fragment form, `#` for the body itself.
    #[schema(example = "#/distance_m")]
    pub pointer: String,
    /// What is wrong with it.
    #[schema(example = "must be at most 1000000")]
    pub detail: String,
    /// The reason in a form for programs.
    #[schema(example = "out_of_range")]
    pub code: Cow<'static, str>,
}

/// A refusal on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    kind: &'static Kind,
    title: Option<Cow<'static, str>>,
    detail: Cow<'static, str>,
    errors: Vec<ProblemField>,
    violated_policies: Vec<String>,
    headers: HeaderMap,
    cause: Option<String>,
}

/// Why a 5xx happened, for the one log line the edge layer writes; travels in the response's extensions.
#[derive(Debug, Clone)]
pub(crate) struct ProblemCause(pub(crate) String);

impl Problem {
    /// A problem of a kind (from the catalogue or a service's own constant).
    pub fn new(kind: &'static Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            kind,
            title: None,
            detail: detail.into(),
            errors: Vec::new(),
            violated_policies: Vec::new(),
            headers: HeaderMap::new(),
            cause: None,
        }))
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::BAD_REQUEST, detail)
    }

    /// 422: the body was understood and has fields that are refused; name them with [`Problem::error`].
    pub fn invalid_body(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::INVALID_BODY, detail)
    }

    /// 401, with the challenge a client needs.
    pub fn unauthenticated(detail: impl Into<Cow<'static, str>>) -> Self {
        const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"fittrack\"");
        Self::new(&kinds::UNAUTHENTICATED, detail).header(WWW_AUTHENTICATE, CHALLENGE)
    }

    /// 401 for a token that was given and refused.
    pub fn invalid_token(detail: impl Into<Cow<'static, str>>) -> Self {
        const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"fittrack\", error=\"invalid_token\"");
        Self::new(&kinds::UNAUTHENTICATED, detail).header(WWW_AUTHENTICATE, CHALLENGE)
    }

    /// 403: known, and not allowed.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::FORBIDDEN, detail)
    }

    /// 404: not there, or not for this caller to know about.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::NOT_FOUND, detail)
    }

    /// 405; the router adds `Allow`.
    pub fn method_not_allowed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::METHOD_NOT_ALLOWED, detail)
    }

    /// 406: no form of the answer is acceptable to the client.
    pub fn not_acceptable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::NOT_ACCEPTABLE, detail)
    }

    /// 409: the state of the thing does not allow it.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::CONFLICT, detail)
    }

    /// 412: `If-Match` names another version.
    pub fn precondition_failed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::PRECONDITION_FAILED, detail)
    }

    /// 428: `If-Match` is needed here.
    pub fn precondition_required(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::PRECONDITION_REQUIRED, detail)
    }

    /// 413: the body is too long.
    pub fn payload_too_large(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::PAYLOAD_TOO_LARGE, detail)
    }

    /// 415: the body is of another type.
    pub fn unsupported_media_type(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 422: understood and refused by a rule, not by a field.
    pub fn unprocessable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::UNPROCESSABLE, detail)
    }

    /// 422: the `Idempotency-Key` was used before, for another request.
    pub fn idempotency_key_reused(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::IDEMPOTENCY_KEY_REUSED, detail)
    }

    /// 429: slower, please; may be tried again after the pause.
    pub fn too_many_requests(detail: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self::new(&kinds::TOO_MANY_REQUESTS, detail).retry_after(retry_after)
    }

    /// 500: our fault. The cause is logged and never shown.
    pub fn internal(cause: impl Display) -> Self {
        const DETAIL: &str = "something went wrong on our side; the trace id identifies it";
        Self::new(&kinds::INTERNAL, DETAIL).with_cause(cause)
    }

    /// 503: not now; may be tried again after the pause.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self::new(&kinds::UNAVAILABLE, detail).retry_after(retry_after)
    }

    /// 504: no answer was ready in time.
    pub fn timeout(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&kinds::TIMEOUT, detail)
    }

    /// Names a refused field. `pointer` is a JSON pointer into the body, such as `/sets/0/mass_kg`; empty for the body itself.
    #[must_use]
    pub fn error(
        mut self,
        pointer: impl Display,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        let pointer = format!("#{pointer}");
        self.0.errors.push(ProblemField { pointer, detail: detail.into(), code: code.into() });
        self
    }

    /// Names an allowance that is used up.
    #[must_use]
    pub fn violated_policy(mut self, name: impl Into<String>) -> Self {
        self.0.violated_policies.push(name.into());
        self
    }

    /// Another title than the kind's.
    #[must_use]
    pub fn title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.0.title = Some(title.into());
        self
    }

    /// What to log as the reason, where this becomes a 5xx.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// A header of the response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// `Retry-After` in whole seconds, rounded up, at least one.
    #[must_use]
    pub fn retry_after(self, pause: Duration) -> Self {
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        self.header(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// The status it will answer with.
    pub fn status(&self) -> StatusCode {
        self.0.kind.status_code()
    }

    /// Its kind.
    pub fn kind(&self) -> &'static Kind {
        self.0.kind
    }

    /// What was wrong this time.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The refused fields.
    pub fn errors(&self) -> &[ProblemField] {
        &self.0.errors
    }

    /// The document as it is sent, filled in from the request being served.
    pub fn document(&self) -> ProblemDocument {
        let (instance, trace_id) = match trace::current_request() {
            Some(request) => (request.instance.path().to_owned(), request.trace.trace_id()),
            None => (String::new(), String::new()),
        };
        ProblemDocument {
            kind: self.0.kind.uri(),
            title: self.0.title.clone().unwrap_or(Cow::Borrowed(self.0.kind.title)),
            status: self.0.kind.status,
            detail: self.0.detail.clone(),
            instance,
            trace_id,
            errors: self.0.errors.clone(),
            violated_policies: self.0.violated_policies.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Strings and numbers always serialise.
        let body = serde_json::to_vec(&self.document()).unwrap_or_default();
        let status = self.status();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = self.0.headers;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(cause) = self.0.cause {
            response.extensions_mut().insert(ProblemCause(cause));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceContext;

    async fn body_of(response: Response) -> serde_json::Value {
        let bytes = axum::body::to_bytes(response.into_body(), 65_536).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_problem_names_its_request_and_its_fields() {
        let trace = TraceContext::generate();
        let response = trace::scope(trace, "/v1/workouts", async {
            Problem::invalid_body("one field is refused").error("/reps", "out_of_range", "at most 1000").into_response()
        })
        .await;
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        let body = body_of(response).await;
        let expected = serde_json::json!({
            "type": "https://fittrack.dev/problems/invalid-body",
            "title": "The body has invalid fields",
            "status": 422,
            "detail": "one field is refused",
            "instance": "/v1/workouts",
            "trace_id": trace.trace_id(),
            "errors": [{"pointer": "#/reps", "detail": "at most 1000", "code": "out_of_range"}],
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn the_cause_of_an_internal_problem_is_not_shown() {
        let response = Problem::internal("password=hunter2").into_response();
        assert_eq!(response.extensions().get::<ProblemCause>().unwrap().0, "password=hunter2");
        assert!(!body_of(response).await.to_string().contains("hunter2"));
    }

    #[test]
    fn a_pause_is_rounded_up_to_seconds() {
        let response = Problem::unavailable("not now", Duration::from_millis(1200)).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        let response = Problem::too_many_requests("slower", Duration::ZERO).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn a_401_carries_its_challenge() {
        let response = Problem::unauthenticated("log in").into_response();
        assert!(response.headers()[WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
    }
}
