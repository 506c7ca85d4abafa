//! Access tokens: short-lived, signed with our Ed25519 key, checked offline by every service against the published key set.
use chrono::{DateTime, Utc};
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::{
    auth::AccessClaims,
    keys::{KeyError, SigningKey},
};
use uuid::Uuid;

/// How long an access token is good for, in seconds.
pub const LIFETIME_S: i64 = 600;

/// Issues access tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    key: SigningKey,
    issuer: String,
    audience: String,
}

impl Tokens {
    /// Tokens of an issuer for an audience.
    pub fn new(key: SigningKey, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self { key, issuer: issuer.into(), audience: audience.into() }
    }

    /// The key they are signed with.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// A token for an athlete, good from `now` for [`LIFETIME_S`].
    pub fn issue(&self, athlete_id: AthleteId, now: DateTime<Utc>) -> Result<String, KeyError> {
        let issued = now.timestamp();
        self.key.sign(&AccessClaims {
            iss: self.issuer.clone(),
            sub: athlete_id.to_string(),
            aud: self.audience.clone(),
            exp: issued + LIFETIME_S,
            nbf: issued,
            iat: issued,
            jti: Uuid::new_v4().to_string(),
            sid: None,
            scope: None,
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
        let caller = verifier.verify(&tokens.issue(ann, now).unwrap()).await.unwrap();
        assert_eq!(caller.athlete_id, ann.0);
        let old = tokens.issue(ann, now - chrono::TimeDelta::seconds(LIFETIME_S + 10)).unwrap();
        assert_eq!(verifier.verify(&old).await, Err(AuthError::Expired));
    }
}
