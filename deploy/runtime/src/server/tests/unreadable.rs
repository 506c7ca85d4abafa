//! What never becomes a request, and is told so all the same; and what only looks as if hyper had refused it.
use std::fmt::Write;

use axum::http::HeaderMap;
use futures::{StreamExt, stream};

use super::*;
use crate::problem::CATALOGUE;

/// An answer whose body is as long as it says.
struct Answer {
    status_line: String,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let (status_line, fields) = head.split_once("\r\n").unwrap();
        let fields = fields.split("\r\n").map(|field| field.split_once(": ").unwrap());
        let headers: HeaderMap = fields.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        assert_eq!(headers["content-length"], body.len().to_string().as_str(), "{text}");
        Self { status_line: status_line.to_owned(), headers, body: body.to_owned() }
    }

    /// A problem such as every other, and the end of the connection.
    fn assert_problem(&self, status: u16, slug: &str) {
        assert!(self.status_line.starts_with(&format!("HTTP/1.1 {status} ")), "{}", self.status_line);
        for (name, value) in [
            ("content-type", "application/problem+json"),
            ("connection", "close"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(self.headers.get_all(name).iter().collect::<Vec<_>>(), [value], "{name}");
        }
        chrono::DateTime::parse_from_rfc2822(self.headers["date"].to_str().unwrap()).unwrap();
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        let kind = CATALOGUE.iter().find(|kind| kind.slug == slug).unwrap();
        assert_eq!(problem["type"], kind.uri());
        assert_eq!((&problem["title"], &problem["status"]), (&kind.title.into(), &status.into()));
        assert_eq!(problem["instance"], "");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        let trace_id = problem["trace_id"].as_str().unwrap();
        assert_eq!(trace_id.len(), 32);
        assert!(self.headers["traceparent"].to_str().unwrap().contains(trace_id));
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_a_whole_problem() {
    let server = Running::public(router()).await;
    let long = format!("GET /hello HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(17 * 1024));
    let fields = (0..101).fold("GET /hello HTTP/1.1\r\n".to_owned(), |mut head, number| {
        write!(head, "x{number}: x\r\n").unwrap();
        head
    }) + "\r\n";
    for (request, status, slug) in [
        ("nonsense\r\n\r\n", 400, "bad-request"),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\u{7c}\x03\x03 TLS\r\n\r\n", 400, "bad-request"),
        ("GET /hello HTTP/3.0\r\n\r\n", 400, "bad-request"),
        ("GET /he llo HTTP/1.1\r\n\r\n", 400, "bad-request"),
        ("GET /hello HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad-request"),
        ("GET /hello HTTP/1.1\r\nfolded: a\r\n b\r\n\r\n", 400, "bad-request"),
        ("POST /hello HTTP/1.1\r\ncontent-length: many\r\n\r\n", 400, "bad-request"),
        ("POST /hello HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", 400, "bad-request"),
        ("HEAD /hello HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400, "bad-request"),
        (&long, 431, "head-too-large"),
        (&fields, 431, "head-too-large"),
    ] {
        Answer::of(&said_to(&server, request.as_bytes()).await).assert_problem(status, slug);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_was_asked_before_is_answered_before() {
    let server = Running::public(router()).await;
    for keeping in ["GET /hello HTTP/1.1\r\n\r\n", "GET /hello HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"] {
        let answers = said_to(&server, [keeping, keeping, "nonsense\r\n\r\n"].concat().as_bytes()).await;
        let refusal = answers.rfind("HTTP/1.1 400 ").unwrap();
        assert_eq!(answers[..refusal].matches("\r\n\r\nhello").count(), 2, "{answers}");
        assert_eq!(answers[..refusal].matches("HTTP/1.").count(), 2, "{answers}");
        Answer::of(&answers[refusal..]).assert_problem(400, "bad-request");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_sends_on_before_listening_gets_the_answer() {
    let server = Running::public(router()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /hello HTTP/1.1\r\ncontent-length: 8 MiB\r\n\r\n").await.unwrap();
    stream.write_all(&vec![b'x'; 8 << 20]).await.unwrap();
    Answer::of(&read_to_end(&mut stream).await).assert_problem(400, "bad-request");
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn who_never_closes_keeps_no_server_from_stopping() {
    let limits = ServerLimits { drain: Duration::from_millis(50), ..ServerLimits::default() };
    let server = Running::start(public_layers(router()), limits).await;
    let mut stream = server.connect().await;
    stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
    let stopped = std::time::Instant::now();
    server.stop().await;
    assert!(stopped.elapsed() < Duration::from_secs(1), "it waits for {:?}", stopped.elapsed());
}

/// What hyper says to what it cannot read, but for the date.
const REFUSAL: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Without an edge, which would make problems of these: the status that the path names, and nothing else.
async fn bare(request: Request) -> Response {
    StatusCode::from_bytes(&request.uri().path().as_bytes()[1..]).unwrap().into_response()
}

/// A body that reads like a refusal, in one piece; and in two, with and without a length that was said before.
async fn misleading(request: Request) -> Response {
    let pieces = stream::iter(["first", REFUSAL, REFUSAL]).then(async |piece| {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(piece)
    });
    let length = [("content-length", "first".len() + 2 * REFUSAL.len())];
    match request.uri().path() {
        "/whole" => REFUSAL.into_response(),
        "/pieces" => Body::from_stream(pieces).into_response(),
        _ => (length.map(|(name, length)| (name, length.to_string())), Body::from_stream(pieces)).into_response(),
    }
}

#[tokio::test]
async fn an_application_s_own_answers_pass_whatever_they_look_like() {
    let server = Running::start(Router::new().fallback(bare), ServerLimits::default()).await;
    for status in ["200", "204", "304", "400", "404", "414", "431", "500"] {
        for method in ["GET", "HEAD"] {
            let keeping = format!("{method} /{status} HTTP/1.1\r\n\r\n");
            let closing = format!("{method} /{status} HTTP/1.1\r\nconnection: close\r\n\r\n");
            let answers = said_to(&server, [keeping, closing].concat().as_bytes()).await;
            assert_eq!(answers.matches(&format!("HTTP/1.1 {status} ")).count(), 2, "{answers}");
            assert!(answers.ends_with("\r\n\r\n") && !answers.contains("problem"), "{answers}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_reads_like_a_refusal_passes() {
    let server = Running::start(Router::new().fallback(misleading), ServerLimits::default()).await;
    for (path, refusals) in [("/whole", 1), ("/pieces", 2), ("/measured", 2)] {
        for version in ["1.0", "1.1"] {
            let request = format!("GET {path} HTTP/{version}\r\nconnection: close\r\n\r\n");
            let answer = said_to(&server, request.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/{version} 200 OK\r\n")), "{answer}");
            assert_eq!(answer.matches(REFUSAL).count(), refusals, "{path} {version}: {answer}");
            assert!(!answer.contains("problem"), "{answer}");
        }
    }
    server.stop().await;
}
