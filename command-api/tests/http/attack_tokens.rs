//! A table of forged tokens against the real routes: every one of them is a 401, whatever is wrong with it.
use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use fittrack_runtime::{clock, keys::SigningKey};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{World, run};

/// Makes tokens with any header and claims, rightly signed by a key.
struct Forger {
    key: EncodingKey,
    header: Value,
    claims: Value,
}

impl Forger {
    fn new(pem: &str, athlete_id: Uuid) -> Self {
        let now = clock::now().timestamp();
        let kid = SigningKey::from_pem(pem).unwrap().kid().to_owned();
        Self {
            key: EncodingKey::from_ed_pem(pem.as_bytes()).unwrap(),
            header: json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid}),
            claims: json!({
                "iss": "https://fittrack.local", "aud": "fittrack", "sub": athlete_id, "jti": "1", "sid": Uuid::new_v4(),
                "exp": now + 60, "nbf": now - 1, "iat": now - 1
            }),
        }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }

    fn with_header(&self, field: &str, value: Value) -> String {
        let mut header = self.header.clone();
        header[field] = value;
        self.sign(&header, &self.claims)
    }

    fn with_claim(&self, field: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[field] = value;
        self.sign(&self.header, &claims)
    }

    fn without(&self, field: &str) -> String {
        let (mut header, mut claims) = (self.header.clone(), self.claims.clone());
        header.as_object_mut().unwrap().remove(field);
        claims.as_object_mut().unwrap().remove(field);
        self.sign(&header, &claims)
    }

    fn good(&self) -> String {
        self.sign(&self.header, &self.claims)
    }
}

fn table(ours: &Forger, theirs: &Forger, public: &Value) -> Vec<(&'static str, String)> {
    let now = clock::now().timestamp();
    let good = ours.good();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = message.split_once('.').unwrap();
    let kid = &ours.header["kid"];
    let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": "at+jwt", "kid": kid}).to_string());
    let public_bytes = URL_SAFE_NO_PAD.decode(public["x"].as_str().unwrap()).unwrap();
    let symmetric = |alg: Algorithm, secret: &[u8]| {
        let mut header = jsonwebtoken::Header::new(alg);
        header.typ = Some("at+jwt".to_owned());
        header.kid = kid.as_str().map(str::to_owned);
        jsonwebtoken::encode(&header, &ours.claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    let mut table = vec![
        ("no token", String::new()),
        ("dots", "..".to_owned()),
        ("no base64", "%.%.%".to_owned()),
        ("alg none, no signature", format!("{none}.{body}.")),
        ("alg none, our signature", format!("{none}.{body}.{signature}")),
        ("HS256 with the public key", symmetric(Algorithm::HS256, &public_bytes)),
        ("HS512 with the public key as JSON", symmetric(Algorithm::HS512, public.to_string().as_bytes())),
        ("another key of its own", theirs.good()),
        ("another key under our kid", theirs.sign(&ours.header, &ours.claims)),
        ("their own key inside", theirs.with_header("jwk", public.clone())),
        ("truncated signature", format!("{message}.{}", &signature[..40])),
        ("no signature", format!("{message}.")),
        ("two parts", message.to_owned()),
        ("four parts", format!("{good}.x")),
        ("padded", format!("{good}==")),
        ("somebody else's claims", {
            let mut claims = ours.claims.clone();
            claims["sub"] = json!(Uuid::new_v4());
            format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
        }),
        ("oversized", ours.with_claim("jti", json!("x".repeat(9_000)))),
        ("expired", ours.with_claim("exp", json!(now - 10))),
        ("good from later on", ours.with_claim("nbf", json!(now + 15))),
        ("exp as text", ours.with_claim("exp", json!("9999999999"))),
        ("another issuer", ours.with_claim("iss", json!("https://evil.example"))),
        ("several issuers", ours.with_claim("iss", json!(["https://fittrack.local", "https://evil.example"]))),
        ("another audience", ours.with_claim("aud", json!("somebody"))),
        ("no athlete", ours.with_claim("sub", json!("admin"))),
        ("no session", ours.with_claim("sid", json!("' OR 1=1 --"))),
        ("not an object", ours.sign(&ours.header, &json!([1]))),
        ("type JWT", ours.with_header("typ", json!("JWT"))),
        ("type of a refresh token", ours.with_header("typ", json!("rt+jwt"))),
        ("type of an identity token", ours.with_header("typ", json!("id+jwt"))),
        ("unknown kid", ours.with_header("kid", json!("other"))),
        ("kid as path", ours.with_header("kid", json!("../../../dev/null"))),
        ("kid as SQL", ours.with_header("kid", json!("' UNION SELECT 'x' --"))),
        ("kid as number", ours.with_header("kid", json!(1))),
        ("address of keys", ours.with_header("jku", json!("https://evil.example/jwks.json"))),
        ("key inside", ours.with_header("jwk", public.clone())),
        ("address of a certificate", ours.with_header("x5u", json!("https://evil.example/cert"))),
        ("certificate inside", ours.with_header("x5c", json!(["AAAA"]))),
        ("unknown critical header", ours.with_header("crit", json!(["x"]))),
        ("compressed", ours.with_header("zip", json!("DEF"))),
        ("nested", ours.with_header("cty", json!("JWT"))),
    ];
    for alg in ["none", "NONE", "HS256", "RS256", "PS256", "ES256", "Ed25519", "nonsense"] {
        table.push(("another algorithm named", ours.with_header("alg", json!(alg))));
    }
    for field in ["alg", "typ", "kid", "iss", "aud", "sub", "exp", "nbf", "iat", "jti", "sid"] {
        table.push(("something missing", ours.without(field)));
    }
    table
}

#[tokio::test]
async fn every_forged_token_is_a_401_on_every_kind_of_route() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let ours = Forger::new(&world.key_pem, ann.athlete_id);
    let theirs = Forger::new(&SigningKey::generate_pem().unwrap(), ann.athlete_id);
    let public = serde_json::to_value(SigningKey::from_pem(&world.key_pem).unwrap().public()).unwrap();
    let answers = async |token: &str| {
        let somebody = ann.with_token(token);
        [
            somebody.post("/v1/workouts").json(&run()).await,
            somebody.get("/v1/account/sessions").answer().await,
            somebody.delete("/v1/account/sessions/current").answer().await,
        ]
    };
    let table = table(&ours, &theirs, &public);
    assert!(table.len() >= 25, "{}", table.len());
    for (name, token) in table {
        for answer in answers(&token).await {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}: {token}");
            answer.assert_problem(401, "unauthenticated");
        }
    }
    assert_eq!(world.workouts().await, 0);
    // What the table's tokens were made from is good.
    let statuses = answers(&ours.good()).await.map(|answer| answer.status.as_u16());
    assert_eq!(statuses, [202, 200, 204]);
}
