//! Cursors of lists: where a page ended, opaque to clients and bound to the list they came from.
//! A cursor only says where to go on in rows the caller may see anyway, so its check is against mix-ups, not forgery.
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use fittrack_runtime::problem::Problem;
use sha2::{Digest, Sha256};
use uuid::Uuid;

const FORM: u8 = 1;
const CHECK_BYTES: usize = 8;
/// Longer than any cursor given out.
const MAX_TEXT: usize = 256;

/// The place after which a page goes on: whole numbers and ids, in the order of the list's keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Place(Vec<u8>);

impl Place {
    /// Adds a number.
    #[must_use]
    pub fn number(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Adds an instant, exact to the microsecond as Postgres keeps it.
    #[must_use]
    pub fn instant(self, value: DateTime<Utc>) -> Self {
        self.number(value.timestamp_micros())
    }

    /// Adds an id.
    #[must_use]
    pub fn id(mut self, value: Uuid) -> Self {
        self.0.extend(value.as_bytes());
        self
    }

    /// The cursor's text; `list` says whose list of what with which filters it belongs to.
    pub fn to_cursor(&self, list: &str) -> String {
        let mut bytes = vec![FORM];
        bytes.extend(check(list, &self.0));
        bytes.extend(&self.0);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor of the same list: 400 for anything else.
    pub fn from_cursor(list: &str, cursor: &str) -> Result<Reader, Problem> {
        let bytes = Some(cursor)
            .filter(|cursor| cursor.len() <= MAX_TEXT)
            .and_then(|cursor| URL_SAFE_NO_PAD.decode(cursor).ok());
        let bytes = bytes.ok_or_else(refused)?;
        let rest = bytes.strip_prefix(&[FORM]).ok_or_else(refused)?;
        let (checked, place) = rest.split_at_checked(CHECK_BYTES).ok_or_else(refused)?;
        if checked != check(list, place) {
            return Err(refused());
        }
        Ok(Reader { place: place.to_vec(), at: 0 })
    }
}

/// Gives a [`Place`]'s parts back in the order they were added.
#[derive(Debug)]
pub struct Reader {
    place: Vec<u8>,
    at: usize,
}

impl Reader {
    /// The next part as a number.
    pub fn number(&mut self) -> Result<i64, Problem> {
        self.take().map(i64::from_be_bytes)
    }

    /// The next part as an instant.
    pub fn instant(&mut self) -> Result<DateTime<Utc>, Problem> {
        DateTime::from_timestamp_micros(self.number()?).ok_or_else(refused)
    }

    /// The next part as an id.
    pub fn id(&mut self) -> Result<Uuid, Problem> {
        self.take().map(Uuid::from_bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let part = self.place.get(self.at..).and_then(|rest| rest.first_chunk()).ok_or_else(refused)?;
        self.at += N;
        Ok(*part)
    }
}

fn check(list: &str, place: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::new().chain_update([FORM]).chain_update(list).chain_update([0]).chain_update(place).finalize();
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}

/// What a cursor of another list, or none at all, is answered with.
pub fn refused() -> Problem {
    Problem::bad_request("query parameter `cursor`: this is no cursor of this list; begin without one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let instant = "2026-11-24T08:00:00.123456Z".parse().unwrap();
        let cursor = Place::default().instant(instant).id(Uuid::from_u128(7)).number(-5).to_cursor("workouts of anna");
        let mut place = Place::from_cursor("workouts of anna", &cursor).unwrap();
        assert_eq!(place.instant().unwrap(), instant);
        assert_eq!(place.id().unwrap(), Uuid::from_u128(7));
        assert_eq!(place.number().unwrap(), -5);
        assert!(place.number().is_err());
    }

    #[test]
    fn a_cursor_of_another_list_and_a_changed_one_are_refused() {
        let cursor = Place::default().number(1).to_cursor("a");
        assert!(Place::from_cursor("b", &cursor).is_err());
        let changed = cursor.replace(&cursor[cursor.len() - 2..], "xx");
        let long = "A".repeat(10_000);
        for bad in ["", "!", "AQ", changed.as_str(), long.as_str()] {
            assert_eq!(Place::from_cursor("a", bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}
