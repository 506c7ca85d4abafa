//! The public keys a verifier trusts: given by the issuer's own process, or fetched from its JWK set and kept when the issuer is away.
//! An unknown key id causes at most one fetch a minute, however many tokens invent one.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Between two fetches for an unknown key id.
const UNKNOWN_KID_PAUSE: Duration = Duration::from_secs(60);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Far more than any set of ours.
const MAX_SET_BYTES: usize = 64 * 1024;
const MAX_KEYS: usize = 32;

/// Where the keys come from.
#[derive(Debug, Clone)]
pub enum JwksSource {
    /// The issuer's `/.well-known/jwks.json`.
    Url(String),
    /// The issuer is this process.
    Keys(JwkSet),
}

/// Why the keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The issuer does not answer, or not with success.
    #[error("the issuer's keys cannot be fetched: {0}")]
    Http(#[from] reqwest::Error),
    /// It answered with something else.
    #[error("the issuer's answer is not a JWK set: {0}")]
    Json(#[from] serde_json::Error),
    /// It answered with more than that can be.
    #[error("the issuer's answer is longer than any of ours")]
    TooLong,
    /// Where the issuer is said to be is nowhere.
    #[error("the address of the issuer's keys is no URL")]
    NotAUrl,
    /// It has no key of the pinned kind.
    #[error("the issuer's set has no usable Ed25519 signing key")]
    NoKeys,
}

type Keys = HashMap<String, DecodingKey>;

pub(crate) struct KeyRing {
    origin: Option<Origin>,
    keys: RwLock<Arc<Keys>>,
    /// When a fetch for an unknown key id was last tried; holding it makes the fetch single.
    unknown_at: Mutex<Option<Instant>>,
}

struct Origin {
    url: String,
    client: reqwest::Client,
}

impl KeyRing {
    pub(crate) fn new(source: JwksSource) -> Result<Self, JwksError> {
        let (origin, keys) = match source {
            JwksSource::Keys(set) => (None, usable_keys(&set)),
            JwksSource::Url(url) => {
                let client = reqwest::Client::builder()
                    .timeout(FETCH_TIMEOUT)
                    .redirect(reqwest::redirect::Policy::none())
                    .no_proxy()
                    .build()?;
                (Some(Origin { url, client }), Keys::new())
            }
        };
        Ok(Self { origin, keys: RwLock::new(Arc::new(keys)), unknown_at: Mutex::default() })
    }

    /// Whether there is any key to check with.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether keys are fetched at all.
    pub(crate) fn is_remote(&self) -> bool {
        self.origin.is_some()
    }

    pub(crate) fn get(&self, kid: &str) -> Option<DecodingKey> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(kid).cloned()
    }

    /// The key, after one fetch if it is unknown and none was tried within the last minute.
    pub(crate) async fn get_or_fetch(&self, kid: &str) -> Option<DecodingKey> {
        if let Some(key) = self.get(kid) {
            return Some(key);
        }
        self.origin.as_ref()?;
        let mut unknown_at = self.unknown_at.lock().await;
        // Whoever held the lock before may have fetched it.
        if let Some(key) = self.get(kid) {
            return Some(key);
        }
        if unknown_at.is_some_and(|at| at.elapsed() < UNKNOWN_KID_PAUSE) {
            return None;
        }
        *unknown_at = Some(Instant::now());
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "cannot look for an unknown signing key");
        }
        self.get(kid)
    }

    /// Trusts this set from now on, and no other.
    pub(crate) fn replace(&self, set: &JwkSet) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(usable_keys(set));
    }

    /// Fetches the set; on any failure the last good one stays.
    pub(crate) async fn refresh(&self) -> Result<(), JwksError> {
        let Some(origin) = &self.origin else { return Ok(()) };
        let keys = usable_keys(&origin.fetch().await?);
        if keys.is_empty() {
            return Err(JwksError::NoKeys);
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }
}

impl Origin {
    async fn fetch(&self) -> Result<JwkSet, JwksError> {
        let mut response = self.client.get(&self.url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_SET_BYTES {
                return Err(JwksError::TooLong);
            }
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Ed25519 signature keys with an id; everything else in a set is none of ours.
fn usable_keys(set: &JwkSet) -> Keys {
    set.keys.iter().filter(|jwk| is_usable(jwk)).take(MAX_KEYS).filter_map(decoding_key).collect()
}

fn is_usable(jwk: &Jwk) -> bool {
    let ed25519 =
        matches!(&jwk.algorithm, AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519);
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let algorithm = jwk.common.key_algorithm.is_none_or(|algorithm| algorithm == KeyAlgorithm::EdDSA);
    ed25519 && signs && algorithm
}

fn decoding_key(jwk: &Jwk) -> Option<(String, DecodingKey)> {
    Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?))
}
