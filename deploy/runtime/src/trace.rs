//! W3C trace context: the identifier that follows a command from the first HTTP request through Kafka to the projector's log lines.
//! The edge layer (see `server`) makes or continues one for each request and keeps it task-local, where problems and log lines find it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::http::Uri;
use rand::Rng;

/// A trace and the place in it, as `traceparent` carries them (<https://www.w3.org/TR/trace-context/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl TraceContext {
    /// A new trace.
    pub fn generate() -> Self {
        let mut rng = rand::rng();
        // Zero means "invalid" in the standard.
        Self { trace: rng.random_range(1..=u128::MAX), span: rng.random_range(1..=u64::MAX), sampled: true }
    }

    /// Reads a `traceparent` header; nothing for anything the standard calls invalid.
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let bytes = header.as_bytes();
        let well_formed = bytes.len() >= 55
            && [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'))
            // Version 00 ends here; later versions may go on after another dash.
            && (bytes.len() == 55 || (!header.starts_with("00") && bytes.get(55) == Some(&b'-')));
        if !well_formed || hex(header.get(0..2)?)? == 0xff {
            return None;
        }
        let trace = hex(header.get(3..35)?)?;
        let span = u64::try_from(hex(header.get(36..52)?)?).ok()?;
        let flags = hex(header.get(53..55)?)?;
        (trace != 0 && span != 0).then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    /// The header's form: `00-<trace>-<span>-<flags>`, always 55 characters.
    pub fn to_traceparent(self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }

    /// The same trace, a new place in it.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: rand::rng().random_range(1..=u64::MAX), ..self }
    }

    /// The trace id as 32 lower-case hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The span id as 16 lower-case hexadecimal digits.
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span)
    }

    /// A log span carrying the trace id, for work that is no HTTP request (a message, a batch).
    pub fn span(self, work: &'static str) -> tracing::Span {
        tracing::info_span!("work", work, trace_id = %self)
    }
}

/// Shows the trace id.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.trace)
    }
}

/// Strictly lower-case hexadecimal, as the standard demands.
fn hex(digits: &str) -> Option<u128> {
    let lower_hex = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if lower_hex { u128::from_str_radix(digits, 16).ok() } else { None }
}

/// What a request's handlers may know about it wherever they are.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    pub(crate) trace: TraceContext,
    pub(crate) instance: Instance,
}

/// The request's path, shown as a problem's `instance`.
#[derive(Debug, Clone)]
pub(crate) enum Instance {
    /// Cheap to keep: a URI is reference-counted bytes.
    Uri(Uri),
    Path(Arc<str>),
}

impl Instance {
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Uri(uri) => uri.path(),
            Self::Path(path) => path,
        }
    }
}

tokio::task_local! {
    static REQUEST: RequestContext;
}

/// The trace of the request being served by this task, where there is one.
pub fn current() -> Option<TraceContext> {
    REQUEST.try_with(|request| request.trace).ok()
}

/// Runs `work` as part of the trace, with `path` as the instance of problems it may answer.
pub async fn scope<T>(trace: TraceContext, path: &str, work: impl Future<Output = T>) -> T {
    in_request(RequestContext { trace, instance: Instance::Path(path.into()) }, work).await
}

pub(crate) fn current_request() -> Option<RequestContext> {
    REQUEST.try_with(Clone::clone).ok()
}

pub(crate) fn in_request<F: Future>(request: RequestContext, work: F) -> impl Future<Output = F::Output> {
    REQUEST.scope(request, work)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_survives_the_round_trip() {
        let trace = TraceContext::from_traceparent(EXAMPLE).unwrap();
        assert_eq!(trace.to_traceparent(), EXAMPLE);
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.span_id(), "00f067aa0ba902b7");
    }

    #[test]
    fn a_child_stays_in_its_trace() {
        let parent = TraceContext::generate();
        let child = parent.child();
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_ne!(child.span_id(), parent.span_id());
        assert_eq!(TraceContext::from_traceparent(&child.to_traceparent()), Some(child));
    }

    #[test]
    fn what_the_standard_calls_invalid_is_refused() {
        for header in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-0f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::from_traceparent(header), None, "{header}");
        }
    }

    #[test]
    fn a_later_version_may_carry_more() {
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert_eq!(TraceContext::from_traceparent(later).unwrap().to_traceparent(), EXAMPLE);
    }

    #[tokio::test]
    async fn the_trace_is_known_inside_its_scope_and_nowhere_else() {
        let trace = TraceContext::generate();
        assert_eq!(scope(trace, "/v1/me", async { current() }).await, Some(trace));
        assert_eq!(current(), None);
    }
}
