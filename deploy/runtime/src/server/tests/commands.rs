//! Commands for which nobody waits any more: the client hung up, or was told that the outcome is not known yet.
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Mutex;

use futures::{StreamExt, stream};
use tokio::sync::{oneshot, watch};
use tower::ServiceExt;

use super::*;
use crate::auth::{JwksSource, Verifier};
use crate::edge::EdgeSettings;
use crate::shutdown::{Shutdown, Tasks};
use crate::trace;

/// A command that is done when it is let go.
struct Held {
    router: Router,
    entered: watch::Receiver<bool>,
    let_go: watch::Sender<bool>,
    /// The trace it ended in; an error where it was dropped half-way.
    ended: oneshot::Receiver<String>,
}

impl Held {
    fn new(tasks: Tasks) -> Self {
        let (enter, entered) = watch::channel(false);
        let (let_go, released) = watch::channel(false);
        let (end, ended) = oneshot::channel();
        let end = Arc::new(Mutex::new(Some(end)));
        let handler = async move |body: Body| {
            let end = end.lock().unwrap().take().unwrap();
            enter.send_replace(true);
            axum::body::to_bytes(body, usize::MAX).await.unwrap();
            released.clone().wait_for(|released| *released).await.unwrap();
            end.send(trace::current().unwrap().trace_id()).unwrap();
        };
        let nobody = JwksSource::Url("http://127.0.0.1:1/".into());
        let verifier = Verifier::new(nobody, "https://fittrack.local", "fittrack").unwrap();
        let document = utoipa::openapi::OpenApiBuilder::new().build();
        let edge = Edge::new(EdgeSettings::default(), &document, verifier, tasks, None);
        let router = public_layers_behind(&edge, Router::new().route("/work", post(handler)));
        Self { router, entered, let_go, ended }
    }
}

fn request(body: Body) -> Request {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    Request::post("/work").header("traceparent", traceparent).body(body).unwrap()
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(start_paused = true)]
async fn a_command_that_takes_too_long_is_504_and_runs_to_its_end() {
    let held = Held::new(Tasks::detached());
    let late = held.router.oneshot(request(Body::from("all of it"))).await.unwrap();
    assert_eq!((late.status().as_u16(), &late.headers()["retry-after"]), (504, &"1".parse().unwrap()));
    let problem = axum::body::to_bytes(late.into_body(), 65_536).await.unwrap();
    let problem: Value = serde_json::from_slice(&problem).unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("`Idempotency-Key`"), "{problem}");
    held.let_go.send_replace(true);
    assert_eq!(held.ended.await.unwrap(), TRACE);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_command_is_counted_from_the_end_of_its_body() {
    let long = || {
        let pieces = stream::iter(0..600).then(async |_| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>("piece")
        });
        request(Body::from_stream(pieces))
    };
    let in_time = Held::new(Tasks::detached());
    in_time.let_go.send_replace(true);
    assert_eq!(in_time.router.oneshot(long()).await.unwrap().status(), 200);
    let began = tokio::time::Instant::now();
    let late = Held::new(Tasks::detached());
    assert_eq!(late.router.clone().oneshot(long()).await.unwrap().status(), 504);
    assert_eq!(began.elapsed().as_secs(), 610);
}

#[tokio::test]
async fn a_command_whose_client_hangs_up_runs_to_its_end_and_the_process_waits_for_it() {
    let life = Shutdown::without_signals();
    let mut held = Held::new(life.tasks());
    let server = Running::start(held.router, ServerLimits::default()).await;
    let mut stream = server.connect().await;
    let request = format!("POST /work HTTP/1.1\r\nhost: x\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n");
    stream.write_all(format!("{request}content-length: 3\r\n\r\nall").as_bytes()).await.unwrap();
    held.entered.wait_for(|entered| *entered).await.unwrap();
    drop(stream);
    // Every connection has ended with this.
    server.stop().await;
    life.stop();
    let process = tokio::spawn(life.run_until_done());
    tokio::task::yield_now().await;
    assert!(!process.is_finished());
    held.let_go.send_replace(true);
    assert_eq!(held.ended.await.unwrap(), TRACE);
    assert_eq!(process.await.unwrap(), ExitCode::SUCCESS);
}

#[tokio::test]
async fn of_a_client_who_hangs_up_before_its_body_has_come_nothing_is_done() {
    let mut held = Held::new(Tasks::detached());
    let half = stream::iter([Ok::<_, Infallible>("half")]).chain(stream::pending());
    let mut asked = Box::pin(held.router.oneshot(request(Body::from_stream(half))));
    assert!(futures::poll!(asked.as_mut()).is_pending());
    assert!(*held.entered.borrow_and_update());
    drop(asked);
    assert!(held.ended.await.is_err(), "it goes on");
}
