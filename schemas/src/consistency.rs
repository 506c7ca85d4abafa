//! The consistency token: "what I have written". A command returns it, a query that sends it back waits until its read
//! model has come as far. Opaque to clients; the same on every replica.
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Highest position written per log partition; at most [`ConsistencyToken::MAX_PARTITIONS`] of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsistencyToken(BTreeMap<i32, i64>);

/// The text is no consistency token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a consistency token that FitTrack gave out")]
pub struct NotAToken;

impl ConsistencyToken {
    /// More than any store's partitions would be a forgery.
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
}

/// `1.<partition>-<position>[.<partition>-<position>...].<check>`, numbers in hexadecimal; the check is against slips, not forgery.
impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: Vec<String> = self.0.iter().map(|(p, position)| format!("{p:x}-{position:x}")).collect();
        let body = body.join(".");
        write!(f, "1.{body}.{:x}", check_digits(&body))
    }
}

impl FromStr for ConsistencyToken {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let rest = text.strip_prefix("1.").ok_or(NotAToken)?;
        let (body, check) = rest.rsplit_once('.').ok_or(NotAToken)?;
        if u32::from_str_radix(check, 16) != Ok(check_digits(body)) {
            return Err(NotAToken);
        }
        let mut positions = BTreeMap::new();
        for part in body.split('.') {
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

fn check_digits(body: &str) -> u32 {
    fittrack_domain::partition::murmur2(body.as_bytes()) & 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_as_it_was_written() {
        let token = ConsistencyToken::of(31, 1_234_567).and(0, 9).and(0, 8);
        let read: ConsistencyToken = token.to_string().parse().unwrap();
        assert_eq!(read.positions().collect::<Vec<_>>(), [(0, 9), (31, 1_234_567)]);
    }

    #[test]
    fn what_was_not_given_out_is_refused() {
        let token = ConsistencyToken::of(3, 77).to_string();
        for bad in ["", "1.", "x", "1.3-4", "2.3-4d.0", &token[..token.len() - 1], &token.replace("4d", "4e")] {
            assert_eq!(bad.parse::<ConsistencyToken>(), Err(NotAToken), "{bad}");
        }
    }
}
