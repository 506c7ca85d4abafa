//! The consistency token: "what I have written". A command returns it, a query that sends it back waits until its read
//! model has come as far. Opaque to clients and signed, so that they can make none up; the same on every replica.
use std::{collections::BTreeMap, fmt::Write as _};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::PgExecutor;

use crate::mac::MacKey;

/// The first had check digits anybody could work out.
const FORM: &str = "2.";
/// Enough where a forgery harms its sender alone; twelve letters without padding.
const MAC_BYTES: usize = 9;

const SECRET: &str = "
SELECT secret
  FROM token_key";

/// What tokens are signed with; the same in every process that makes or reads one.
#[derive(Debug, Clone)]
pub struct TokenKey(MacKey);

impl TokenKey {
    /// A key of this secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(MacKey::new(secret))
    }

    /// The key in the recordings' database, where a migration made it. Read once, at start.
    ///
    /// # Errors
    /// When the database is away or not migrated.
    pub async fn read(recordings: impl PgExecutor<'_>) -> Result<Self, sqlx::Error> {
        sqlx::query_scalar(SECRET).fetch_one(recordings).await.map(Self::new)
    }
}

/// Highest position written per log partition; at most [`ConsistencyToken::MAX_PARTITIONS`] of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsistencyToken(BTreeMap<i32, i64>);

/// The text is no consistency token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a consistency token that FitTrack gave out")]
pub struct NotAToken;

impl ConsistencyToken {
    /// More than any store has.
    pub const MAX_PARTITIONS: usize = 1024;

    /// The token of one write.
    pub fn of(partition: i32, position: i64) -> Self {
        Self(BTreeMap::from([(partition, position)]))
    }

    /// Adds another write.
    #[must_use]
    pub fn and(mut self, partition: i32, position: i64) -> Self {
        let known = self.0.entry(partition).or_insert(position);
        *known = position.max(*known);
        self
    }

    /// Partition and position of each write.
    pub fn positions(&self) -> impl Iterator<Item = (i32, i64)> + '_ {
        self.0.iter().map(|(partition, position)| (*partition, *position))
    }

    /// Its text: `2.<partition>-<position>[.<partition>-<position>...].<signature>`, numbers in hexadecimal.
    pub fn signed(&self, key: &TokenKey) -> String {
        let mut text = String::with_capacity(FORM.len() + 20 * self.0.len() + 12);
        text.push_str(FORM);
        for (partition, position) in self.positions() {
            // To a String, which takes everything.
            let _ = write!(text, "{partition:x}-{position:x}.");
        }
        let mac: [u8; MAC_BYTES] = key.0.sign(&[text.as_bytes()]);
        URL_SAFE_NO_PAD.encode_string(mac, &mut text);
        text
    }

    /// Reads the text of one.
    ///
    /// # Errors
    /// For whatever was not signed with this key.
    pub fn read(text: &str, key: &TokenKey) -> Result<Self, NotAToken> {
        let (signed, mac) = text.split_at(text.rfind('.').ok_or(NotAToken)? + 1);
        let mac = URL_SAFE_NO_PAD.decode(mac).ok().and_then(|mac| <[u8; MAC_BYTES]>::try_from(mac).ok());
        if !key.0.has_signed(&[signed.as_bytes()], &mac.ok_or(NotAToken)?) {
            return Err(NotAToken);
        }
        let mut positions = BTreeMap::new();
        for part in signed.strip_prefix(FORM).ok_or(NotAToken)?.split_terminator('.') {
            let (partition, position) = part.split_once('-').ok_or(NotAToken)?;
            let partition = i32::from_str_radix(partition, 16).map_err(|_| NotAToken)?;
            let position = i64::from_str_radix(position, 16).map_err(|_| NotAToken)?;
            if partition < 0 || position < 0 || positions.len() >= Self::MAX_PARTITIONS {
                return Err(NotAToken);
            }
            positions.insert(partition, position);
        }
        Ok(Self(positions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TokenKey {
        TokenKey::new([7; 32])
    }

    #[test]
    fn a_token_reads_back_as_it_was_written() {
        let token = ConsistencyToken::of(31, 1_234_567).and(0, 9).and(0, 8);
        let read = ConsistencyToken::read(&token.signed(&key()), &key()).unwrap();
        assert_eq!(read.positions().collect::<Vec<_>>(), [(0, 9), (31, 1_234_567)]);
        assert_eq!(read.signed(&key()), token.signed(&key()), "on every replica");
    }

    #[test]
    fn what_was_not_given_out_is_refused() {
        let token = ConsistencyToken::of(3, 77).signed(&key());
        assert!(token.starts_with("2.3-4d.") && token.len() == 19, "{token}");
        // The form before, with the check digits anybody could work out.
        let digits = fittrack_domain::partition::murmur2(b"3-4d") & 0xffff;
        let (cut, longer) = (&token[..token.len() - 1], format!("{token}A"));
        let (shorter_mac, no_mac) = (&token[..token.len() - 4], &token[..7]);
        let bad = [
            "",
            ".",
            "1.",
            "x",
            "2.3-4d",
            &format!("1.3-4d.{digits:x}"),
            &format!("2.3-4d.{digits:x}"),
            &token.replace("4d", "4e"),
            &token.replace("2.3", "2.4"),
            &token.replace("2.3", "1.3"),
            &token.replace("2.3", "2.03"),
            &token.replace("2.3-4d.", "2.3-4d.3-4d."),
            cut,
            &longer,
            shorter_mac,
            no_mac,
        ];
        for bad in bad {
            assert_eq!(ConsistencyToken::read(bad, &key()), Err(NotAToken), "{bad}");
        }
        assert_eq!(ConsistencyToken::read(&token, &TokenKey::new([8; 32])), Err(NotAToken), "another installation's");
    }

    #[test]
    fn what_was_signed_and_names_no_place_is_refused() {
        let sign = |positions: &str| {
            let signed = format!("{FORM}{positions}");
            let mac: [u8; MAC_BYTES] = key().0.sign(&[signed.as_bytes()]);
            format!("{signed}{}", URL_SAFE_NO_PAD.encode(mac))
        };
        assert!(ConsistencyToken::read(&sign("3-4d."), &key()).is_ok());
        for bad in ["-1-4d.", "3--1.", "3.", "x-4d.", "80000000-1.", "3-8000000000000000.", "."] {
            assert_eq!(ConsistencyToken::read(&sign(bad), &key()), Err(NotAToken), "{bad}");
        }
    }
}
