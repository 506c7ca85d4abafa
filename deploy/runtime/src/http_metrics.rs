//! Counts and durations of requests by route, method and status, with the handles kept so that a cached answer costs no label allocation.
//! The edge layer reports every response here; the number of series is bounded by routes, methods and statuses.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};

#[derive(Default)]
pub(crate) struct HttpMetrics {
    series: RwLock<HashMap<Answer, ByRoute>>,
}

/// Method and status.
type Answer = (&'static str, u16);
/// Looked up by a borrowed route, so that a known one allocates nothing.
type ByRoute = HashMap<Box<str>, Series>;

#[derive(Clone)]
struct Series {
    requests: Counter,
    seconds: Histogram,
}

impl HttpMetrics {
    pub(crate) fn record(&self, route: &str, method: &Method, status: StatusCode, elapsed: Duration) {
        let key = (method_label(method), status.as_u16());
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(&key).and_then(|by_route| by_route.get(route)) {
            series.add(elapsed);
            return;
        }
        drop(known);
        let series = Series::new(route, key.0, status);
        series.add(elapsed);
        let mut known = self.series.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(key).or_default().insert(route.into(), series);
    }
}

impl Series {
    fn new(route: &str, method: &'static str, status: StatusCode) -> Self {
        let route = route.to_owned();
        Self {
            requests: counter!(
                "fittrack_http_requests_total",
                "route" => route.clone(), "method" => method, "status" => status.as_str().to_owned()
            ),
            seconds: histogram!("fittrack_http_request_seconds", "route" => route, "method" => method),
        }
    }

    fn add(&self, elapsed: Duration) {
        self.requests.increment(1);
        self.seconds.record(elapsed);
    }
}

/// A client can invent methods; the label's values stay few.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
