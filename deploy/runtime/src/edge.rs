//! The one layer around every public route: who asks and how much, trace, limits, panics, timeouts, metrics, security headers,
//! other origins, and errors as problem documents. Written as a single service because a stack of ready-made ones costs as much
//! as answering from the cache.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tower::{Layer, Service};
use tracing::Instrument;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

use crate::auth::{Caller, Remembered, Verifier};
use crate::client_address::{ClientAddress, Peer};
use crate::cors::Crossing;
use crate::http_metrics::HttpMetrics;
use crate::linger::Rest;
use crate::negotiation::Accept;
use crate::problem::{CATALOGUE, Kind, PROBLEM_JSON, Problem, ProblemCause, kinds};
use crate::rate_limit::{Allowance, Asker, Class, Limiter, RouteClasses};
use crate::shutdown::Tasks;
use crate::telemetry::panic_message;
use crate::trace::{self, Instance, RequestContext, TraceContext};

pub(crate) mod answers;
mod command;
mod refused;
mod settings;

use command::Command;
use refused::Asking;

pub use refused::{Lack, Record, Refused};
pub use settings::{
    CONNECTIONS_PER_ADDRESS, CORS_ORIGINS, EdgeSettings, PublicLimits, RATE_LIMITS, TLS_IN_FRONT, TRUSTED_PROXIES,
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const JSON: &str = "application/json";
/// The label of requests that match no route.
const UNMATCHED: &str = "unmatched";

const SECURITY_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
/// What nobody said may be kept is kept by nobody.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What stands around the public routes of a service: once for all of them, and for whatever answers before they are asked.
/// Clones share what was counted.
#[derive(Clone)]
pub struct Edge(Arc<Parts>);

struct Parts {
    settings: EdgeSettings,
    metrics: HttpMetrics,
    limiter: Option<Limiter>,
    classes: RouteClasses,
    verifier: Option<Verifier>,
    tasks: Tasks,
    record: Option<Record>,
}

/// Without limits on how much is asked, for services that have none and for tests.
impl Default for Edge {
    fn default() -> Self {
        Self::unlimited(PublicLimits::default())
    }
}

impl Edge {
    /// An edge around the routes this document describes, which knows an athlete by the tokens this verifier has checked.
    /// Commands for which nobody waits any more end among these tasks; refusals are told to `record`, where there is one.
    pub fn new(
        settings: EdgeSettings,
        document: &OpenApi,
        verifier: Verifier,
        tasks: Tasks,
        record: Option<Record>,
    ) -> Self {
        let (limiter, classes) = (Limiter::new(&settings.rate_limits), RouteClasses::of(document));
        let (metrics, verifier) = (HttpMetrics::default(), Some(verifier));
        Self(Arc::new(Parts { settings, metrics, limiter, classes, verifier, tasks, record }))
    }

    /// An edge that bounds each request and not how many there are.
    pub fn unlimited(limits: PublicLimits) -> Self {
        Self(Arc::new(Parts {
            settings: EdgeSettings { limits, ..EdgeSettings::default() },
            metrics: HttpMetrics::default(),
            limiter: None,
            classes: RouteClasses::default(),
            verifier: None,
            tasks: Tasks::detached(),
            record: None,
        }))
    }

    /// Wraps a service's finished router. Call it last: routes added later are not wrapped.
    pub(crate) fn around(&self, router: Router) -> Router {
        router.layer(EdgeLayer(self.clone()))
    }

    /// An answer that was ready before its request was routed, completed, counted and logged as one of the route that would have
    /// given it; nothing where the athlete's allowance is used up, for the router to say so.
    pub fn ready<B>(
        &self,
        request: &axum::http::Request<B>,
        route: &str,
        athlete: Uuid,
        started: Instant,
        answer: impl FnOnce() -> Response,
    ) -> Option<Response> {
        let (method, headers) = (request.method(), request.headers());
        let class = self.0.classes.counting(route, method).class;
        let allowance = self.0.allowance(class, Some(Asker::Athlete(athlete)), started);
        if allowance.as_ref().is_some_and(Allowance::is_refused) {
            return None;
        }
        let crossing = self.0.settings.cors_origins.crossing(method, headers);
        let mut response = answer();
        if Accept::of(headers).is_some_and(|accept| !allows(&accept, &response)) {
            return None;
        }
        let completion = Completion { trace: trace_of(headers), started, allowance, crossing };
        self.0.finish(method, route, completion, &mut response);
        Some(response)
    }
}

#[derive(Clone)]
struct EdgeLayer(Edge);

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EdgeService { inner, edge: Arc::clone(&self.0.0) }
    }
}

#[derive(Clone)]
struct EdgeService<S> {
    inner: S,
    edge: Arc<Parts>,
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
        let edge = Arc::clone(&self.edge);
        let trace = trace_of(request.headers());
        let method = request.method().clone();
        let route = request.extensions().get::<MatchedPath>().cloned();
        let client = edge.client_of(&mut request);
        let seen = Seen { edge, method, route, accept: Accept::of(request.headers()) };
        let caller = seen.caller(request.headers());
        let allowance = seen.allowance(caller.as_ref(), client, started);
        if let Some(caller) = caller {
            request.extensions_mut().insert(Remembered(caller));
        }
        let crossing = seen.edge.settings.cors_origins.crossing(&seen.method, request.headers());
        let context = RequestContext { trace, instance: Instance::Uri(request.uri().clone()) };
        // At the default level this span is disabled and free; the trace id reaches every line through the task-local context.
        let span = tracing::debug_span!("request", trace_id = %trace, method = %seen.method, route = seen.route());
        let limits = seen.edge.settings.limits;
        let rest = (!request.body().is_end_stream()).then(|| {
            DefaultBodyLimit::max(limits.body_bytes).apply(&mut request);
            request.extensions_mut().insert(BodyRead(limits.body_read));
            Rest::of(&mut request)
        });
        let refusal = allowance.as_ref().and_then(Allowance::refusal).or_else(|| seen.refusal(&request));
        let asking = seen.edge.record.is_some().then(|| Asking::of(request.headers()));
        let answer = match refusal {
            None => Ok(self.inner.call(request)),
            Some(refusal) => Err(refusal),
        };
        let serve = async move {
            let mut response = match answer {
                Ok(answer) => seen.guarded(answer, rest.as_ref()).await,
                Err(refusal) => refusal.into_response(),
            };
            if let Some(asking) = asking {
                seen.record(&asking, response.status(), allowance.as_ref(), trace);
            }
            let completion = Completion { trace, started, allowance, crossing };
            seen.edge.finish(&seen.method, seen.route(), completion, &mut response);
            if let Some(rest) = rest {
                rest.discard(limits.linger).await;
            }
            Ok(response)
        };
        Box::pin(trace::in_request(context, serve.instrument(span)))
    }
}

/// How long a small body may take to arrive; in a request's extensions, for the extractors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyRead(pub(crate) Duration);

/// What an answer is completed with.
struct Completion {
    trace: TraceContext,
    started: Instant,
    allowance: Option<Allowance>,
    crossing: Option<Crossing>,
}

/// What the layer remembers of a request while it is served.
struct Seen {
    edge: Arc<Parts>,
    method: Method,
    route: Option<MatchedPath>,
    /// What the client takes, where that is not anything.
    accept: Option<Accept>,
}

impl Seen {
    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }

    /// Who asks, where their token was checked a moment ago.
    fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        self.edge.verifier.as_ref()?.remembered(headers)
    }

    /// What the caller may still ask; nothing where nothing is counted, or nobody is there to count for.
    fn allowance(&self, caller: Option<&Caller>, client: Option<ClientAddress>, now: Instant) -> Option<Allowance> {
        self.edge.limiter.as_ref()?;
        let counting = self.edge.classes.counting(self.route(), &self.method);
        let athlete = caller.filter(|_| !counting.by_address).map(|caller| Asker::Athlete(caller.athlete_id));
        self.edge.allowance(counting.class, athlete.or(client.map(Asker::Address)), now)
    }

    /// Tells the service's record of a refusal.
    fn record(&self, asking: &Asking, status: StatusCode, allowance: Option<&Allowance>, trace: TraceContext) {
        let Some(record) = &self.edge.record else { return };
        if let Some(refused) = asking.refused(status, allowance, self.edge.verifier.as_ref(), &self.method, trace) {
            record(refused);
        }
    }

    /// Why the request is not served at all.
    fn refusal(&self, request: &Request) -> Option<Problem> {
        if uri_bytes(request) > self.edge.settings.limits.uri_bytes {
            return Some(Problem::new(&kinds::URI_TOO_LONG, "path and query are too long"));
        }
        // A command is refused before it is done; what a read answers is seen when it has.
        let is_command = self.route.is_some() && !self.method.is_safe();
        let takes_json = self.accept.as_ref().is_none_or(|accept| accept.allows(JSON));
        (is_command && !takes_json).then(|| Problem::not_acceptable(format!("the answer is {JSON}")))
    }

    /// The answer, or 406 where its form is none the client takes. Problems are sent in their only form.
    fn acceptable(&self, response: Response) -> Response {
        match &self.accept {
            Some(accept) if self.is_read() && !allows(accept, &response) => {
                let form = content_type(&response).unwrap_or(JSON).to_owned();
                Problem::not_acceptable(format!("the answer is {form}")).into_response()
            }
            _ => response,
        }
    }

    /// Turns a panic, a late answer and a foreign error into problems.
    async fn guarded(
        &self,
        answer: impl Future<Output = Result<Response, Infallible>> + Send + 'static,
        body: Option<&Rest>,
    ) -> Response {
        let limits = &self.edge.settings.limits;
        // Only reads may be dropped half-way.
        let outcome = if self.is_read() {
            let caught = AssertUnwindSafe(answer).catch_unwind();
            match tokio::time::timeout(limits.read_handler, caught).await {
                Ok(outcome) => outcome,
                Err(_) => return late(limits.read_handler),
            }
        } else {
            let command = Command::new(answer, body.cloned(), self.edge.tasks.clone());
            match command.within(limits.command_handler).await {
                Some(outcome) => outcome,
                None => return command::unknown().into_response(),
            }
        };
        match outcome {
            Ok(Ok(response)) if is_foreign_error(&response) => as_problem(&response),
            Ok(Ok(response)) => self.acceptable(response),
            Ok(Err(never)) => match never {},
            Err(panic) => Problem::internal(format!("panicked: {}", panic_message(&*panic))).into_response(),
        }
    }

    fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }
}

impl Parts {
    /// Who is at the other end; also left in the request, for its handler. Nobody where it came by no socket.
    fn client_of(&self, request: &mut Request) -> Option<ClientAddress> {
        let peer: Peer = *request.extensions().get()?;
        let client = self.settings.trusted_proxies.client(peer.address(), request.headers());
        request.extensions_mut().insert(client);
        Some(client)
    }

    fn allowance(&self, class: Class, asker: Option<Asker>, now: Instant) -> Option<Allowance> {
        self.limiter.as_ref()?.take(class, asker?, now)
    }

    /// Headers on every answer, one line in the log, one count in the metrics.
    fn finish(&self, method: &Method, route: &str, completion: Completion, response: &mut Response) {
        let elapsed = completion.started.elapsed();
        log(method, route, elapsed, response);
        self.metrics.record(route, method, response.status(), elapsed);
        let headers = response.headers_mut();
        complete(headers, completion.trace, self.settings.limits.hsts);
        if let Some(allowance) = completion.allowance {
            allowance.tell(headers);
        }
        if let Some(crossing) = completion.crossing {
            crossing.tell(headers);
        }
    }
}

/// What every answer carries.
pub(crate) fn complete(headers: &mut HeaderMap, trace: TraceContext, hsts: bool) {
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(value);
    }
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    if hsts {
        headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if let Ok(value) = HeaderValue::try_from(trace.to_traceparent()) {
        headers.insert(TRACEPARENT, value);
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

fn content_type(response: &Response) -> Option<&str> {
    response.headers().get(CONTENT_TYPE)?.to_str().ok()
}

fn allows(accept: &Accept, response: &Response) -> bool {
    !response.status().is_success() || content_type(response).is_none_or(|form| accept.allows(form))
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

/// The first kind with this status.
pub(crate) fn kind_of(status: StatusCode) -> &'static Kind {
    let general = if status.is_server_error() { &kinds::INTERNAL } else { &kinds::BAD_REQUEST };
    CATALOGUE.iter().find(|kind| kind.status == status.as_u16()).unwrap_or(general)
}
