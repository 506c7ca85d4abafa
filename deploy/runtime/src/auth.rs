//! Who calls: access tokens checked offline against the issuer's public keys, with verified ones remembered for half a minute.
//! The command API issues them ([`AccessClaims`], signed by [`crate::keys::SigningKey`]); every API checks them through [`Caller`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, Header, Validation};
use moka::Expiry;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::clock;
use crate::jwks::KeyRing;
pub use crate::jwks::{JwksError, JwksSource};
use crate::private::Check;
use crate::problem::Problem;

mod revocations;

use revocations::Issuer;
pub use revocations::{Revocations, RevokedSessions};

/// The `typ` of access tokens (RFC 9068); a refresh token or an identity token is not one.
pub const TOKEN_TYPE: &str = "at+jwt";
/// The longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Clock difference tolerated between issuer and verifier.
pub const LEEWAY_SECONDS: i64 = 5;

/// How long a verified token is remembered. That its session has not ended is looked at each time.
const REMEMBERED: Duration = Duration::from_secs(30);
const REMEMBERED_TOKENS: u64 = 100_000;
/// How often the set is fetched although nothing asks for it, so that retired keys go.
const REFRESH: Duration = Duration::from_secs(300);

/// What an access token says; every field but the last is required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The issuer.
    pub iss: String,
    /// The athlete, a UUID.
    pub sub: String,
    /// Whom the token is for.
    pub aud: String,
    /// End of validity, seconds since 1970.
    pub exp: i64,
    /// Start of validity.
    pub nbf: i64,
    /// Time of issue.
    pub iat: i64,
    /// The token's own id.
    pub jti: String,
    /// The session it belongs to, a UUID: a token of no session would be one that nobody can end.
    pub sid: String,
    /// Space-separated scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// The athlete on whose behalf a request is made. As an extractor it refuses with 401 (503 until the issuer's keys are known).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The athlete.
    pub athlete_id: Uuid,
    /// The session the token belongs to.
    pub session_id: Uuid,
    /// What the token is limited to; none where it is good for everything its athlete may do.
    pub scopes: Option<Arc<[String]>>,
}

/// The scope of a token that may read.
const READ: &str = "read";
/// The scope of a token that may change something.
const WRITE: &str = "write";
/// Where no token of limited scope may go: whoever has it could make itself another.
const ACCOUNT: &str = "/v1/account";
const TOO_NARROW: HeaderValue = HeaderValue::from_static("Bearer realm=\"fittrack\", error=\"insufficient_scope\"");

impl Caller {
    /// Refuses with 403, and says so in the log, what the token's scopes do not allow.
    fn must_be_allowed(&self, method: &Method, path: &str) -> Result<(), Problem> {
        if self.may(method, path) {
            return Ok(());
        }
        let (athlete_id, session_id) = (self.athlete_id, self.session_id);
        tracing::warn!(target: "audit", event = "authz_fail", %athlete_id, %session_id, %method, path, "audit");
        Err(Problem::forbidden("the scopes of the access token do not allow this").header(WWW_AUTHENTICATE, TOO_NARROW))
    }

    fn may(&self, method: &Method, path: &str) -> bool {
        let Some(scopes) = &self.scopes else { return true };
        let needed = if matches!(*method, Method::GET | Method::HEAD) { READ } else { WRITE };
        let is_of_account = path.strip_prefix(ACCOUNT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        scopes.iter().any(|scope| scope == needed) && !is_of_account
    }
}

/// A caller where there is one: no `Authorization` header is nobody, a bad one is a 401.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionalCaller(pub Option<Caller>);

/// Whom the edge has found behind this request's token a moment ago; in its extensions, so that the token is not looked up again.
#[derive(Debug, Clone)]
pub(crate) struct Remembered(pub(crate) Caller);

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Its form, header, signature or a claim is wrong. Deliberately no more: details help only attackers.
    #[error("the access token is not valid here")]
    Invalid,
    /// It was good once.
    #[error("the access token has expired")]
    Expired,
    /// Its session has ended.
    #[error("the session of the access token has ended")]
    Ended,
    /// The issuer's keys, or which of its sessions have ended, are not known yet.
    #[error("the issuer's keys and ended sessions are not known yet")]
    NotYet,
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Invalid | AuthError::Expired | AuthError::Ended => Self::invalid_token(error.to_string()),
            AuthError::NotYet => Self::unavailable("access tokens cannot be checked yet", Duration::from_secs(1)),
        }
    }
}

/// Checks access tokens; clones share keys, ended sessions and memory.
#[derive(Clone)]
pub struct Verifier {
    inner: Arc<Inner>,
    revocations: Revocations,
}

struct Inner {
    keys: KeyRing,
    /// Where ended sessions are learnt of, where that is not this process.
    issuer: Option<Issuer>,
    validation: Validation,
    verified: Cache<[u8; 32], Verified>,
}

#[derive(Clone)]
struct Verified {
    caller: Caller,
    expires_at: i64,
}

impl Verified {
    fn has_expired(&self) -> bool {
        clock::now().timestamp() > self.expires_at + LEEWAY_SECONDS
    }
}

impl Verifier {
    /// A verifier of tokens by `issuer` for `audience`. With a URL it knows neither keys nor ended sessions until
    /// [`Verifier::keep_fresh`] has run; with keys it begins with no ended session.
    pub fn new(source: JwksSource, issuer: &str, audience: &str) -> Result<Self, JwksError> {
        let (announcer, revocations) = match &source {
            JwksSource::Url(url) => (Some(Issuer::beside(url)?), Revocations::unknown()),
            JwksSource::Keys(_) => (None, Revocations::none()),
        };
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECONDS.unsigned_abs();
        let verified = Cache::builder().max_capacity(REMEMBERED_TOKENS).expire_after(UntilExpiry).build();
        let inner = Inner { keys: KeyRing::new(source)?, issuer: announcer, validation, verified };
        Ok(Self { inner: Arc::new(inner), revocations })
    }

    /// The same, refusing the tokens of these sessions; for the process that ends them.
    #[must_use]
    pub fn with_revocations(self, revocations: Revocations) -> Self {
        Self { revocations, ..self }
    }

    /// Trusts these keys from now on, and no others; for the issuer's own process when its keys change.
    pub fn trust(&self, keys: &JwkSet) {
        self.inner.keys.replace(keys);
        self.forget_verified();
    }

    /// Who holds the token.
    pub async fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Invalid);
        }
        let digest = digest(token);
        if let Some(known) = self.inner.verified.get(&digest) {
            return if known.has_expired() { Err(AuthError::Expired) } else { self.signed_in(known.caller) };
        }
        let verified = self.check(token).await?;
        self.inner.verified.insert(digest, verified.clone());
        self.signed_in(verified.caller)
    }

    /// Who calls, where the token was verified a moment ago and is still good, whatever it allows; without waiting for anything.
    pub fn remembered(&self, headers: &HeaderMap) -> Option<Caller> {
        let token = bearer(headers).ok()??;
        let known = self.inner.verified.get(&digest(token)).filter(|known| !known.has_expired())?;
        self.signed_in(known.caller).ok()
    }

    /// The same, where the token allows reading.
    pub fn remembered_reader(&self, headers: &HeaderMap) -> Option<Caller> {
        self.remembered(headers).filter(|caller| caller.may(&Method::GET, ""))
    }

    /// Fetches the issuer's keys until they are known (however late the issuer starts), then every five minutes, and its ended
    /// sessions every second; runs until cancelled. A failed fetch leaves what was last known in use, and the check ready.
    pub async fn keep_fresh(self, check: Check, token: CancellationToken) {
        let ended = async {
            if let Some(issuer) = &self.inner.issuer {
                issuer.follow(&self.revocations, &token, || self.report(&check)).await;
            }
        };
        tokio::join!(self.keep_keys(&check, &token), ended);
    }

    async fn keep_keys(&self, check: &Check, token: &CancellationToken) {
        let keys = &self.inner.keys;
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        loop {
            let pause = match keys.refresh().await {
                Ok(()) => {
                    self.report(check);
                    backoff.reset();
                    REFRESH
                }
                Err(error) => {
                    if keys.is_empty() {
                        check.unready(error.to_string());
                    } else {
                        tracing::warn!(%error, "keeping the signing keys last fetched");
                    }
                    backoff.next_delay()
                }
            };
            if !keys.is_remote() {
                return;
            }
            if token.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Forgets every remembered token, so that a revocation acts at once in this process.
    pub fn forget_verified(&self) {
        self.inner.verified.invalidate_all();
    }

    fn report(&self, check: &Check) {
        let has_keys = !self.inner.keys.is_empty();
        let reason = if has_keys { "the ended sessions are not known" } else { "no usable key" };
        check.set(has_keys && self.revocations.is_known(), reason);
    }

    /// The caller, unless their session has ended.
    fn signed_in(&self, caller: Caller) -> Result<Caller, AuthError> {
        match self.revocations.has_ended(caller.session_id) {
            Some(false) => Ok(caller),
            Some(true) => Err(AuthError::Ended),
            None => Err(AuthError::NotYet),
        }
    }

    async fn check(&self, token: &str) -> Result<Verified, AuthError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::Invalid)?;
        let kid = acceptable_kid(&header).ok_or(AuthError::Invalid)?;
        let Some(key) = self.inner.keys.get_or_fetch(kid).await else {
            return Err(if self.inner.keys.is_empty() { AuthError::NotYet } else { AuthError::Invalid });
        };
        let claims = jsonwebtoken::decode::<AccessClaims>(token, &key, &self.inner.validation)
            .map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => AuthError::Expired,
                _ => AuthError::Invalid,
            })?
            .claims;
        let athlete_id = Uuid::parse_str(&claims.sub).map_err(|_| AuthError::Invalid)?;
        let scopes = claims.scope.map(|scope| scope.split_whitespace().map(str::to_owned).collect());
        let session_id = Uuid::parse_str(&claims.sid).map_err(|_| AuthError::Invalid)?;
        let caller = Caller { athlete_id, session_id, scopes };
        Ok(Verified { caller, expires_at: claims.exp })
    }
}

/// Tokens are remembered by their hash, so that memory holds none that could be used.
fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The token of the one `Authorization: Bearer` header; none where there is no such header.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let Some(header) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(Problem::invalid_token("send one `Authorization` header"));
    }
    let token = header
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Problem::invalid_token("expected `Authorization: Bearer <token>`"))?;
    Ok(Some(token))
}

/// The key id of a header that says nothing we do not expect: one algorithm, one type, no key or address of its own, nothing critical.
fn acceptable_kid(header: &Header) -> Option<&str> {
    let ours =
        header.alg == Algorithm::EdDSA && header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(TOKEN_TYPE));
    let brings_its_own_key = header.jku.is_some()
        || header.jwk.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some()
        || header.x5t.is_some()
        || header.x5t_s256.is_some();
    let unusual = header.crit.is_some() || header.enc.is_some() || header.zip.is_some() || header.cty.is_some();
    header.kid.as_deref().filter(|_| ours && !brings_its_own_key && !unusual)
}

/// A token is remembered for half a minute, and never past its own end.
struct UntilExpiry;

impl Expiry<[u8; 32], Verified> for UntilExpiry {
    fn expire_after_create(&self, _: &[u8; 32], verified: &Verified, _: Instant) -> Option<Duration> {
        let left = verified.expires_at + LEEWAY_SECONDS - clock::now().timestamp();
        Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)).min(REMEMBERED))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Verifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let OptionalCaller(caller) = OptionalCaller::from_request_parts(parts, state).await?;
        caller.ok_or_else(|| Problem::unauthenticated("send an access token as `Authorization: Bearer <token>`"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OptionalCaller
where
    Verifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = match parts.extensions.get::<Remembered>() {
            Some(Remembered(caller)) => caller.clone(),
            None => match bearer(&parts.headers)? {
                Some(token) => Verifier::from_ref(state).verify(token).await?,
                None => return Ok(Self(None)),
            },
        };
        caller.must_be_allowed(&parts.method, parts.uri.path())?;
        Ok(Self(Some(caller)))
    }
}

#[cfg(test)]
mod tests;
