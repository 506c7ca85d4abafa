//! Ed25519 signing keys of the issuer: made by `command-api keys generate`, loaded at start, published as a JWK set.
//! The key id is the RFC 7638 thumbprint of the public part, so that it needs no configuration and cannot be confused.

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::auth::{AccessClaims, TOKEN_TYPE};

/// Why a key cannot be made, loaded or used; never contains the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system's cryptography refused.
    #[error("an Ed25519 key could not be generated")]
    Generate,
    /// The text is not the PEM of an Ed25519 key in PKCS#8 v1 form.
    #[error(
        "the signing key must be an Ed25519 key in PKCS#8 v1 PEM form, as `command-api keys generate` or `openssl genpkey -algorithm ed25519` write it: {0}"
    )]
    Load(#[source] jsonwebtoken::errors::Error),
    /// A token could not be signed.
    #[error("a token could not be signed: {0}")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// A key that signs access tokens, with its public part.
#[derive(Clone)]
pub struct SigningKey {
    encoding: EncodingKey,
    kid: String,
    public: Jwk,
}

impl SigningKey {
    /// A new key as PKCS#8 v1 PEM text. Write it to a file only its owner can read.
    pub fn generate_pem() -> Result<String, KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?;
        // The v2 form, which is the default, is refused when the public part is wanted later.
        let der = pair.to_pkcs8v1().map_err(|_| KeyError::Generate)?;
        Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der)))
    }

    /// Loads a key from PEM text.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let encoding = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(KeyError::Load)?;
        let mut public = Jwk::from_encoding_key(&encoding, Algorithm::EdDSA).map_err(KeyError::Load)?;
        let kid = public.thumbprint(ThumbprintHash::SHA256).map_err(KeyError::Load)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { encoding, kid, public })
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public part.
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// The set to publish while this is the only key.
    pub fn jwk_set(&self) -> JwkSet {
        JwkSet { keys: vec![self.public.clone()] }
    }

    /// Signs an access token.
    pub fn sign(&self, claims: &AccessClaims) -> Result<String, KeyError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.encoding).map_err(KeyError::Sign)
    }

    #[cfg(test)]
    pub(crate) fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_loads_and_publishes_no_private_part() {
        let key = SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap();
        let published = serde_json::to_value(key.jwk_set()).unwrap();
        let jwk = published["keys"][0].as_object().unwrap();
        let members: Vec<&str> = jwk.keys().map(String::as_str).collect();
        assert_eq!(members.len(), 6, "{members:?}");
        for (member, value) in
            [("kty", "OKP"), ("crv", "Ed25519"), ("use", "sig"), ("alg", "EdDSA"), ("kid", key.kid())]
        {
            assert_eq!(jwk[member], value);
        }
        assert!(jwk.contains_key("x"));
    }

    #[test]
    fn the_thumbprint_is_that_of_the_rfc_8037_example() {
        // RFC 8037, appendix A.1 to A.3.
        let seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
        let seed = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(seed).unwrap();
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend(seed);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
        let key = SigningKey::from_pem(&pem).unwrap();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for pem in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"] {
            let error = SigningKey::from_pem(pem).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
