//! Just so much and one more, and what is not spoken here.
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use futures::stream;

use super::*;
use crate::auth::{JwksSource, Verifier};
use crate::config::Source;
use crate::edge::{EdgeSettings, TLS_IN_FRONT};
use crate::json::Json;
use crate::shutdown::Tasks;

#[tokio::test]
async fn path_and_query_have_8_kib() {
    let server = Running::public(router()).await;
    for (bytes, status) in [(8192, 200), (8193, 414)] {
        let query = "x".repeat(bytes - "/hello?".len());
        let answer = reqwest::get(server.url(&format!("/hello?{query}"))).await.unwrap();
        assert_eq!(answer.status(), status, "{bytes}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_has_16_kib() {
    const MOST: usize = 16 * 1024;
    let server = Running::public(router()).await;
    for (bytes, status) in [(MOST - 1, 200), (MOST, 200), (MOST + 1, 431)] {
        let (before, after) = ("GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: ", "\r\n\r\n");
        let head = [before, &"x".repeat(bytes - before.len() - after.len()), after].concat();
        let answer = said_to(&server, head.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{bytes}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_whose_length_nobody_said_has_64_kib_too() {
    let taking = Router::new().route("/json", post(async |Json(_): Json<Value>| "done"));
    let server = Running::public(taking).await;
    for (bytes, status) in [(65_536, 200), (65_537, 413)] {
        let text = format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - r#"{"a":""}"#.len()));
        let chunks: Vec<_> = text.as_bytes().chunks(1_000).map(|chunk| Ok::<_, io::Error>(chunk.to_vec())).collect();
        let body = reqwest::Body::wrap_stream(stream::iter(chunks));
        assert!(body.as_bytes().is_none(), "it is chunked");
        let request = reqwest::Client::new().post(server.url("/json")).header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{bytes}");
        if status == 413 {
            assert_eq!(problem_of(answer).await["type"], "https://fittrack.dev/problems/payload-too-large");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn browsers_are_told_to_insist_on_tls_where_an_operator_says_it_is_there() {
    for (setting, told) in [("true", Some("max-age=63072000; includeSubDomains")), ("false", None)] {
        let mut source = Source::from_pairs([(TLS_IN_FRONT.name, setting)]);
        let settings = EdgeSettings::read(&mut source);
        let limits = settings.server_limits();
        let verifier = Verifier::new(JwksSource::Url("http://127.0.0.1:1/".into()), "https://fittrack.local", "x");
        let document = utoipa::openapi::OpenApiBuilder::new().build();
        let edge = Edge::new(settings, &document, verifier.unwrap(), Tasks::detached(), None);
        let server = Running::start(public_layers_behind(&edge, router()), limits).await;
        for path in ["/hello", "/nowhere", "/panic"] {
            let answer = reqwest::get(server.url(path)).await.unwrap();
            let header = answer.headers().get(STRICT_TRANSPORT_SECURITY).map(|value| value.to_str().unwrap());
            assert_eq!(header, told, "{path}");
        }
        let answer = said_to(&server, b"no request\r\n\r\n").await;
        let header = answer.lines().find_map(|line| line.strip_prefix("strict-transport-security: "));
        assert_eq!(header, told, "{answer}");
        server.stop().await;
    }
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let server = Running::public(router()).await;
    // Who begins with it is not understood.
    let settings_frame = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings_frame].concat();
    let answer = said_to(&server, &preface).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:?}");
    // Who asks for it is answered as who does not.
    let upgrade = b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings, close\r\nupgrade: h2c\r\n\
                    http2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n";
    let answer = said_to(&server, upgrade).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_panic_is_counted_as_the_500_it_is() {
    use tower::ServiceExt;
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let router = public_layers(Router::new().route("/panic", get(panics).post(panics)));
    for method in ["GET", "POST"] {
        let request = axum::http::Request::builder().method(method).uri("/panic").body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 500);
        let line = format!(r#"fittrack_http_requests_total{{route="/panic",method="{method}",status="500"}} 1"#);
        let page = handle.render();
        assert!(page.contains(&line), "{page}");
    }
}
