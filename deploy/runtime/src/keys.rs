//! Ed25519 signing keys of the issuer: made by `command-api keys generate`, loaded from a file of one or more, published as a JWK set.
//! The key id is the RFC 7638 thumbprint of the public part, so that it needs no configuration and cannot be confused.

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, OctetKeyPairParameters,
    OctetKeyPairType, PublicKeyUse, ThumbprintHash,
};
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
    /// The text has no key to sign with, or something beside keys.
    #[error(
        "the signing keys must be PEM blocks: first the private key that signs, then those that are only published, private or public"
    )]
    Blocks,
    /// A public key is none of Ed25519.
    #[error("a public key beside the signing key is no Ed25519 key in PEM form, as `openssl pkey -pubout` writes it")]
    Public,
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
        let public = Jwk::from_encoding_key(&encoding, Algorithm::EdDSA).map_err(KeyError::Load)?;
        let (kid, public) = published(public)?;
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

    /// The set to publish where this is the only key.
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

/// The keys of an issuer: one signs, all are published, so that a key is known everywhere before it signs and for as long as
/// tokens signed with it are good. The first block of the file signs; see `deploy/runbooks/keys-and-secrets.md`.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    signing: SigningKey,
    published: Vec<Jwk>,
}

impl SigningKeys {
    /// Loads keys from PEM text: the private key that signs, then others, private or public, that are published beside it.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let mut blocks = pem_blocks(text)?.into_iter();
        let signing = SigningKey::from_pem(blocks.next().ok_or(KeyError::Blocks)?)?;
        let mut published = vec![signing.public.clone()];
        for block in blocks {
            let public =
                if block.starts_with(PUBLIC_BEGIN) { public_key(block)? } else { SigningKey::from_pem(block)?.public };
            published.push(public);
        }
        Ok(Self { signing, published })
    }

    /// The key that signs.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The set to publish.
    pub fn jwk_set(&self) -> JwkSet {
        JwkSet { keys: self.published.clone() }
    }

    /// Their ids, the one that signs first.
    pub fn kids(&self) -> Vec<&str> {
        self.published.iter().filter_map(|key| key.common.key_id.as_deref()).collect()
    }
}

impl From<SigningKey> for SigningKeys {
    fn from(key: SigningKey) -> Self {
        Self { published: vec![key.public.clone()], signing: key }
    }
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const PUBLIC_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
/// What is before the 32 bytes of an Ed25519 key in DER (RFC 8410).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The PEM blocks of a text, which has nothing else but blank lines and lines of comment.
fn pem_blocks(text: &str) -> Result<Vec<&str>, KeyError> {
    let mut blocks = Vec::new();
    let mut rest = without_comments(text);
    while !rest.is_empty() {
        let body = rest.find(END).filter(|_| rest.starts_with(BEGIN)).ok_or(KeyError::Blocks)?;
        let end = rest.get(body..).and_then(|tail| tail.find('\n')).map_or(rest.len(), |line| body + line);
        let (block, tail) = rest.split_at_checked(end).ok_or(KeyError::Blocks)?;
        blocks.push(block);
        rest = without_comments(tail);
    }
    Ok(blocks)
}

fn without_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, tail)| tail.trim_start());
    }
    rest
}

fn public_key(pem: &str) -> Result<Jwk, KeyError> {
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = STANDARD.decode(base64).map_err(|_| KeyError::Public)?;
    let key = der.strip_prefix(&ED25519_SPKI).filter(|key| key.len() == 32).ok_or(KeyError::Public)?;
    let pair = OctetKeyPairParameters {
        key_type: OctetKeyPairType::OctetKeyPair,
        curve: EllipticCurve::Ed25519,
        x: URL_SAFE_NO_PAD.encode(key),
    };
    let common = CommonParameters { key_algorithm: Some(KeyAlgorithm::EdDSA), ..CommonParameters::default() };
    published(Jwk { common, algorithm: AlgorithmParameters::OctetKeyPair(pair) }).map(|(_, public)| public)
}

/// A public key with its id, as it is published.
fn published(mut public: Jwk) -> Result<(String, Jwk), KeyError> {
    let kid = public.thumbprint(ThumbprintHash::SHA256).map_err(KeyError::Load)?;
    public.common.key_id = Some(kid.clone());
    public.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok((kid, public))
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
    fn keys_that_openssl_makes_are_taken() {
        let openssl = |arguments: &[&str]| std::process::Command::new("openssl").args(arguments).output();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let file = path.to_str().unwrap();
        // Where it is not installed, the RFC's key above has the same form.
        let Ok(made) = openssl(&["genpkey", "-algorithm", "ed25519", "-out", file]) else { return };
        assert!(made.status.success(), "{made:?}");
        let private = std::fs::read_to_string(&path).unwrap();
        let key = SigningKey::from_pem(&private).unwrap();
        let public = String::from_utf8(openssl(&["pkey", "-in", file, "-pubout"]).unwrap().stdout).unwrap();
        let next = SigningKey::generate_pem().unwrap();
        let both = SigningKeys::from_pem(&format!("{next}{public}")).unwrap();
        assert_eq!(both.kids().last(), Some(&key.kid()));
    }

    #[test]
    fn a_key_in_the_second_version_of_its_form_is_refused_with_what_to_do() {
        let der = Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
        let error = SigningKey::from_pem(&pem).unwrap_err().to_string();
        assert!(error.contains("PKCS#8 v1") && error.contains("openssl genpkey"), "{error}");
    }

    /// The public half as `openssl pkey -pubout` writes it.
    fn public_pem(key: &SigningKey) -> String {
        let AlgorithmParameters::OctetKeyPair(pair) = &key.public().algorithm else { panic!("another kind") };
        let der = [&ED25519_SPKI[..], &URL_SAFE_NO_PAD.decode(&pair.x).unwrap()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    #[test]
    fn the_first_of_several_keys_signs_and_all_are_published() {
        let pems: Vec<String> = (0..3).map(|_| SigningKey::generate_pem().unwrap()).collect();
        let keys: Vec<SigningKey> = pems.iter().map(|pem| SigningKey::from_pem(pem).unwrap()).collect();
        let text = format!("# now\n{}\n# next\n\n{}# before\n{}", pems[0], pems[1], public_pem(&keys[2]));
        let loaded = SigningKeys::from_pem(&text).unwrap();
        assert_eq!(loaded.signing().kid(), keys[0].kid());
        assert_eq!(loaded.kids(), keys.iter().map(SigningKey::kid).collect::<Vec<_>>());
        let expected = JwkSet { keys: keys.iter().map(|key| key.public().clone()).collect() };
        assert_eq!(loaded.jwk_set(), expected);
        // Settings come without their last line break.
        assert_eq!(SigningKeys::from_pem(text.trim_end()).unwrap().kids(), loaded.kids());
    }

    #[test]
    fn what_is_not_only_keys_is_refused() {
        let pem = SigningKey::generate_pem().unwrap();
        let public = public_pem(&SigningKey::from_pem(&pem).unwrap());
        for text in ["", "# nothing", &format!("{pem}x"), &format!("x{pem}"), &public, &pem[..60]] {
            assert!(SigningKeys::from_pem(text).is_err(), "{text}");
        }
        let broken = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----";
        assert!(matches!(SigningKeys::from_pem(&format!("{pem}{broken}")), Err(KeyError::Public)));
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for pem in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"] {
            let error = SigningKey::from_pem(pem).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
