//! The signature under what clients carry between requests and cannot make themselves: cursors and consistency tokens. HMAC-SHA256,
//! cut short; each kind of thing has a secret of its own, made by a migration, the same for every replica.
use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A secret, ready to sign with: cloning it is cheaper than making it.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// A key of this secret.
    pub fn new(secret: [u8; 32]) -> Self {
        // HMAC fills a shorter key up to a block with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&secret);
        Self(Hmac::new(&block.into()))
    }

    /// The first `N` bytes of the signature of these parts, one behind the other; `N` is at most 32.
    pub fn sign<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let mut beginning = [0; N];
        beginning.iter_mut().zip(self.over(parts).finalize().into_bytes()).for_each(|(to, from)| *to = from);
        beginning
    }

    /// Whether that is the beginning of the signature of these parts; takes as long for a wrong one.
    pub fn has_signed<const N: usize>(&self, parts: &[&[u8]], mac: &[u8; N]) -> bool {
        self.over(parts).verify_truncated_left(mac).is_ok()
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        parts.iter().fold(self.0.clone(), Mac::chain_update)
    }
}

/// Without the secret.
impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_as_hmac_sha_256_does() {
        // RFC 4231, test case 2, has a shorter key; zeros fill up either.
        let mut secret = [0; 32];
        secret[..4].copy_from_slice(b"Jefe");
        let (key, parts) = (MacKey::new(secret), [&b"what do ya want "[..], b"for nothing?"]);
        let mac = [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e];
        assert_eq!(key.sign(&parts), mac);
        assert!(key.has_signed(&parts, &mac));
        assert!(!key.has_signed(&parts[..1], &mac));
        assert!(!MacKey::new([0; 32]).has_signed(&parts, &mac));
    }
}
