//! What one caller may ask, counted at the edge: by athlete where the token is known, else by the address nobody can choose.
use axum::extract::FromRef;
use uuid::Uuid;

use super::*;
use crate::auth::{AccessClaims, Caller, JwksSource, Verifier};
use crate::client_address::ClientAddress;
use crate::clock;
use crate::edge::EdgeSettings;
use crate::keys::SigningKey;
use crate::shutdown::Tasks;

const ISSUER: &str = "https://fittrack.local";

/// A server with these allowances, and the key of its tokens.
struct Counted {
    server: Running,
    key: SigningKey,
}

#[derive(Clone)]
struct State(Verifier);

impl FromRef<State> for Verifier {
    fn from_ref(state: &State) -> Self {
        state.0.clone()
    }
}

impl Counted {
    async fn start(settings: EdgeSettings) -> Self {
        let key = SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap();
        let verifier = Verifier::new(JwksSource::Keys(key.jwk_set()), ISSUER, "fittrack").unwrap();
        let router = Router::new()
            .route("/mine", get(async |_: Caller| "mine").post(async |_: Caller| "done"))
            .with_state(State(verifier.clone()))
            .merge(super::router())
            .route("/whence", get(async |request: Request| whence(&request)));
        let document = utoipa::openapi::OpenApiBuilder::new().build();
        let limits = settings.server_limits();
        let edge = Edge::new(settings, &document, verifier, Tasks::detached(), None);
        Self { server: Running::start(public_layers_behind(&edge, router), limits).await, key }
    }

    fn token(&self) -> String {
        let now = clock::now().timestamp();
        let claims = AccessClaims {
            iss: ISSUER.into(),
            sub: Uuid::now_v7().to_string(),
            aud: "fittrack".into(),
            exp: now + 600,
            nbf: now,
            iat: now,
            jti: Uuid::now_v7().to_string(),
            sid: Uuid::now_v7().to_string(),
            scope: None,
        };
        self.key.sign(&claims).unwrap()
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = reqwest::Client::new().request(method, self.server.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        self.send(Method::GET, path, headers).await
    }
}

fn whence(request: &Request) -> String {
    request.extensions().get::<ClientAddress>().map_or_else(String::new, |client| client.ip().to_string())
}

fn allowing(rate_limits: &str) -> EdgeSettings {
    EdgeSettings { rate_limits: rate_limits.parse().unwrap(), ..EdgeSettings::default() }
}

/// The only item of a field that is a list of structured fields (RFC 9651): a string and its integer parameters.
fn item(response: &reqwest::Response, name: &str) -> (String, Vec<(String, u64)>) {
    let mut lines = response.headers().get_all(name).iter();
    let list: sfv::List = sfv::Parser::new(lines.next().unwrap().as_bytes()).parse().unwrap();
    assert!(lines.next().is_none() && list.len() == 1, "{name}: {list:?}");
    let sfv::ListEntry::Item(item) = &list[0] else { panic!("{name}: {list:?}") };
    let number = |value: &sfv::BareItem| u64::try_from(i64::from(value.as_integer().unwrap())).unwrap();
    let parameters = item.params.iter().map(|(key, value)| (key.as_str().to_owned(), number(value)));
    (item.bare_item.as_string().unwrap().as_str().to_owned(), parameters.collect())
}

/// What an answer says of the caller's allowance: the policy's name, then `q`, `w`, `r` and `t`.
fn allowance(response: &reqwest::Response) -> (String, [u64; 4]) {
    let (policy, said) = item(response, "ratelimit-policy");
    let (name, left) = item(response, "ratelimit");
    assert_eq!(name, policy, "one is said of the other");
    let of = |parameters: &[(String, u64)], [first, second]: [&str; 2]| {
        let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [first, second]);
        [parameters[0].1, parameters[1].1]
    };
    let ([quota, window], [remaining, resets_in]) = (of(&said, ["q", "w"]), of(&left, ["r", "t"]));
    (name, [quota, window, remaining, resets_in])
}

#[tokio::test]
async fn a_request_too_many_is_429_and_says_which_allowance_and_how_long() {
    let counted = Counted::start(allowing("read=1/1h:1")).await;
    // Ten times an athlete's, as everybody unknown at one address.
    for left in (0..10).rev() {
        let served = counted.get("/hello", &[]).await;
        assert_eq!(served.status(), 200);
        let (policy, [quota, window, remaining, resets_in]) = allowance(&served);
        assert_eq!((policy.as_str(), quota, window, remaining), ("read-by-address", 10, 3600, left));
        assert!(resets_in <= window, "{resets_in}");
    }
    let refused = counted.get("/hello", &[]).await;
    assert_eq!(refused.status(), 429);
    let (_, [.., remaining, resets_in]) = allowance(&refused);
    let pause: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(remaining, 0);
    assert!((resets_in..=360).contains(&pause), "{pause} {resets_in}");
    let problem = problem_of(refused).await;
    assert_eq!(problem["type"], "https://fittrack.dev/problems/quota-exceeded");
    assert_eq!(problem["violated-policies"], serde_json::json!(["read-by-address"]));
    assert_eq!(counted.send(Method::POST, "/hello", &[]).await.status(), 200, "another class has its own allowance");
    counted.server.stop().await;
}

#[tokio::test]
async fn another_forwarded_address_with_every_request_is_still_one_client() {
    let untrusting = Counted::start(allowing("read=1/1h")).await;
    let mut statuses = Vec::new();
    for last in 0..11 {
        let claim = format!("198.51.100.{last}");
        statuses.push(untrusting.get("/hello", &[("x-forwarded-for", &claim)]).await.status().as_u16());
    }
    assert_eq!((statuses[9], statuses[10]), (200, 429));
    untrusting.server.stop().await;

    // Behind a proxy of ours only what it wrote itself counts.
    let settings = EdgeSettings { trusted_proxies: "127.0.0.1".parse().unwrap(), ..allowing("read=1/1h") };
    let behind = Counted::start(settings).await;
    for last in 0..10 {
        let chain = format!("203.0.113.{last}, 198.51.100.1");
        assert_eq!(behind.get("/hello", &[("x-forwarded-for", &chain)]).await.status(), 200);
    }
    let chain = [("x-forwarded-for", "203.0.113.99, 198.51.100.1")];
    assert_eq!(behind.get("/hello", &chain).await.status(), 429);
    let other = [("x-forwarded-for", "198.51.100.1, 198.51.100.2")];
    assert_eq!(behind.get("/whence", &other).await.text().await.unwrap(), "198.51.100.2");
    behind.server.stop().await;
}

#[tokio::test]
async fn a_known_athlete_is_counted_wherever_they_are_and_by_nobody_else() {
    let counted = Counted::start(allowing("read=3/1h,write=2/1h")).await;
    let (ann, ben) = (format!("Bearer {}", counted.token()), format!("Bearer {}", counted.token()));
    let (ann, ben) = ([("authorization", ann.as_str())], [("authorization", ben.as_str())]);
    let first = counted.get("/mine", &ann).await;
    assert_eq!((first.status().as_u16(), allowance(&first).0.as_str()), (200, "read-by-address"));
    for left in [2, 1, 0] {
        let served = counted.get("/mine", &ann).await;
        assert_eq!((served.status().as_u16(), allowance(&served).1[2]), (200, left));
    }
    let refused = counted.get("/mine", &ann).await;
    let pause: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(pause >= allowance(&refused).1[3], "{pause}");
    assert_eq!((refused.status().as_u16(), allowance(&refused).0.as_str()), (429, "read"));
    assert_eq!(counted.send(Method::POST, "/mine", &ann).await.status(), 200);
    for _ in 0..4 {
        assert_eq!(counted.get("/mine", &ben).await.status(), 200);
    }
    let invented = counted.get("/mine", &[("authorization", "Bearer invented")]).await;
    assert_eq!((invented.status().as_u16(), allowance(&invented).0.as_str()), (401, "read-by-address"));
    counted.server.stop().await;
}

#[tokio::test]
async fn without_limits_nothing_is_counted_or_told() {
    let counted = Counted::start(allowing("off")).await;
    for _ in 0..300 {
        let served = counted.get("/hello", &[]).await;
        assert_eq!(served.status(), 200);
        assert!(!served.headers().contains_key("ratelimit") && !served.headers().contains_key("ratelimit-policy"));
    }
    counted.server.stop().await;
}

#[tokio::test]
async fn an_upload_that_is_refused_for_its_number_is_heard_to_its_end() {
    let counted = Counted::start(allowing("write=1/1h")).await;
    let mut answers = Vec::new();
    for _ in 0..11 {
        let url = counted.server.url("/hello");
        answers.push(reqwest::Client::new().post(url).body(vec![b'x'; 60_000]).send().await.unwrap().status().as_u16());
    }
    assert_eq!((answers[9], answers[10]), (200, 429));
    counted.server.stop().await;
}
