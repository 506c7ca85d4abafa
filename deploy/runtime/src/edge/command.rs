//! A command being done. Once its body has come it runs to its end, whoever stops waiting for it: the client, who hung
//! up, or the edge, which has told the client that the outcome is not known yet.
use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::Response;
use futures::FutureExt;

use crate::linger::Rest;
use crate::problem::Problem;
use crate::shutdown::Tasks;
use crate::telemetry::panic_message;

/// An answer, or the panic that came instead.
pub(super) type Outcome = Result<Result<Response, Infallible>, Box<dyn Any + Send>>;

/// What a handler does; dropping it does not stop it.
pub(super) struct Command {
    work: Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>,
    /// What its handler reads, where there is anything.
    body: Option<Rest>,
    tasks: Tasks,
}

impl Command {
    pub(super) fn new(
        handler: impl Future<Output = Result<Response, Infallible>> + Send + 'static,
        body: Option<Rest>,
        tasks: Tasks,
    ) -> Self {
        Self { work: Some(Box::pin(AssertUnwindSafe(handler).catch_unwind())), body, tasks }
    }

    /// Its outcome, where there is one so soon after the end of its body.
    pub(super) async fn within(mut self, limit: Duration) -> Option<Outcome> {
        let body = self.body.clone();
        let late = async {
            if let Some(body) = body {
                body.ended().await;
            }
            tokio::time::sleep(limit).await;
        };
        tokio::select! {
            biased;
            outcome = &mut self => Some(outcome),
            () = late => None,
        }
    }
}

impl Future for Command {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let polled = work.as_mut().poll(cx);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        // Of whom hangs up half-way through a body nothing was asked yet.
        let is_asked = self.body.as_ref().is_none_or(Rest::has_ended);
        if let Some(work) = self.work.take().filter(|_| is_asked) {
            self.tasks.go_on(async move {
                match work.await {
                    Ok(Ok(response)) => {
                        let status = response.status().as_u16();
                        tracing::info!(status, "a command has ended for which nobody waited any more");
                    }
                    Ok(Err(never)) => match never {},
                    Err(panic) => tracing::error!(panic = panic_message(&*panic), "a command panicked"),
                }
            });
        }
    }
}

/// What is answered in the place of an outcome.
pub(super) fn unknown() -> Problem {
    Problem::timeout(
        "it is not known yet whether this was done; send it again with the same `Idempotency-Key` to find out",
    )
    .retry_after(Duration::from_secs(1))
}
