//! The private port: alive, ready, metrics. Orchestrators and monitoring read it; it never faces the internet.
//! Alive says only that the process answers; ready is the sum of named checks, each kept true by whoever owns the dependency.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::telemetry::Telemetry;

/// The router of the private port: `/livez`, `/readyz`, `/metrics`.
pub fn private_router(readiness: Readiness, telemetry: Telemetry) -> Router {
    Router::new()
        .route("/livez", get(async || text("text/plain; charset=utf-8", "alive\n".to_owned())))
        .route("/readyz", get(async move || readyz(&readiness)))
        .route("/metrics", get(async move || text("text/plain; version=0.0.4; charset=utf-8", telemetry.render())))
}

fn readyz(readiness: &Readiness) -> Response {
    let report = readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], axum::Json(report)).into_response()
}

fn text(content_type: &'static str, body: String) -> Response {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")], body).into_response()
}

/// The named conditions under which the process can serve; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    checks: RwLock<BTreeMap<&'static str, State>>,
    stopping: CancellationToken,
}

#[derive(Debug, Clone)]
struct State {
    ready: bool,
    reason: String,
}

/// What `/readyz` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every check holds and the process is not stopping.
    pub ready: bool,
    /// Each check by name.
    pub checks: Vec<CheckReport>,
}

/// One check in a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Its name, such as `event store`.
    pub name: &'static str,
    /// Whether it holds.
    pub ready: bool,
    /// Why not, where it does not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Readiness {
    /// Ready from the start; every check added must come to hold.
    pub fn new() -> Self {
        Self::default()
    }

    /// Not ready any more from the moment the token is cancelled, so that no new traffic is sent to a process that stops.
    pub fn until(stopping: CancellationToken) -> Self {
        Self { inner: Arc::new(Inner { checks: RwLock::default(), stopping }) }
    }

    /// Adds a named check, which does not hold until it is set.
    pub fn check(&self, name: &'static str) -> Check {
        let check = Check { readiness: self.clone(), name };
        check.put(State { ready: false, reason: "not checked yet".to_owned() });
        check
    }

    /// Whether all is well.
    pub fn is_ready(&self) -> bool {
        self.report().ready
    }

    /// The state of every check.
    pub fn report(&self) -> Report {
        let checks = self.inner.checks.read().unwrap_or_else(PoisonError::into_inner);
        let mut checks: Vec<CheckReport> = checks
            .iter()
            .map(|(name, state)| CheckReport { name, ready: state.ready, reason: state.reason.clone() })
            .collect();
        if self.inner.stopping.is_cancelled() {
            checks.push(CheckReport { name: "running", ready: false, reason: "stopping".to_owned() });
        }
        Report { ready: checks.iter().all(|check| check.ready), checks }
    }
}

/// One named condition, kept true by whoever owns the dependency.
#[derive(Debug, Clone)]
pub struct Check {
    readiness: Readiness,
    name: &'static str,
}

impl Check {
    /// Sets whether it holds; the reason is shown (and logged on a change) where it does not.
    pub fn set(&self, ready: bool, reason: impl Into<String>) {
        let reason = if ready { String::new() } else { reason.into() };
        let was = self.put(State { ready, reason: reason.clone() });
        match (was.is_some_and(|state| state.ready), ready) {
            (false, true) => tracing::info!(check = self.name, "ready"),
            (true, false) => tracing::warn!(check = self.name, reason, "not ready any more"),
            _ => {}
        }
    }

    /// It holds.
    pub fn ready(&self) {
        self.set(true, "");
    }

    /// It does not hold, and why.
    pub fn unready(&self, reason: impl Into<String>) {
        self.set(false, reason);
    }

    /// Tries until it works once; it holds from then on. `None` when told to stop first.
    pub async fn once<T, E, F>(
        &self,
        mut backoff: Backoff,
        stop: &CancellationToken,
        attempt: impl Fn() -> F,
    ) -> Option<T>
    where
        E: Display,
        F: Future<Output = Result<T, E>>,
    {
        loop {
            match stop.run_until_cancelled(attempt()).await? {
                Ok(found) => {
                    self.ready();
                    return Some(found);
                }
                Err(reason) => self.unready(reason.to_string()),
            }
            if !backoff.wait(stop).await {
                return None;
            }
        }
    }

    /// Whether it holds.
    pub fn is_ready(&self) -> bool {
        let checks = self.readiness.inner.checks.read().unwrap_or_else(PoisonError::into_inner);
        checks.get(self.name).is_some_and(|state| state.ready)
    }

    /// Why it does not hold; empty where it does.
    pub fn reason(&self) -> String {
        let checks = self.readiness.inner.checks.read().unwrap_or_else(PoisonError::into_inner);
        checks.get(self.name).map(|state| state.reason.clone()).unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn put(&self, state: State) -> Option<State> {
        let mut checks = self.readiness.inner.checks.write().unwrap_or_else(PoisonError::into_inner);
        checks.insert(self.name, state)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn get_path(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 65_536).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_is_the_sum_of_the_checks_and_alive_is_not() {
        let readiness = Readiness::new();
        let router = private_router(readiness.clone(), Telemetry::detached());
        let (store, kafka) = (readiness.check("event store"), readiness.check("kafka"));
        store.ready();
        kafka.unready("no broker answers");
        let (status, body) = get_path(&router, "/readyz").await;
        assert_eq!(status, 503);
        let expected = serde_json::json!({"ready": false, "checks": [
            {"name": "event store", "ready": true},
            {"name": "kafka", "ready": false, "reason": "no broker answers"},
        ]});
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), expected);
        assert_eq!(get_path(&router, "/livez").await.0, 200);
        kafka.ready();
        assert_eq!(get_path(&router, "/readyz").await.0, 200);
        assert_eq!(get_path(&router, "/metrics").await.0, 200);
    }

    #[tokio::test]
    async fn what_must_work_once_is_tried_until_it_does_or_the_process_stops() {
        let (readiness, stop) = (Readiness::new(), CancellationToken::new());
        let check = readiness.check("key");
        let tries = std::sync::atomic::AtomicU8::new(0);
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(1));
        let third = async || match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            2 => Ok("found"),
            _ => Err("not there yet"),
        };
        assert_eq!(check.once(backoff.clone(), &stop, third).await, Some("found"));
        assert!(check.is_ready());
        let check = readiness.check("another key");
        let never = async || {
            stop.cancel();
            Err::<(), _>("never there")
        };
        assert_eq!(check.once(backoff, &stop, never).await, None);
        assert!(!check.is_ready());
    }

    #[test]
    fn a_stopping_process_is_not_ready() {
        let token = CancellationToken::new();
        let readiness = Readiness::until(token.clone());
        assert!(readiness.is_ready());
        token.cancel();
        assert!(!readiness.is_ready());
    }
}
