//! Consistency tokens: what is read is signed as a text that reads as the same, and so is any set of positions.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fittrack_schemas::consistency::{ConsistencyToken, TokenKey};
use fittrack_schemas::mac::MacKey;

/// The one the committed tokens are signed with.
const SECRET: [u8; 32] = [7; 32];

pub fn accepts(input: &[u8]) -> bool {
    let (key, another) = (TokenKey::new(SECRET), TokenKey::new([8; 32]));
    let read = std::str::from_utf8(input).ok().and_then(|text| ConsistencyToken::read(text, &key).ok());
    if let Some(token) = &read {
        assert!(token.positions().count() <= ConsistencyToken::MAX_PARTITIONS);
        assert_eq!(ConsistencyToken::read(&token.signed(&key), &key).as_ref(), Ok(token));
    }
    if let Some(token) = of_positions(input) {
        assert_eq!(ConsistencyToken::read(&token.signed(&key), &key).as_ref(), Ok(&token));
        assert!(ConsistencyToken::read(&token.signed(&another), &key).is_err(), "{token:?}");
    }
    read.is_some()
}

/// Gives a text the signature its positions ask for.
pub fn mended(bytes: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&bytes);
    let Some((body, _)) = text.strip_prefix("2.").and_then(|rest| rest.rsplit_once('.')) else { return bytes };
    let signed = format!("2.{body}.");
    let mac = URL_SAFE_NO_PAD.encode(MacKey::new(SECRET).sign::<9>(&[signed.as_bytes()]));
    (signed + &mac).into_bytes()
}

/// A token with the positions these bytes spell.
fn of_positions(input: &[u8]) -> Option<ConsistencyToken> {
    let (words, _) = input.as_chunks::<12>();
    words.iter().take(ConsistencyToken::MAX_PARTITIONS).fold(None, |token: Option<ConsistencyToken>, word| {
        let partition = i32::from_be_bytes([word[0] & 0x7f, word[1], word[2], word[3]]);
        let position = word[4..].iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte)) & i64::MAX;
        Some(match token {
            Some(token) => token.and(partition, position),
            None => ConsistencyToken::of(partition, position),
        })
    })
}
