use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

mod boundaries;
mod commands;
mod connections;
mod origins;
mod quotas;
mod unreadable;

const PATIENCE: Duration = Duration::from_secs(120);

struct Running {
    address: SocketAddr,
    token: CancellationToken,
    ended: tokio::task::JoinHandle<io::Result<()>>,
}

impl Running {
    async fn start(router: Router, limits: ServerLimits) -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let token = CancellationToken::new();
        let ended = tokio::spawn(serve(listener, router, limits, token.clone()));
        Self { address, token, ended }
    }

    async fn public(router: Router) -> Self {
        Self::start(public_layers(router), ServerLimits::default()).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) {
        self.token.cancel();
        tokio::time::timeout(PATIENCE, self.ended).await.unwrap().unwrap().unwrap();
    }
}

fn router() -> Router {
    Router::new()
        .route("/hello", get(async || "hello").post(async |body: Bytes| body.len().to_string()))
        .route("/big", post(async |body: Bytes| body.len().to_string()).layer(DefaultBodyLimit::max(1 << 20)))
        .route("/panic", get(panics))
        .route("/html", get(async || ([("content-security-policy", "default-src 'self'")], "<p>")))
        .route("/typed", get(async |_: axum::extract::Path<u32>| ""))
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

async fn problem_of(response: reqwest::Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    response.json().await.unwrap()
}

/// Reads until the server closes, or fails the test.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is a close too.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server never closed");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What comes back to these bytes until the server closes.
async fn said_to(server: &Running, request: &[u8]) -> String {
    let mut stream = server.connect().await;
    // The server may have heard enough before the end.
    let _ = stream.write_all(request).await;
    read_to_end(&mut stream).await
}

#[tokio::test]
async fn every_answer_has_the_security_headers_and_continues_the_trace() {
    let server = Running::public(router()).await;
    for path in ["/hello", "/nowhere", "/panic"] {
        let response = reqwest::Client::new()
            .get(server.url(path))
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .send()
            .await
            .unwrap();
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
        assert!(!headers.contains_key("server") && !headers.contains_key("strict-transport-security"));
        assert_eq!(headers["cache-control"], "no-store", "nobody said it may be kept: {path}");
        let traceparent = headers["traceparent"].to_str().unwrap();
        assert!(traceparent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{traceparent}");
        assert!(!traceparent.contains("00f067aa0ba902b7"));
    }
    let own = reqwest::get(server.url("/html")).await.unwrap();
    assert_eq!(own.headers()["content-security-policy"], "default-src 'self'");
    server.stop().await;
}

#[tokio::test]
async fn errors_of_the_router_and_of_libraries_are_problems() {
    let server = Running::public(router()).await;
    let client = reqwest::Client::new();
    let unknown = client.get(server.url("/nowhere")).send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    let problem = problem_of(unknown).await;
    assert_eq!(problem["instance"], "/nowhere");
    assert_eq!(problem["trace_id"].as_str().unwrap().len(), 32);

    let method = client.delete(server.url("/hello")).send().await.unwrap();
    assert_eq!(method.status(), 405);
    assert_eq!(method.headers()["allow"], "GET,HEAD,POST");
    problem_of(method).await;

    let options = client.request(Method::OPTIONS, server.url("/hello")).send().await.unwrap();
    assert_eq!((options.status().as_u16(), options.headers()["allow"].to_str().unwrap()), (204, "GET,HEAD,POST"));

    let head = client.head(server.url("/hello")).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()), (200, "5"));

    // axum answers this one itself, in plain text.
    let foreign = client.get(server.url("/typed")).send().await.unwrap();
    assert_eq!(foreign.status(), 500);
    problem_of(foreign).await;

    let long = client.get(server.url(&format!("/hello?{}", "x".repeat(8200)))).send().await.unwrap();
    assert_eq!(long.status(), 414);
    problem_of(long).await;
    server.stop().await;
}

#[tokio::test]
async fn a_form_the_client_does_not_take_is_406_and_a_command_is_not_done_for_it() {
    static DONE: AtomicBool = AtomicBool::new(false);
    let work = post(async || {
        DONE.store(true, Ordering::Release);
        "done"
    });
    let server = Running::public(router().route("/work", work)).await;
    let client = reqwest::Client::new();
    let ask = async |method: Method, path: &str, accept: &str| {
        let response = client.request(method, server.url(path)).header("accept", accept).send().await.unwrap();
        response.status().as_u16()
    };
    // `/hello` is plain text.
    for (accept, status) in
        [("text/*", 200), ("image/png, */*;q=0.1", 200), ("application/json", 406), ("text/html", 406)]
    {
        assert_eq!(ask(Method::GET, "/hello", accept).await, status, "{accept}");
    }
    assert_eq!(ask(Method::GET, "/nowhere", "text/html").await, 404, "a problem has one form");
    assert_eq!(ask(Method::POST, "/work", "text/html").await, 406);
    assert!(!DONE.load(Ordering::Acquire));
    assert_eq!(ask(Method::POST, "/work", "application/*").await, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_handler_that_panics_answers_500_and_the_next_request_is_served() {
    let server = Running::public(router()).await;
    let response = reqwest::get(server.url("/panic")).await.unwrap();
    assert_eq!(response.status(), 500);
    assert!(!problem_of(response).await.to_string().contains("on purpose"));
    assert_eq!(reqwest::get(server.url("/hello")).await.unwrap().text().await.unwrap(), "hello");
    server.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_unless_its_route_allows_more() {
    let server = Running::public(router()).await;
    let client = reqwest::Client::new();
    for (path, bytes, status) in
        [("/hello", 65_536, 200), ("/hello", 65_537, 413), ("/big", 65_537, 200), ("/big", 1_048_577, 413)]
    {
        let response = client.post(server.url(path)).body("x".repeat(bytes)).send().await.unwrap();
        assert_eq!(response.status(), status, "{path} {bytes}");
        if status == 413 {
            problem_of(response).await;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_read_that_takes_too_long_is_504_and_a_command_is_left_alone() {
    let slow = Router::new().route(
        "/slow",
        get(std::future::pending::<&'static str>).post(async || {
            tokio::time::sleep(Duration::from_millis(50)).await;
            "done"
        }),
    );
    let edge = Edge::unlimited(PublicLimits { read_handler: Duration::from_millis(5), ..PublicLimits::default() });
    let server = Running::start(public_layers_behind(&edge, slow), ServerLimits::default()).await;
    let client = reqwest::Client::new();
    let read = client.get(server.url("/slow")).send().await.unwrap();
    assert_eq!(read.status(), 504);
    problem_of(read).await;
    assert_eq!(client.post(server.url("/slow")).send().await.unwrap().text().await.unwrap(), "done");
    server.stop().await;
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_at_once() {
    let limits = ServerLimits { max_connections: 1, ..ServerLimits::default() };
    let server = Running::start(public_layers(router()), limits).await;
    let mut first = server.connect().await;
    first.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = server.connect().await;
    assert_eq!(read_to_end(&mut second).await, "");
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_drips_is_closed_and_so_is_an_idle_connection() {
    let limits = ServerLimits {
        header_read: Duration::from_millis(100),
        idle: Duration::from_millis(100),
        ..ServerLimits::default()
    };
    let server = Running::start(public_layers(router()), limits).await;
    let mut dripping = server.connect().await;
    dripping.write_all(b"GET /hello HTTP/1.1\r\nx: ").await.unwrap();
    let mut idle = server.connect().await;
    idle.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut idle).await.ends_with("hello"));
    assert_eq!(read_to_end(&mut dripping).await, "");
    server.stop().await;
}

#[tokio::test]
async fn a_stopping_server_ends_the_request_under_way_and_refuses_new_ones() {
    static ENTERED: AtomicBool = AtomicBool::new(false);
    let (release, wait) = tokio::sync::watch::channel(false);
    let held = Router::new().route(
        "/held",
        post(async move || {
            ENTERED.store(true, Ordering::Release);
            wait.clone().wait_for(|released| *released).await.unwrap();
            "done"
        }),
    );
    let server = Running::public(held).await;
    let _unused = server.connect().await;
    let request = tokio::spawn(reqwest::Client::new().post(server.url("/held")).send());
    tokio::time::timeout(PATIENCE, async {
        while !ENTERED.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    server.token.cancel();
    tokio::time::timeout(PATIENCE, async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    release.send(true).unwrap();
    assert_eq!(request.await.unwrap().unwrap().text().await.unwrap(), "done");
    server.stop().await;
}

#[tokio::test]
async fn what_never_ends_is_closed_when_draining_has_taken_long_enough() {
    let endless = Router::new().route("/endless", get(std::future::pending::<&'static str>));
    let limits = ServerLimits { drain: Duration::from_millis(50), ..ServerLimits::default() };
    let server = Running::start(public_layers(endless), limits).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.stop().await;
    read_to_end(&mut stream).await;
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_status() {
    use tower::ServiceExt;
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let router = public_layers(Router::new().route("/id/{id}", get(async || "")));
    for path in ["/id/1", "/id/2", "/invented"] {
        let request = axum::http::Request::get(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap();
    }
    let page = handle.render();
    for (route, status, count) in [("/id/{id}", 200, 2), ("unmatched", 404, 1)] {
        let line = format!(r#"fittrack_http_requests_total{{route="{route}",method="GET",status="{status}"}} {count}"#);
        assert!(page.contains(&line), "{page}");
    }
    assert!(page.contains(r#"fittrack_http_request_seconds_count{route="/id/{id}",method="GET"} 2"#), "{page}");
}

#[tokio::test]
async fn who_sends_a_whole_unwanted_body_before_listening_gets_its_answer() {
    const BODY: usize = 8 << 20;
    let server = Running::public(router()).await;
    // Refused by its length, by its path, and by its method.
    for (request, status) in [("POST /hello", 413), ("POST /nowhere", 404), ("POST /panic", 405)] {
        let mut stream = server.connect().await;
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {BODY}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; BODY]).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_asks_before_sending_a_body_is_refused_without_it() {
    let server = Running::public(router()).await;
    let mut stream = server.connect().await;
    let head = "POST /nowhere HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn an_unwanted_body_that_never_ends_or_never_comes_is_not_waited_for() {
    let server = Running::public(router()).await;
    // Promised and never sent.
    let mut silent = server.connect().await;
    let head = "POST /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000\r\n\r\n";
    silent.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut silent).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    // Without an end: the server stops listening at its bound.
    let mut endless = server.connect().await;
    let head = "POST /nowhere HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    endless.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
    let mut sent = 0_usize;
    while endless.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 256 << 20, "the server reads on and on");
    }
    server.stop().await;
}
