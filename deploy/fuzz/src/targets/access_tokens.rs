//! Access tokens, as the verifier of both APIs reads them: none but those its issuer signed is good, whatever else is tried.

use std::sync::LazyLock;

use fittrack_runtime::auth::{AccessClaims, JwksSource, Verifier};
use fittrack_runtime::clock;
use fittrack_runtime::keys::SigningKey;
use tokio::runtime::{Builder, Runtime};

/// Parts of headers and claims, as they stand in a token.
pub const WORDS: &[&[u8]] = &[b".", b"eyJ", b"eyJhbGciOiJub25lIn0", b"eyJhbGciOiJIUzI1NiJ9", b"=", b"e30"];
const ISSUER: &str = "https://fuzz.example.org";
const AUDIENCE: &str = "fittrack";

struct Issuer {
    verifier: Verifier,
    /// The tokens it signed.
    signed: Vec<String>,
    runtime: Runtime,
}

#[expect(clippy::expect_used, reason = "without an issuer there is nothing to test")]
static ONE: LazyLock<Issuer> = LazyLock::new(|| {
    let pem = SigningKey::generate_pem().expect("a key is made");
    let key = SigningKey::from_pem(&pem).expect("it loads");
    let signed = [None, Some("read".to_owned())].map(|scope| key.sign(&claims(scope)).expect("it signs")).into();
    let verifier = Verifier::new(JwksSource::Keys(key.jwk_set()), ISSUER, AUDIENCE).expect("keys need no network");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    Issuer { verifier, signed, runtime }
});

fn claims(scope: Option<String>) -> AccessClaims {
    let now = clock::now().timestamp();
    AccessClaims {
        iss: ISSUER.to_owned(),
        sub: "0198c0de-0000-7000-8000-000000000001".to_owned(),
        aud: AUDIENCE.to_owned(),
        exp: now + 3_600,
        nbf: now,
        iat: now,
        jti: "fuzz".to_owned(),
        sid: "0198c0de-0000-7000-8000-00000000005e".to_owned(),
        scope,
    }
}

/// Tokens that are good.
pub fn good() -> Vec<Vec<u8>> {
    ONE.signed.iter().map(|token| token.clone().into_bytes()).collect()
}

pub fn accepts(input: &[u8]) -> bool {
    let Ok(token) = std::str::from_utf8(input) else { return false };
    let is_good = ONE.runtime.block_on(ONE.verifier.verify(token)).is_ok();
    assert_eq!(is_good, ONE.signed.iter().any(|signed| signed == token), "signed tokens are good, and no others");
    is_good
}
