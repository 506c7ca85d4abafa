//! Pages of other origins: those on the list may ask and read, nobody else may, and nobody may with cookies.
use super::*;
use crate::edge::EdgeSettings;
use crate::shutdown::Tasks;

const APP: &str = "https://app.example.org";

async fn server(origins: &str) -> Running {
    let settings = EdgeSettings { cors_origins: origins.parse().unwrap(), ..EdgeSettings::default() };
    let verifier = crate::auth::Verifier::new(
        crate::auth::JwksSource::Url("http://127.0.0.1:1/".into()),
        "https://fittrack.local",
        "fittrack",
    );
    let edge = Edge::new(
        settings,
        &utoipa::openapi::OpenApiBuilder::new().build(),
        verifier.unwrap(),
        Tasks::detached(),
        None,
    );
    Running::start(public_layers_behind(&edge, router()), ServerLimits::default()).await
}

async fn ask(server: &Running, method: Method, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let mut request = reqwest::Client::new().request(method, server.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

/// What an answer says to other origins.
fn said(response: &reqwest::Response) -> Vec<&str> {
    let names = response.headers().keys().map(axum::http::HeaderName::as_str);
    let mut said: Vec<&str> = names.filter(|name| name.starts_with("access-control-")).collect();
    said.sort_unstable();
    said
}

#[tokio::test]
async fn a_preflight_of_a_listed_origin_learns_the_methods_and_headers() {
    let server = server("https://app.example.org,http://localhost:5173").await;
    let preflight = |origin: &'static str| [("origin", origin), ("access-control-request-method", "POST")];
    let answer = ask(&server, Method::OPTIONS, "/hello", &preflight(APP)).await;
    assert_eq!(answer.status(), 204);
    let headers = answer.headers();
    assert_eq!(headers["access-control-allow-origin"], APP);
    assert_eq!(headers["access-control-allow-methods"], "GET,HEAD,POST,PUT,PATCH,DELETE");
    assert!(headers["access-control-allow-headers"].to_str().unwrap().contains("idempotency-key"));
    assert_eq!(headers["access-control-max-age"], "600");
    assert_eq!(headers["vary"], "origin");
    for stranger in ["https://evil.example", "https://app.example.org.evil.example", "http://app.example.org", "null"] {
        let answer = ask(&server, Method::OPTIONS, "/hello", &preflight(stranger)).await;
        assert_eq!((answer.status().as_u16(), said(&answer)), (204, vec![]), "{stranger}");
        assert_eq!(answer.headers()["vary"], "origin");
    }
    server.stop().await;
}

#[tokio::test]
async fn answers_and_problems_can_be_read_by_listed_origins_alone() {
    let server = server(APP).await;
    for (path, status) in [("/hello", 200), ("/nowhere", 404), ("/panic", 500)] {
        let answer = ask(&server, Method::GET, path, &[("origin", APP)]).await;
        assert_eq!(answer.status(), status);
        // Never with credentials: there are none but the token a page sends itself.
        assert_eq!(said(&answer), ["access-control-allow-origin", "access-control-expose-headers"], "{path}");
        assert_eq!(answer.headers()["access-control-allow-origin"], APP);
        let stranger = ask(&server, Method::GET, path, &[("origin", "https://evil.example")]).await;
        assert_eq!((stranger.status().as_u16(), said(&stranger)), (status, vec![]));
        let same_origin = ask(&server, Method::GET, path, &[]).await;
        assert_eq!(said(&same_origin), Vec::<&str>::new());
    }
    server.stop().await;
}

#[tokio::test]
async fn without_a_list_nothing_is_said_to_anybody() {
    let server = server("").await;
    let answer = ask(&server, Method::GET, "/hello", &[("origin", APP)]).await;
    assert_eq!(said(&answer), Vec::<&str>::new());
    assert!(!answer.headers().contains_key("vary"));
    server.stop().await;
}
