//! Access tokens: short-lived, signed with our Ed25519 key, checked offline by every service against the published key set.
//! The keys may be replaced while tokens are issued.
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::{
    auth::AccessClaims,
    keys::{KeyError, SigningKey, SigningKeys},
};
use jsonwebtoken::jwk::JwkSet;
use uuid::Uuid;

/// How long an access token is good for, in seconds.
pub const LIFETIME_S: i64 = 600;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    athlete_id: AthleteId,
    session_id: Uuid,
    scope: Option<String>,
    /// The token is good no longer than this.
    until: Option<DateTime<Utc>>,
}

impl Grant {
    /// All that an athlete may do, for as long as the session lasts.
    pub fn of_session(athlete_id: AthleteId, session_id: Uuid) -> Self {
        Self { athlete_id, session_id, scope: None, until: None }
    }

    /// What a key allows, until it ends by itself.
    pub fn of_key(athlete_id: AthleteId, key_id: Uuid, scope: String, until: Option<DateTime<Utc>>) -> Self {
        Self { athlete_id, session_id: key_id, scope: Some(scope), until }
    }
}

/// Issues access tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    keys: Arc<RwLock<SigningKeys>>,
    issuer: String,
    audience: String,
}

impl Tokens {
    /// Tokens of an issuer for an audience.
    pub fn new(keys: impl Into<SigningKeys>, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self { keys: Arc::new(RwLock::new(keys.into())), issuer: issuer.into(), audience: audience.into() }
    }

    /// The key they are signed with at present.
    pub fn key(&self) -> SigningKey {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).signing().clone()
    }

    /// The public keys to publish at present.
    pub fn jwk_set(&self) -> JwkSet {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).jwk_set()
    }

    /// Signs with the first of these from now on.
    pub fn replace_keys(&self, keys: SigningKeys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// A token that says so, good from `now` for [`LIFETIME_S`].
    pub fn issue(&self, grant: &Grant, now: DateTime<Utc>) -> Result<String, KeyError> {
        let issued = now.timestamp();
        self.key().sign(&AccessClaims {
            iss: self.issuer.clone(),
            sub: grant.athlete_id.to_string(),
            aud: self.audience.clone(),
            exp: grant.until.map_or(i64::MAX, |until| until.timestamp()).min(issued + LIFETIME_S),
            nbf: issued,
            iat: issued,
            jti: Uuid::new_v4().to_string(),
            sid: grant.session_id.to_string(),
            scope: grant.scope.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use fittrack_runtime::{
        auth::{AuthError, JwksSource, Verifier},
        clock,
    };

    use super::*;

    #[tokio::test]
    async fn a_token_is_good_for_its_athlete_until_it_expires() {
        let key = SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap();
        let verifier = Verifier::new(JwksSource::Keys(key.jwk_set()), "issuer", "audience").unwrap();
        let tokens = Tokens::new(key, "issuer", "audience");
        let ann = AthleteId(Uuid::from_u128(7));
        let now = clock::now();
        let grant = Grant::of_session(ann, Uuid::from_u128(8));
        let caller = verifier.verify(&tokens.issue(&grant, now).unwrap()).await.unwrap();
        assert_eq!((caller.athlete_id, caller.session_id), (ann.0, Uuid::from_u128(8)));
        let old = tokens.issue(&grant, now - chrono::TimeDelta::seconds(LIFETIME_S + 10)).unwrap();
        assert_eq!(verifier.verify(&old).await, Err(AuthError::Expired));
    }
}
