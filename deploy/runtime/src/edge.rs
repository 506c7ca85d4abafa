//! The one layer around every public route: trace, limits, panics, timeouts, metrics, security headers, and errors as problem documents.
//! Written as a single service because a stack of ready-made ones costs as much as answering from the cache.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::header::{
    ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tower::{Layer, Service};
use tracing::Instrument;

use crate::http_metrics::HttpMetrics;
use crate::linger::Rest;
use crate::problem::{CATALOGUE, Kind, PROBLEM_JSON, Problem, ProblemCause, kinds};
use crate::server::PublicLimits;
use crate::telemetry::panic_message;
use crate::trace::{self, Instance, RequestContext, TraceContext};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The label of requests that match no route.
const UNMATCHED: &str = "unmatched";

const SECURITY_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

#[derive(Clone)]
pub(crate) struct EdgeLayer {
    edge: Arc<Edge>,
}

struct Edge {
    limits: PublicLimits,
    metrics: HttpMetrics,
}

impl EdgeLayer {
    pub(crate) fn new(limits: PublicLimits) -> Self {
        Self { edge: Arc::new(Edge { limits, metrics: HttpMetrics::default() }) }
    }
}

/// Completes answers that are ready before a request is routed, as the layer completes those of the routes.
#[derive(Clone)]
pub struct Finisher {
    edge: Arc<Edge>,
}

impl Finisher {
    /// A finisher for a router under the same limits.
    pub fn new(limits: PublicLimits) -> Self {
        Self { edge: Arc::new(Edge { limits, metrics: HttpMetrics::default() }) }
    }

    /// Adds what every answer has, and counts and logs it under the route that would have answered.
    pub fn finish<B>(&self, request: &axum::http::Request<B>, route: &str, started: Instant, response: &mut Response) {
        self.edge.finish(request.method(), route, trace_of(request.headers()), started, response);
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EdgeService { inner, edge: Arc::clone(&self.edge) }
    }
}

#[derive(Clone)]
pub(crate) struct EdgeService<S> {
    inner: S,
    edge: Arc<Edge>,
}

impl<S> Service<Request> for EdgeService<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let started = Instant::now();
        let trace = trace_of(request.headers());
        let seen = Seen {
            edge: Arc::clone(&self.edge),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            started,
        };
        let context = RequestContext { trace, instance: Instance::Uri(request.uri().clone()) };
        // At the default level this span is disabled and free; the trace id reaches every line through the task-local context.
        let span = tracing::debug_span!("request", trace_id = %trace, method = %seen.method, route = seen.route());
        let rest = (!request.body().is_end_stream()).then(|| {
            DefaultBodyLimit::max(self.edge.limits.body_bytes).apply(&mut request);
            Rest::of(&mut request)
        });
        let answer = if uri_bytes(&request) > self.edge.limits.uri_bytes {
            drop(request);
            None
        } else {
            Some(self.inner.call(request))
        };
        let serve = async move {
            let mut response = match answer {
                Some(answer) => seen.guarded(answer).await,
                None => Problem::new(&kinds::URI_TOO_LONG, "path and query are too long").into_response(),
            };
            seen.edge.finish(&seen.method, seen.route(), trace, seen.started, &mut response);
            if let Some(rest) = rest {
                rest.discard().await;
            }
            Ok(response)
        };
        Box::pin(trace::in_request(context, serve.instrument(span)))
    }
}

/// What the layer remembers of a request while it is served.
struct Seen {
    edge: Arc<Edge>,
    method: Method,
    route: Option<MatchedPath>,
    started: Instant,
}

impl Seen {
    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }

    /// Turns a panic, a late read and a foreign error into problems.
    async fn guarded(&self, answer: impl Future<Output = Result<Response, Infallible>>) -> Response {
        let caught = AssertUnwindSafe(answer).catch_unwind();
        // Only reads may be dropped half-way: a command runs to its end.
        let limit = self.edge.limits.read_handler;
        let outcome = if self.is_read() {
            match tokio::time::timeout(limit, caught).await {
                Ok(outcome) => outcome,
                Err(_) => return late(limit),
            }
        } else {
            caught.await
        };
        match outcome {
            Ok(Ok(response)) if is_foreign_error(&response) => as_problem(&response),
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => Problem::internal(format!("panicked: {}", panic_message(&*panic))).into_response(),
        }
    }

    fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }
}

impl Edge {
    /// Headers on every answer, one line in the log, one count in the metrics.
    fn finish(&self, method: &Method, route: &str, trace: TraceContext, started: Instant, response: &mut Response) {
        let elapsed = started.elapsed();
        log(method, route, elapsed, response);
        self.metrics.record(route, method, response.status(), elapsed);
        let headers = response.headers_mut();
        for (name, value) in SECURITY_HEADERS {
            headers.entry(name).or_insert(value);
        }
        if self.limits.hsts {
            headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
        }
        if let Ok(value) = HeaderValue::try_from(trace.to_traceparent()) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

fn log(method: &Method, route: &str, elapsed: Duration, response: &Response) {
    let milliseconds = elapsed.as_secs_f64() * 1000.0;
    let status = response.status().as_u16();
    let method = method.as_str();
    if status < 500 {
        tracing::debug!(method, route, status, milliseconds, "answered");
        return;
    }
    let cause = response.extensions().get::<ProblemCause>().map_or("", |cause| cause.0.as_str());
    // Shedding load is the system working as designed; anything else of ours is somebody's job.
    if matches!(status, 503 | 504) {
        tracing::warn!(method, route, status, milliseconds, cause, "request not served");
    } else {
        tracing::error!(method, route, status, milliseconds, cause, "request failed");
    }
}

fn trace_of(headers: &HeaderMap) -> TraceContext {
    headers
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok())
        .and_then(TraceContext::from_traceparent)
        .map_or_else(TraceContext::generate, TraceContext::child)
}

fn uri_bytes(request: &Request) -> usize {
    request.uri().path_and_query().map_or(0, |path| path.as_str().len())
}

fn late(limit: Duration) -> Response {
    Problem::timeout(format!("the answer was not ready within {} s", limit.as_secs_f32())).into_response()
}

/// An error answered by a library (an extractor's rejection, an empty 405), not by us.
fn is_foreign_error(response: &Response) -> bool {
    let status = response.status();
    (status.is_client_error() || status.is_server_error())
        && response.headers().get(CONTENT_TYPE).is_none_or(|value| value != PROBLEM_JSON)
}

/// The same status as a problem; what the library said is not passed on, it may show internals.
fn as_problem(response: &Response) -> Response {
    let status = response.status();
    let kind = kind_of(status);
    let detail = status.canonical_reason().unwrap_or("the request was refused");
    let mut problem = Problem::new(kind, detail);
    for name in [ALLOW, WWW_AUTHENTICATE] {
        if let Some(value) = response.headers().get(&name) {
            problem = problem.header(name, value.clone());
        }
    }
    problem.into_response()
}

fn kind_of(status: StatusCode) -> &'static Kind {
    let general = if status.is_server_error() { &kinds::INTERNAL } else { &kinds::BAD_REQUEST };
    CATALOGUE.iter().find(|kind| kind.status == status.as_u16()).unwrap_or(general)
}
