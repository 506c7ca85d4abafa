use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::keys::SigningKey;
use crate::private::Readiness;
use crate::server;

const ISSUER: &str = "https://fittrack.local";
const AUDIENCE: &str = "fittrack";
const ATHLETE: &str = "0198c0de-0000-7000-8000-000000000001";
const SESSION: &str = "0198c0de-0000-7000-8000-000000000002";

fn key() -> SigningKey {
    SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap()
}

fn claims() -> AccessClaims {
    let now = clock::now().timestamp();
    AccessClaims {
        iss: ISSUER.into(),
        sub: ATHLETE.into(),
        aud: AUDIENCE.into(),
        exp: now + 600,
        nbf: now,
        iat: now,
        jti: "token-1".into(),
        sid: SESSION.into(),
        scope: Some("read write".into()),
    }
}

fn verifier(key: &SigningKey) -> Verifier {
    Verifier::new(JwksSource::Keys(key.jwk_set()), ISSUER, AUDIENCE).unwrap()
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with any header and claims, signed by the key's algorithm over exactly those bytes.
fn forged(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key.encoding(), Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

fn good_header(key: &SigningKey) -> Value {
    json!({"alg": "EdDSA", "typ": "at+jwt", "kid": key.kid()})
}

fn with(mut base: Value, field: &str, value: Value) -> Value {
    base[field] = value;
    base
}

fn without(mut base: Value, field: &str) -> Value {
    base.as_object_mut().unwrap().remove(field);
    base
}

#[tokio::test]
async fn a_good_token_names_its_caller() {
    let key = key();
    let token = key.sign(&claims()).unwrap();
    let verifier = verifier(&key);
    // Twice: the second time from memory.
    for _ in 0..2 {
        let caller = verifier.verify(&token).await.unwrap();
        assert_eq!(caller.athlete_id.to_string(), ATHLETE);
        assert_eq!(caller.session_id, SESSION.parse::<Uuid>().unwrap());
        assert_eq!(caller.scopes.as_deref(), Some(&["read".to_owned(), "write".to_owned()][..]));
    }
    // The forging helper makes tokens that are good when nothing is wrong with them.
    let own = forged(&key, &good_header(&key), &serde_json::to_value(claims()).unwrap());
    verifier.verify(&own).await.unwrap();
}

fn corpus(key: &SigningKey) -> Vec<(&'static str, String)> {
    let header = good_header(key);
    let good = serde_json::to_value(claims()).unwrap();
    let now = clock::now().timestamp();
    let signed = key.sign(&claims()).unwrap();
    let (message, signature) = signed.rsplit_once('.').unwrap();
    let public = serde_json::to_value(key.public()).unwrap();
    let public_bytes = URL_SAFE_NO_PAD.decode(public["x"].as_str().unwrap()).unwrap();
    let other = self::key();

    let mut corpus = Vec::new();
    let mut headers = |name, header: Value| corpus.push((name, forged(key, &header, &good)));
    headers("wrong kid", with(header.clone(), "kid", json!("other")));
    headers("kid as path", with(header.clone(), "kid", json!("../../etc/passwd")));
    headers("kid as sql", with(header.clone(), "kid", json!("' OR 1=1 --")));
    headers("kid as number", with(header.clone(), "kid", json!(1)));
    headers("no kid", without(header.clone(), "kid"));
    headers("typ JWT", with(header.clone(), "typ", json!("JWT")));
    headers("typ refresh", with(header.clone(), "typ", json!("rt+jwt")));
    headers("no typ", without(header.clone(), "typ"));
    headers("jku", with(header.clone(), "jku", json!("https://evil.example/jwks.json")));
    headers("jwk", with(header.clone(), "jwk", public.clone()));
    headers("x5u", with(header.clone(), "x5u", json!("https://evil.example/cert")));
    headers("x5c", with(header.clone(), "x5c", json!(["AAAA"])));
    headers("unknown crit", with(header.clone(), "crit", json!(["exp"])));
    headers("compressed", with(header.clone(), "zip", json!("DEF")));
    headers("nested", with(header.clone(), "cty", json!("JWT")));
    for alg in ["none", "None", "HS256", "ES256", "RS256", "PS256", "Ed25519", "nonsense"] {
        headers("alg", with(header.clone(), "alg", json!(alg)));
    }

    let mut altered = |name, claims: Value| corpus.push((name, forged(key, &header, &claims)));
    for claim in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid"] {
        altered("missing claim", without(good.clone(), claim));
        altered("null claim", with(good.clone(), claim, Value::Null));
    }
    altered("other issuer", with(good.clone(), "iss", json!("https://evil.example")));
    altered("issuers", with(good.clone(), "iss", json!([ISSUER, "https://evil.example"])));
    altered("other audience", with(good.clone(), "aud", json!("other")));
    altered("audiences", with(good.clone(), "aud", json!([AUDIENCE, "other"])));
    altered("expired", with(good.clone(), "exp", json!(now - 10)));
    altered("exp as text", with(good.clone(), "exp", json!("9999999999")));
    altered("exp as float", with(good.clone(), "exp", json!(1e300)));
    altered("not yet", with(good.clone(), "nbf", json!(now + LEEWAY_SECONDS + 5)));
    altered("subject is no athlete", with(good.clone(), "sub", json!("admin")));
    altered("session is none", with(good.clone(), "sid", json!("1")));
    altered("no object", json!([1]));

    corpus.extend([
        (
            "alg none, no signature",
            format!("{}.{}.", encoded(&json!({"alg": "none", "typ": "at+jwt"})), encoded(&good)),
        ),
        ("HS256 with the public key", {
            let mut header = Header::new(Algorithm::HS256);
            header.typ = Some(TOKEN_TYPE.into());
            header.kid = Some(key.kid().into());
            jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&public_bytes)).unwrap()
        }),
        ("another key under our kid", forged(&other, &header, &good)),
        ("another key of its own", other.sign(&claims()).unwrap()),
        ("truncated signature", format!("{message}.{}", &signature[..signature.len() - 4])),
        ("empty signature", format!("{message}.")),
        ("no signature", message.to_owned()),
        ("claims of another", {
            let (head, _) = message.split_once('.').unwrap();
            format!("{head}.{}.{signature}", encoded(&with(good.clone(), "sub", json!(uuid::Uuid::nil()))))
        }),
        ("four parts", format!("{signed}.x")),
        ("oversized", key.sign(&AccessClaims { jti: "x".repeat(9000), ..claims() }).unwrap()),
        ("empty", String::new()),
        ("dots", "..".into()),
        ("no base64", "%%%.%%%.%%%".into()),
        ("padded", format!("{signed}==")),
    ]);
    corpus
}

#[tokio::test]
async fn every_attack_of_the_corpus_is_refused() {
    let key = key();
    let verifier = verifier(&key);
    let corpus = corpus(&key);
    assert!(corpus.len() >= 50, "{}", corpus.len());
    for (name, token) in corpus {
        let outcome = verifier.verify(&token).await;
        let expected = if name == "expired" { AuthError::Expired } else { AuthError::Invalid };
        assert_eq!(outcome, Err(expected), "{name}: {token}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_less_than_the_leeway() {
    let key = key();
    let verifier = verifier(&key);
    let now = clock::now().timestamp();
    for claims in [AccessClaims { exp: now - 2, ..claims() }, AccessClaims { nbf: now + 4, ..claims() }] {
        verifier.verify(&key.sign(&claims).unwrap()).await.unwrap();
    }
}

#[derive(Clone)]
struct State(Verifier);

impl FromRef<State> for Verifier {
    fn from_ref(state: &State) -> Self {
        state.0.clone()
    }
}

#[tokio::test]
async fn the_extractors_tell_nobody_from_a_bad_token() {
    let key = key();
    let router = Router::new()
        .route("/me", get(async |caller: Caller| caller.athlete_id.to_string()))
        .route("/maybe", get(async |OptionalCaller(caller): OptionalCaller| caller.is_some().to_string()))
        .with_state(State(verifier(&key)));
    let good = format!("bearer {}", key.sign(&claims()).unwrap());
    for (path, authorization, status) in [
        ("/me", None, 401),
        ("/me", Some("Bearer nonsense"), 401),
        ("/me", Some("Basic YTpi"), 401),
        ("/me", Some(good.as_str()), 200),
        ("/maybe", None, 200),
        ("/maybe", Some("Bearer nonsense"), 401),
        ("/maybe", Some(good.as_str()), 200),
    ] {
        let mut request = Request::get(path);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{path} {authorization:?}");
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
    }
}

#[tokio::test]
async fn a_token_goes_as_far_as_its_scopes() {
    let key = key();
    let verifier = verifier(&key);
    let handler = || get(async |_: Caller| "").post(async |_: Caller| "");
    let router = Router::new()
        .route("/v1/workouts", handler())
        .route("/v1/accounts", handler())
        .route("/v1/account", handler())
        .route("/v1/account/sessions", handler())
        .with_state(State(verifier.clone()));
    let status = async |scope: Option<&str>, method: &str, path: &str| {
        let token = key.sign(&AccessClaims { scope: scope.map(str::to_owned), ..claims() }).unwrap();
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    };
    for (scope, reads, writes, account) in [
        (None, 200, 200, 200),
        (Some("read"), 200, 403, 403),
        (Some("write"), 403, 200, 403),
        (Some("read write"), 200, 200, 403),
        (Some("other"), 403, 403, 403),
        (Some(""), 403, 403, 403),
    ] {
        for path in ["/v1/workouts", "/v1/accounts"] {
            let found = (status(scope, "GET", path).await, status(scope, "POST", path).await);
            assert_eq!(found, (reads, writes), "{scope:?} {path}");
        }
        for path in ["/v1/account", "/v1/account/sessions"] {
            let found = (status(scope, "GET", path).await, status(scope, "POST", path).await);
            assert_eq!(found, (account, account), "{scope:?} {path}");
        }
        let token = key.sign(&AccessClaims { scope: scope.map(str::to_owned), ..claims() }).unwrap();
        verifier.verify(&token).await.unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        assert_eq!(verifier.remembered_reader(&headers).is_some(), reads == 200, "{scope:?}");
    }
}

/// An issuer whose answers can be switched off and are counted.
struct Issuer {
    url: String,
    up: Arc<AtomicBool>,
    fetches: Arc<AtomicUsize>,
    ended: Revocations,
    stop: CancellationToken,
}

async fn issuer(key: &SigningKey, up: bool) -> Issuer {
    let (up, fetches) = (Arc::new(AtomicBool::new(up)), Arc::new(AtomicUsize::new(0)));
    let ended = Revocations::none();
    let (set, is_up, count) = (key.jwk_set(), Arc::clone(&up), Arc::clone(&fetches));
    let keys = get(async move || {
        count.fetch_add(1, Ordering::AcqRel);
        if is_up.load(Ordering::Acquire) {
            axum::Json(set.clone()).into_response()
        } else {
            StatusCode::BAD_GATEWAY.into_response()
        }
    });
    let (is_up, announced) = (Arc::clone(&up), ended.clone());
    let sessions = get(async move || {
        if is_up.load(Ordering::Acquire) {
            axum::Json(announced.list()).into_response()
        } else {
            StatusCode::BAD_GATEWAY.into_response()
        }
    });
    let router = Router::new().route("/jwks.json", keys).route("/revoked-sessions", sessions);
    let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(server::serve(listener, router, server::ServerLimits::default(), stop.clone()));
    Issuer { url, up, fetches, ended, stop }
}

async fn until(mut condition: impl FnMut() -> bool) {
    tokio::time::timeout(Duration::from_secs(120), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_verifier_starts_before_its_issuer_and_keeps_its_keys_when_the_issuer_goes() {
    let key = key();
    let issuer = issuer(&key, false).await;
    let verifier = Verifier::new(JwksSource::Url(issuer.url.clone()), ISSUER, AUDIENCE).unwrap();
    let check = Readiness::new().check("signing keys");
    let token = key.sign(&claims()).unwrap();
    assert_eq!(verifier.verify(&token).await, Err(AuthError::NotYet));
    let stop = CancellationToken::new();
    let refreshing = tokio::spawn(verifier.clone().keep_fresh(check.clone(), stop.clone()));
    until(|| issuer.fetches.load(Ordering::Acquire) >= 2).await;
    assert!(!check.is_ready());
    issuer.up.store(true, Ordering::Release);
    until(|| check.is_ready()).await;
    verifier.verify(&token).await.unwrap();
    issuer.stop.cancel();
    verifier.forget_verified();
    verifier.verify(&key.sign(&AccessClaims { jti: "token-2".into(), ..claims() }).unwrap()).await.unwrap();
    stop.cancel();
    refreshing.await.unwrap();
}

#[tokio::test]
async fn a_thousand_invented_key_ids_cause_one_fetch() {
    let key = key();
    let issuer = issuer(&key, true).await;
    let verifier = Verifier::new(JwksSource::Url(issuer.url.clone()), ISSUER, AUDIENCE).unwrap();
    let check = Readiness::new().check("signing keys");
    tokio::spawn(verifier.clone().keep_fresh(check.clone(), issuer.stop.clone()));
    until(|| check.is_ready()).await;
    let good = serde_json::to_value(claims()).unwrap();
    for number in 0..1000 {
        let header = with(good_header(&key), "kid", json!(format!("invented-{number}")));
        assert_eq!(verifier.verify(&forged(&key, &header, &good)).await, Err(AuthError::Invalid));
    }
    assert_eq!(issuer.fetches.load(Ordering::Acquire), 2, "one at the start, one for them all");
    verifier.verify(&key.sign(&claims()).unwrap()).await.unwrap();
    issuer.stop.cancel();
}

#[tokio::test]
async fn a_token_is_refused_from_the_moment_its_session_is_known_to_have_ended() {
    let key = key();
    let revocations = Revocations::unknown();
    let verifier = verifier(&key).with_revocations(revocations.clone());
    let token = key.sign(&claims()).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    assert_eq!(verifier.verify(&token).await, Err(AuthError::NotYet));
    revocations.learn([]);
    verifier.verify(&token).await.unwrap();
    assert!(verifier.remembered(&headers).is_some());
    revocations.add([SESSION.parse().unwrap()]);
    assert_eq!(verifier.remembered(&headers), None);
    assert_eq!(verifier.verify(&token).await, Err(AuthError::Ended));
    verifier.forget_verified();
    assert_eq!(verifier.verify(&token).await, Err(AuthError::Ended));
}

#[tokio::test]
async fn ended_sessions_are_learnt_from_the_issuer_and_kept_when_it_goes() {
    let key = key();
    let issuer = issuer(&key, true).await;
    let verifier = Verifier::new(JwksSource::Url(issuer.url.clone()), ISSUER, AUDIENCE).unwrap();
    let check = Readiness::new().check("signing keys");
    tokio::spawn(verifier.clone().keep_fresh(check.clone(), issuer.stop.clone()));
    until(|| check.is_ready()).await;
    let token = key.sign(&claims()).unwrap();
    verifier.verify(&token).await.unwrap();
    issuer.ended.add([SESSION.parse().unwrap()]);
    until(|| verifier.revocations.has_ended(SESSION.parse().unwrap()) == Some(true)).await;
    assert_eq!(verifier.verify(&token).await, Err(AuthError::Ended));
    issuer.up.store(false, Ordering::Release);
    assert_eq!(verifier.verify(&token).await, Err(AuthError::Ended));
    // Whoever starts now learns of it before it lets anybody in.
    let late = Verifier::new(JwksSource::Url(issuer.url.clone()), ISSUER, AUDIENCE).unwrap();
    let check = Readiness::new().check("signing keys");
    tokio::spawn(late.clone().keep_fresh(check.clone(), issuer.stop.clone()));
    assert_eq!(late.verify(&token).await, Err(AuthError::NotYet));
    issuer.up.store(true, Ordering::Release);
    until(|| check.is_ready()).await;
    assert_eq!(late.verify(&token).await, Err(AuthError::Ended));
    issuer.stop.cancel();
}
