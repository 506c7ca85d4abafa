use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Workout {
    distance_m: f64,
    #[serde(default)]
    sets: Vec<Set>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    #[expect(dead_code, reason = "only its parsing matters")]
    reps: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    limit: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    #[serde(default)]
    notes: Change<String>,
}

async fn patch(headers: HeaderMap, body: Bytes) -> Result<String, Problem> {
    MergePatch::<Patch>::from_body(&headers, &body).map(|MergePatch(patch)| format!("{:?}", patch.notes))
}

fn router() -> Router {
    Router::new()
        .route(
            "/json",
            post(async |Json(workout): Json<Workout>| format!("{} {}", workout.distance_m, workout.sets.len())),
        )
        .route("/patch", post(patch))
        .route("/raw", post(async |RawBody(body): RawBody| body.len().to_string()))
        .route("/id/{id}", get(async |Path(id): Path<uuid::Uuid>| id.to_string()))
        .route("/query", get(async |Query(page): Query<Page>| page.limit.to_string()))
        .layer(axum::extract::DefaultBodyLimit::max(256))
}

async fn send(request: axum::http::request::Builder, body: impl Into<Body>) -> (StatusCode, HeaderMap, Value) {
    let response = router().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 65_536).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    (parts.status, parts.headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn post_json(body: &'static str) -> (StatusCode, Value) {
    let (status, _, body) = send(Request::post("/json").header("content-type", "application/json"), body).await;
    (status, body)
}

#[tokio::test]
async fn a_good_body_is_accepted_with_or_without_charset() {
    for content_type in ["application/json", "Application/JSON; charset=UTF-8"] {
        let request = Request::post("/json").header("content-type", content_type);
        let (status, _, body) = send(request, r#"{"distance_m": 5, "sets": [{"reps": 3}]}"#).await;
        assert_eq!((status, body), (StatusCode::OK, json!("5 1")));
    }
}

#[tokio::test]
async fn a_refused_field_is_named_by_its_pointer() {
    for (body, pointer, code) in [
        ("{}", "#/distance_m", "missing"),
        (r#"{"distance_m": 1, "speed": 2}"#, "#/speed", "unknown_field"),
        (r#"{"distance_m": 1, "distance_m": 2}"#, "#/distance_m", "duplicate_field"),
        (r#"{"distance_m": "far"}"#, "#/distance_m", "invalid_type"),
        (r#"{"distance_m": 1, "sets": [{"reps": 1}, {"reps": -1}]}"#, "#/sets/1/reps", "invalid_value"),
        (r#"{"distance_m": 1, "sets": [{}]}"#, "#/sets/0/reps", "missing"),
        (r#"{"distance_m": 1, "sets": [{"reps": 1, "a/b~c": 1}]}"#, "#/sets/0/a~1b~0c", "unknown_field"),
        ("7", "#", "invalid_type"),
        // serde would take both for a workout.
        ("[5, []]", "#", "invalid_type"),
        (" [5.5,[[3]]] ", "#", "invalid_type"),
    ] {
        let (status, problem) = post_json(body).await;
        assert_eq!(status, 422, "{body}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
        assert_eq!(problem["errors"][0]["code"], code, "{body}: {problem}");
        assert!(!problem["errors"][0]["detail"].as_str().unwrap().contains("at line"), "{problem}");
    }
}

#[tokio::test]
async fn what_is_no_json_is_a_bad_request() {
    let deep: &'static str = Box::leak(format!("{}{}", "[".repeat(120), "]".repeat(120)).into_boxed_str());
    for body in ["", "{", "{} {}", "nope", "\u{feff}{}", r#"{"distance_m": 1e400}"#, r#"{"distance_m": NaN}"#, deep] {
        let (status, problem) = post_json(body).await;
        let expected = if body == deep || body == "{} {}" { 422 } else { 400 };
        assert_eq!(status, expected, "{body}: {problem}");
    }
}

#[tokio::test]
async fn another_content_type_is_415() {
    for content_type in
        ["text/plain", "application/jsonp", "application/json; charset=latin1", "application/merge-patch+json"]
    {
        let request = Request::post("/json").header("content-type", content_type);
        let (status, headers, _) = send(request, r#"{"distance_m": 5}"#).await;
        assert_eq!(status, 415, "{content_type}");
        assert_eq!(headers["content-type"], "application/problem+json");
    }
    assert_eq!(send(Request::post("/json"), r#"{"distance_m": 5}"#).await.0, 415);
}

#[tokio::test]
async fn a_merge_patch_tells_null_from_absent_and_names_its_type() {
    let patch = || Request::post("/patch").header("content-type", "application/merge-patch+json");
    assert_eq!(send(patch(), "{}").await.2, json!("Keep"));
    assert_eq!(send(patch(), r#"{"notes": null}"#).await.2, json!("Clear"));
    assert_eq!(send(patch(), r#"{"notes": "x"}"#).await.2, json!(r#"Set("x")"#));
    let (status, headers, _) = send(Request::post("/patch").header("content-type", "application/json"), "{}").await;
    assert_eq!(status, 415);
    assert_eq!(headers["accept-patch"], "application/merge-patch+json");
}

#[tokio::test]
async fn a_long_body_is_413() {
    for path in ["/json", "/raw"] {
        let request = Request::post(path).header("content-type", "application/json");
        assert_eq!(send(request, " ".repeat(257)).await.0, 413, "{path}");
    }
    assert_eq!(send(Request::post("/raw"), "x".repeat(256)).await.0, 200);
}

#[tokio::test]
async fn paths_and_queries_are_refused_with_the_name() {
    let (status, _, problem) = send(Request::get("/id/not-a-uuid"), Body::empty()).await;
    assert_eq!(status, 400, "{problem}");
    for (query, part) in [("limits=1", "`limits`"), ("limit=many", "`limit`"), ("limit=1&limit=2", "`limit`")] {
        let (status, _, problem) = send(Request::get(format!("/query?{query}")), Body::empty()).await;
        assert_eq!(status, 400, "{query}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{problem}");
    }
    assert_eq!(send(Request::get("/query?limit=7"), Body::empty()).await.2, json!(7));
}
