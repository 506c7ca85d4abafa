//! A walk over every route of a service, by its `OpenAPI` document, with everything a client may do wrong; for the tests of the
//! services, which include this file. Whatever is answered must be whole: a problem document whose `type` leads to its page,
//! `Allow`, the security and the caching headers, and nothing about the server.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use fittrack_runtime::docs;
use serde_json::Value;
use tower::{Service, ServiceExt};

use crate::secrets;

/// Every method a client may think of; the last is nobody's.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];
const ID: &str = "01920000-0000-7000-8000-000000000000";
/// More than any body but an upload may have, and more than that.
const TOO_LONG: usize = 64 * 1024 + 1;
const TOO_LONG_A_FILE: usize = 25 * 1024 * 1024 + 1;

/// A service, what it says of itself, and a token of somebody it knows.
pub struct Walk<S> {
    service: S,
    paths: BTreeMap<String, Vec<Operation>>,
    authorization: String,
    /// How often each status was answered.
    pub answered: BTreeMap<u16, usize>,
    /// The slugs of all problems that were met.
    pub met: BTreeSet<String>,
}

#[derive(Clone)]
struct Operation {
    method: String,
    is_public: bool,
    /// The parameters it cannot do without.
    query: String,
    /// Media types of its body, where it has one.
    bodies: Vec<String>,
    /// Whether a person reads its answer in a browser.
    is_page: bool,
}

/// An answer, read whole.
struct Seen {
    what: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl<S> Walk<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone,
{
    pub fn new(service: S, document: &Value, token: &str) -> Self {
        let operations = |item: &Value| {
            let methods = item.as_object().unwrap().iter();
            methods.map(|(method, operation)| Operation::of(method, operation)).collect()
        };
        let paths = document["paths"].as_object().unwrap();
        Self {
            service,
            paths: paths.iter().map(|(path, item)| (path.clone(), operations(item))).collect(),
            authorization: format!("Bearer {token}"),
            answered: BTreeMap::new(),
            met: BTreeSet::new(),
        }
    }

    /// Everything, on every path.
    pub async fn all(&mut self) {
        for (template, operations) in self.paths.clone() {
            let path = concrete(&template);
            self.methods(&path, &operations).await;
            for operation in &operations {
                let target = format!("{path}?{}", operation.query);
                self.who_asks(&target, operation).await;
                self.what_is_taken(&target, operation).await;
                self.bodies(&target, operation).await;
                if operation.method == "GET" {
                    self.reads(&target, operation).await;
                }
            }
            for nowhere in [format!("{path}/no/where/at/all"), format!("/nowhere{path}")] {
                self.send("GET", &nowhere, &[], Vec::new()).await.expect(404);
            }
            let long = format!("{path}?{}", "x".repeat(9_000));
            self.send(&operations[0].method, &long, &[], Vec::new()).await.expect(414);
        }
    }

    /// The page of every kind.
    pub async fn pages(&mut self, kinds: impl Iterator<Item = &'static fittrack_runtime::problem::Kind>) {
        for kind in kinds {
            let page = self.send("GET", &format!("/problems/{}", kind.slug), &[], Vec::new()).await;
            page.expect(200);
            let page = page.json();
            assert_eq!(
                (page["type"].as_str(), page["status"].as_u64()),
                (Some(&*kind.uri()), Some(kind.status.into()))
            );
            assert!(page["meaning"].as_str().is_some_and(|meaning| meaning.len() > 10), "{page}");
        }
        self.send("GET", "/problems/nothing", &[], Vec::new()).await.expect(404);
    }

    async fn methods(&mut self, path: &str, operations: &[Operation]) {
        let mut allowed: BTreeSet<&str> = operations.iter().map(|operation| operation.method.as_str()).collect();
        if allowed.contains("GET") {
            allowed.insert("HEAD");
        }
        for method in METHODS.into_iter().filter(|method| !allowed.contains(method)) {
            let seen = self.send(method, path, &[], Vec::new()).await;
            seen.expect(if method == "OPTIONS" { 204 } else { 405 });
            let said: BTreeSet<&str> = seen.header("allow").split(',').map(str::trim).collect();
            assert_eq!(said, allowed, "{}", seen.what);
        }
    }

    async fn who_asks(&mut self, path: &str, operation: &Operation) {
        if operation.is_public {
            return;
        }
        let invented = [("authorization", "Bearer invented")];
        let basic = [("authorization", "Basic YW5uOmFubg==")];
        for headers in [&[][..], &invented, &basic] {
            let seen = self.send(&operation.method, path, headers, Vec::new()).await;
            seen.expect(401);
            assert!(seen.header("www-authenticate").starts_with("Bearer"), "{}", seen.what);
        }
    }

    async fn what_is_taken(&mut self, path: &str, operation: &Operation) {
        let other = if operation.is_page { "application/json, image/*" } else { "text/html;q=0.9, image/*" };
        let accept = ("accept", other);
        let seen = self.with_token(&operation.method, path, &[accept], Vec::new()).await;
        // What there is not has no form that could be refused.
        if operation.method == "GET" && seen.status == 404 {
            return;
        }
        seen.expect(406);
    }

    async fn bodies(&mut self, path: &str, operation: &Operation) {
        let Some(first) = operation.bodies.first().map(String::as_str) else { return };
        for media_type in
            [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/gzip")]
        {
            let headers: Vec<(&str, &str)> =
                media_type.map(|media_type| ("content-type", media_type)).into_iter().collect();
            self.with_token(&operation.method, path, &headers, b"{}".to_vec()).await.expect(415);
        }
        let typed = [("content-type", first)];
        if first.ends_with("json") {
            for broken in [&b""[..], b"{", b"}", b"{nothing}", b"\xff\xfe", b"NaN"] {
                self.with_token(&operation.method, path, &typed, broken.to_vec()).await.expect(400);
            }
            for wrong in [&b"[]"[..], b"null", b"{\"nowhere\": 1}"] {
                self.with_token(&operation.method, path, &typed, wrong.to_vec()).await.expect(422);
            }
            self.with_token(&operation.method, path, &typed, vec![b' '; TOO_LONG]).await.expect(413);
        } else {
            self.with_token(&operation.method, path, &typed, b"no such file".to_vec()).await.expect(422);
            self.with_token(&operation.method, path, &typed, vec![b' '; TOO_LONG_A_FILE]).await.expect(413);
        }
    }

    /// A read is the same by `HEAD`, says how it may be kept, and takes no parameter it does not know.
    async fn reads(&mut self, path: &str, operation: &Operation) {
        let got = self.with_token("GET", path, &[], Vec::new()).await;
        let head = self.with_token("HEAD", path, &[], Vec::new()).await;
        assert_eq!((head.status, head.body.len()), (got.status, 0), "{}", head.what);
        for name in ["content-type", "etag", "cache-control", "vary"] {
            assert_eq!(head.header(name), got.header(name), "{}: {name}", head.what);
        }
        assert!(matches!(got.status.as_u16(), 200 | 404), "{}", got.what);
        if operation.is_public {
            // What everybody may know is kept for a while, or asked for each time.
            let kept = ["public, max-age=300", "no-cache"].contains(&got.header("cache-control"));
            assert!(got.status != 200 || kept, "{}", got.what);
            return;
        }
        // What an account is made of is no query: it is kept nowhere, and has no version to ask about.
        if path.starts_with("/v1/account/") {
            assert_eq!(got.header("cache-control"), "no-store", "{}", got.what);
            return;
        }
        if got.status == 200 {
            assert_eq!(got.header("cache-control"), "private, no-cache", "{}", got.what);
            assert!(got.header("etag").starts_with('"'), "{}", got.what);
            assert!(got.header("vary").contains("authorization"), "{}", got.what);
            let seen_before = [("if-none-match", got.header("etag"))];
            let unchanged = self.with_token("GET", path, &seen_before, Vec::new()).await;
            unchanged.expect(304);
            assert_eq!(unchanged.header("etag"), got.header("etag"));
        }
        self.with_token("GET", &format!("{path}&nowhere=1"), &[], Vec::new()).await.expect(400);
        let foreign = [("consistency-token", "nobody's")];
        self.with_token("GET", path, &foreign, Vec::new()).await.expect(400);
    }

    async fn with_token(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Seen {
        let authorization = self.authorization.clone();
        let headers = [&[("authorization", authorization.as_str())][..], headers].concat();
        self.send(method, path, &headers, body).await
    }

    async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Seen {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let what = format!("{method} {} {headers:?} ({} bytes)", &path[..path.len().min(80)], body.len());
        let request = request.body(Body::from(body.clone())).unwrap();
        let secrets = secrets::of_request(request.headers(), &body);
        let response = self.service.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        secrets::assert_kept(&secrets, &what, &parts.headers, &body);
        let seen = Seen { what, status: parts.status, headers: parts.headers, body };
        *self.answered.entry(seen.status.as_u16()).or_default() += 1;
        seen.check_every_answer(is_documentation(path) && seen.status.is_success() && method != "OPTIONS");
        // What HEAD answers has no body by which to judge it.
        if (seen.status.is_client_error() || seen.status.is_server_error()) && method != "HEAD" {
            self.met.insert(seen.check_problem(path));
        }
        seen
    }
}

impl Operation {
    fn of(method: &str, operation: &Value) -> Self {
        let bodies = operation["requestBody"]["content"].as_object();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let needed = parameters.filter(|parameter| parameter["in"] == "query" && parameter["required"] == true);
        let query = needed.map(|parameter| {
            let value = parameter["schema"]["enum"][0].as_str().or(parameter["example"].as_str());
            format!("{}={}", parameter["name"].as_str().unwrap(), value.unwrap_or_else(|| panic!("{parameter}")))
        });
        Self {
            query: query.collect::<Vec<_>>().join("&"),
            method: method.to_uppercase(),
            is_public: operation["security"] == serde_json::json!([{}]),
            is_page: operation["responses"]["200"]["content"]["text/html"].is_object()
                || operation["responses"]["200"]["content"]["text/css"].is_object(),
            bodies: bodies.into_iter().flat_map(|bodies| bodies.keys().cloned()).collect(),
        }
    }
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}", self.what))
    }

    fn expect(&self, status: u16) {
        assert_eq!(self.status, status, "{}: {}", self.what, String::from_utf8_lossy(&self.body));
    }

    fn check_every_answer(&self, is_page: bool) {
        let policy = if is_page { docs::POLICY } else { "default-src 'none'; frame-ancestors 'none'" };
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", policy),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(self.header(name), value, "{}: {name}", self.what);
        }
        assert_eq!(self.header("traceparent").len(), 55, "{}", self.what);
        assert!(!self.header("cache-control").is_empty(), "{}: says nothing about keeping it", self.what);
        for name in ["server", "x-powered-by", "via"] {
            assert!(!self.headers.contains_key(name), "{}: {name}", self.what);
        }
        assert!(self.status != StatusCode::INTERNAL_SERVER_ERROR, "{}", self.what);
    }

    /// The problem's slug.
    fn check_problem(&self, path: &str) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.what);
        assert_eq!(self.header("cache-control"), "no-store", "{}", self.what);
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16(), "{}", self.what);
        assert_eq!(problem["instance"], path.split('?').next().unwrap(), "{}", self.what);
        assert_eq!(problem["trace_id"].as_str().map(str::len), Some(32), "{}", self.what);
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{}: {problem}", self.what);
        }
        let slug = problem["type"].as_str().and_then(|uri| uri.strip_prefix("https://fittrack.dev/problems/"));
        slug.unwrap_or_else(|| panic!("{}: {problem}", self.what)).to_owned()
    }
}

/// The one thing that is more than data: a page, with a policy of its own.
fn is_documentation(path: &str) -> bool {
    path == "/docs" || path.starts_with("/docs?") || path.starts_with("/docs/")
}

fn concrete(template: &str) -> String {
    let segments = template.split('/').map(|segment| match segment {
        "{metric}" => "distance_m",
        "{slug}" => "not-found",
        "{file}" => "start.js",
        parameter if parameter.starts_with('{') => ID,
        fixed => fixed,
    });
    segments.collect::<Vec<_>>().join("/")
}
