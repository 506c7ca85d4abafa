//! How a process ends: one object that owns the signals, the tokens, the running tasks, the deadline and the exit code.
//! First what takes new work stops and drains (servers, commands under way), then what served it (append lanes, the private port).

use std::error::Error;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::problem::Problem;
use crate::telemetry::panic_message;
use crate::trace;

/// From the signal to the end of the process.
const DEADLINE: Duration = Duration::from_secs(10);
/// Of those, what phase one may take before phase two is told to stop as well.
const FRONT_DEADLINE: Duration = Duration::from_secs(8);
/// What a second signal or a passed deadline exits with.
const ABORTED: i32 = 1;

/// The life of the process; clones share it.
#[derive(Clone)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

struct Inner {
    front: Phase,
    background: Phase,
    failed: AtomicBool,
    signals: Mutex<Option<(Signal, Signal)>>,
    running: Mutex<Vec<&'static str>>,
}

#[derive(Default)]
struct Phase {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Takes over SIGTERM and SIGINT; call inside the runtime, once.
    pub fn new() -> io::Result<Self> {
        let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self::with_signals(Some(signals)))
    }

    /// A life without signals, for tests: it ends by [`Shutdown::stop`] or a failed task.
    pub fn without_signals() -> Self {
        Self::with_signals(None)
    }

    fn with_signals(signals: Option<(Signal, Signal)>) -> Self {
        let inner = Inner {
            front: Phase::default(),
            background: Phase::default(),
            failed: AtomicBool::new(false),
            signals: Mutex::new(signals),
            running: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Cancelled at the signal: stop taking new work.
    pub fn token(&self) -> CancellationToken {
        self.inner.front.token.clone()
    }

    /// Cancelled when everything under [`Shutdown::spawn`] and [`Shutdown::tasks`] has ended (or eight seconds have passed).
    pub fn background_token(&self) -> CancellationToken {
        self.inner.background.token.clone()
    }

    /// Runs a part that takes new work (a server, a consumer); its error or panic ends the process, named in the log.
    pub fn spawn<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.spawn_in(&self.inner.front, name, part);
    }

    /// Runs a part that others still need while they drain (an append lane); like [`Shutdown::spawn`] otherwise.
    pub fn spawn_background<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.spawn_in(&self.inner.background, name, part);
    }

    /// For work that must run to its end whoever waits for it.
    pub fn tasks(&self) -> Tasks {
        Tasks { tracker: self.inner.front.tasks.clone() }
    }

    /// Begins the end, as a SIGTERM does.
    pub fn stop(&self) {
        self.inner.front.token.cancel();
    }

    /// Waits for a signal or a failure, then for everything to end: 0 after a signal, 1 after a failure.
    /// A second signal or the deadline of ten seconds ends the process at once with 1.
    pub async fn run_until_done(self) -> ExitCode {
        let signals = lock(&self.inner.signals).take();
        let token = self.token();
        match signals {
            None => token.cancelled().await,
            Some((mut terminate, mut interrupt)) => {
                tokio::select! {
                    _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                    _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
                    () = token.cancelled() => {}
                }
                exit_on_second_signal(terminate, interrupt);
            }
        }
        token.cancel();
        if tokio::time::timeout(DEADLINE, self.drain()).await.is_err() {
            let running = lock(&self.inner.running).join(", ");
            tracing::error!(running, "not everything ended within {} s: exiting", DEADLINE.as_secs());
            exit_at_once();
        }
        if self.inner.failed.load(Ordering::Acquire) {
            return ExitCode::FAILURE;
        }
        tracing::info!("stopped");
        ExitCode::SUCCESS
    }

    async fn drain(&self) {
        let Inner { front, background, .. } = &*self.inner;
        front.tasks.close();
        if tokio::time::timeout(FRONT_DEADLINE, front.tasks.wait()).await.is_err() {
            tracing::warn!(
                running = lock(&self.inner.running).join(", "),
                "still draining: stopping the background too"
            );
        }
        background.token.cancel();
        background.tasks.close();
        background.tasks.wait().await;
        front.tasks.wait().await;
    }

    fn spawn_in<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        phase: &Phase,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let life = self.clone();
        lock(&self.inner.running).push(name);
        phase.tasks.spawn(async move {
            match AssertUnwindSafe(part).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => life.fail(name, &chain(&*error.into())),
                Err(panic) => life.fail(name, &format!("panicked: {}", panic_message(&*panic))),
            }
            let mut running = lock(&life.inner.running);
            if let Some(at) = running.iter().position(|other| *other == name) {
                running.swap_remove(at);
            }
        });
    }

    fn fail(&self, name: &'static str, error: &str) {
        tracing::error!(part = name, error, "a part of the process failed: stopping");
        self.inner.failed.store(true, Ordering::Release);
        self.stop();
    }
}

/// Runs work that must not stop when its client does; the end of the process waits for it.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
}

impl Tasks {
    /// Tasks nobody waits for: in tests, and where there is nothing to wait for.
    pub fn detached() -> Self {
        Self { tracker: TaskTracker::new() }
    }

    /// Runs `work` in a task of its own (axum drops a handler when its client hangs up), inside the request's trace.
    /// A panic in it becomes an internal problem for the caller.
    pub async fn run_to_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        let handle = self.begin(work, &Handle::current());
        handle.await.map_err(|error| Problem::internal(format!("a task did not end: {error}")))
    }

    /// Goes on with `work` that nobody waits for any more, as [`Tasks::run_to_end`] does.
    pub(crate) fn go_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        // Outside a runtime the process is at its end.
        if let Ok(runtime) = Handle::try_current() {
            drop(self.begin(work, &runtime));
        }
    }

    fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        runtime: &Handle,
    ) -> JoinHandle<T> {
        let work = work.in_current_span();
        match trace::current_request() {
            Some(request) => self.tracker.spawn_on(trace::in_request(request, work), runtime),
            None => self.tracker.spawn_on(work, runtime),
        }
    }
}

fn exit_on_second_signal(mut terminate: Signal, mut interrupt: Signal) {
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("second signal: exiting at once");
        exit_at_once();
    });
}

/// Returning would wait for blocking threads without end.
fn exit_at_once() -> ! {
    std::process::exit(ABORTED)
}

/// The error and its causes on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Many errors already show their source.
        if !text.ends_with(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn a_stop_lets_the_front_end_before_the_background() {
        let life = Shutdown::without_signals();
        let order = Arc::new(Mutex::new(Vec::new()));
        let (front, background) = (Arc::clone(&order), Arc::clone(&order));
        let (stop, late) = (life.token(), life.background_token());
        life.spawn_background("lane", async move {
            late.cancelled().await;
            background.lock().unwrap().push("background");
            Ok::<(), Infallible>(())
        });
        life.spawn("server", async move {
            stop.cancelled().await;
            tokio::task::yield_now().await;
            front.lock().unwrap().push("front");
            Ok::<(), Infallible>(())
        });
        life.stop();
        assert_eq!(life.run_until_done().await, ExitCode::SUCCESS);
        assert_eq!(*order.lock().unwrap(), ["front", "background"]);
    }

    #[tokio::test]
    async fn a_part_that_fails_or_panics_ends_the_process_with_a_failure() {
        for panics in [false, true] {
            let life = Shutdown::without_signals();
            life.spawn("part", async move {
                assert!(!panics, "on purpose");
                Err(io::Error::other("broken"))
            });
            assert_eq!(life.run_until_done().await, ExitCode::FAILURE);
        }
    }

    #[tokio::test]
    async fn work_that_must_end_is_waited_for_even_if_its_caller_has_gone() {
        let life = Shutdown::without_signals();
        let (tell, wait) = tokio::sync::oneshot::channel::<()>();
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        let tasks = life.tasks();
        let call = tasks.run_to_end(async move {
            wait.await.ok();
            flag.store(true, Ordering::Release);
        });
        // The caller polls once and hangs up.
        let mut call = Box::pin(call);
        assert!(futures::poll!(call.as_mut()).is_pending());
        drop(call);
        life.stop();
        tell.send(()).unwrap();
        assert_eq!(life.run_until_done().await, ExitCode::SUCCESS);
        assert!(done.load(Ordering::Acquire));
    }

    #[tokio::test]
    async fn a_panic_in_work_that_must_end_is_an_internal_problem() {
        let outcome = Tasks::detached().run_to_end(async { panic!("on purpose") }).await;
        let problem = outcome.unwrap_err();
        assert_eq!(problem.status(), axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn the_chain_of_causes_is_shown_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        assert_eq!(chain(&Outer(io::Error::other("inner"))), "outer: inner");
    }
}
