//! Consistency tokens: what is read is printed as a text that reads as the same, and so is any set of positions.

use fittrack_domain::partition::murmur2;
use fittrack_schemas::consistency::ConsistencyToken;

pub fn accepts(input: &[u8]) -> bool {
    let read = std::str::from_utf8(input).ok().and_then(|text| text.parse::<ConsistencyToken>().ok());
    if let Some(token) = &read {
        assert!(token.positions().count() <= ConsistencyToken::MAX_PARTITIONS);
        assert_eq!(token.to_string().parse().as_ref(), Ok(token));
    }
    if let Some(token) = of_positions(input) {
        assert_eq!(token.to_string().parse().as_ref(), Ok(&token));
    }
    read.is_some()
}

/// Gives a text the check digits its positions ask for.
pub fn mended(bytes: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&bytes);
    let Some((body, _)) = text.strip_prefix("1.").and_then(|rest| rest.rsplit_once('.')) else { return bytes };
    format!("1.{body}.{:x}", murmur2(body.as_bytes()) & 0xffff).into_bytes()
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
