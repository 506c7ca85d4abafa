//! Secrets we give out and know again: 256 random bits as base64url. Only their SHA-256 is kept, so what is stored opens nothing.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

const BYTES: usize = 32;

/// A secret somebody holds. Its text is shown once; never in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct OpaqueSecret([u8; BYTES]);

impl OpaqueSecret {
    /// A new one.
    pub fn generate() -> Self {
        Self(random())
    }

    /// The secret somebody sends; `None` where it has not the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// What is given to its holder: 43 characters.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is stored.
    pub fn hash(&self) -> [u8; BYTES] {
        Sha256::digest(self.0).into()
    }

    /// The secret that follows from this one and a salt. Without this one it cannot be found, whoever knows the salt.
    #[must_use]
    pub fn successor(&self, salt: &[u8; BYTES]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"fittrack: the successor of a refresh token\n");
        hash.update(self.0);
        hash.update(salt);
        Self(hash.finalize().into())
    }
}

impl std::fmt::Debug for OpaqueSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpaqueSecret(***)")
    }
}

/// Bytes nobody can guess.
pub fn random() -> [u8; BYTES] {
    rand::random()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_43_characters_and_known_again() {
        let secret = OpaqueSecret::generate();
        let text = secret.expose();
        assert_eq!(text.len(), 43);
        assert_eq!(OpaqueSecret::parse(&text), Some(secret.clone()));
        assert_ne!(OpaqueSecret::generate(), secret);
        assert!(!format!("{secret:?}").contains(&text));
    }

    #[test]
    fn what_is_no_secret_is_none() {
        let text = OpaqueSecret::generate().expose();
        for bad in ["", "x", &text[1..], &format!("{text}A"), &format!("{text}="), &format!(" {text}")] {
            assert_eq!(OpaqueSecret::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_successor_follows_from_secret_and_salt() {
        let (secret, salt) = (OpaqueSecret::generate(), random());
        assert_eq!(secret.successor(&salt), secret.successor(&salt));
        assert_ne!(secret.successor(&salt), secret.successor(&random()));
        assert_ne!(secret.successor(&salt), OpaqueSecret::generate().successor(&salt));
    }
}
