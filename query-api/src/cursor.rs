//! Cursors of lists: where a page ended, opaque to clients, signed, and bound to the list they came from.
//! A cursor only says where to go on in rows the caller may see anyway. It is signed so that a client can make none up: what is
//! read from one is what some row had.
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use fittrack_runtime::problem::Problem;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::params;

/// The first had a checksum anybody could work out.
const FORM: u8 = 2;
const MAC_BYTES: usize = 16;
/// Longer than any cursor given out.
const MAX_TEXT: usize = 256;

/// What cursors are signed with; the same in every replica.
#[derive(Clone)]
pub struct CursorKey(Hmac<Sha256>);

impl CursorKey {
    /// A key of this secret.
    pub fn new(secret: [u8; 32]) -> Self {
        // HMAC fills a shorter key up to a block with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&secret);
        Self(Hmac::new(&block.into()))
    }

    fn mac(&self, list: &str, place: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update([FORM]).chain_update(list).chain_update([0]).chain_update(place)
    }
}

/// Without the secret.
impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey")
    }
}

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

    /// Adds a calendar day.
    #[must_use]
    pub fn day(self, value: NaiveDate) -> Self {
        self.number(value.num_days_from_ce().into())
    }

    /// Adds an id.
    #[must_use]
    pub fn id(mut self, value: Uuid) -> Self {
        self.0.extend(value.as_bytes());
        self
    }

    /// The cursor's text; `list` says whose list of what with which filters it belongs to.
    pub fn to_cursor(&self, key: &CursorKey, list: &str) -> String {
        let mut bytes = vec![FORM];
        bytes.extend(key.mac(list, &self.0).finalize().into_bytes().into_iter().take(MAC_BYTES));
        bytes.extend(&self.0);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor of the same list: 400 for anything else.
    pub fn from_cursor(key: &CursorKey, list: &str, cursor: &str) -> Result<Reader, Problem> {
        let bytes = Some(cursor)
            .filter(|cursor| cursor.len() <= MAX_TEXT)
            .and_then(|cursor| URL_SAFE_NO_PAD.decode(cursor).ok());
        let bytes = bytes.ok_or_else(refused)?;
        let rest = bytes.strip_prefix(&[FORM]).ok_or_else(refused)?;
        let (mac, place) = rest.split_at_checked(MAC_BYTES).ok_or_else(refused)?;
        key.mac(list, place).verify_truncated_left(mac).map_err(|_| refused())?;
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

    /// The next part as an instant; one that a query may ask for, so that Postgres has it too.
    pub fn instant(&mut self) -> Result<DateTime<Utc>, Problem> {
        let instant = DateTime::from_timestamp_micros(self.number()?);
        instant.filter(params::has_year).ok_or_else(refused)
    }

    /// The next part as a calendar day; one that a query may ask for.
    pub fn day(&mut self) -> Result<NaiveDate, Problem> {
        let days = i32::try_from(self.number()?).ok();
        days.and_then(NaiveDate::from_num_days_from_ce_opt).filter(params::has_year).ok_or_else(refused)
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

/// What a cursor of another list, or none at all, is answered with.
pub fn refused() -> Problem {
    Problem::bad_request("query parameter `cursor`: this is no cursor of this list; begin without one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> CursorKey {
        CursorKey::new([7; 32])
    }

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let instant = "2026-11-24T08:00:00.123456Z".parse().unwrap();
        let day = "2026-02-28".parse().unwrap();
        let place = Place::default().instant(instant).id(Uuid::from_u128(7)).number(-5).day(day);
        let cursor = place.to_cursor(&key(), "workouts of anna");
        let mut place = Place::from_cursor(&key(), "workouts of anna", &cursor).unwrap();
        assert_eq!(place.instant().unwrap(), instant);
        assert_eq!(place.id().unwrap(), Uuid::from_u128(7));
        assert_eq!(place.number().unwrap(), -5);
        assert_eq!(place.day().unwrap(), day);
        assert!(place.number().is_err());
    }

    #[test]
    fn a_cursor_of_another_list_or_key_and_a_changed_one_are_refused() {
        let cursor = Place::default().number(1).to_cursor(&key(), "a");
        assert!(Place::from_cursor(&key(), "a", &cursor).is_ok());
        assert!(Place::from_cursor(&key(), "b", &cursor).is_err());
        assert!(Place::from_cursor(&CursorKey::new([8; 32]), "a", &cursor).is_err());
        let changed = cursor.replace(&cursor[cursor.len() - 2..], "xx");
        let cut = &cursor[..8];
        let long = "A".repeat(10_000);
        for bad in ["", "!", "AQ", "Ag", cut, changed.as_str(), long.as_str()] {
            assert_eq!(Place::from_cursor(&key(), "a", bad).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn a_key_signs_as_hmac_sha_256_does() {
        // RFC 4231, test case 2, has a shorter key; zeros fill up either.
        let mut secret = [0; 32];
        secret[..4].copy_from_slice(b"Jefe");
        let mac = CursorKey::new(secret).0.chain_update("what do ya want for nothing?").finalize().into_bytes();
        assert_eq!(mac[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
    }

    #[test]
    fn instants_and_days_that_postgres_does_not_have_are_refused() {
        let read = |number: i64| Reader { place: Place::default().number(number).0, at: 0 };
        for number in [i64::MIN, i64::MAX, DateTime::<Utc>::MIN_UTC.timestamp_micros(), -62_135_596_800_000_001] {
            assert_eq!(read(number).instant().unwrap_err().status(), 400, "{number}");
        }
        for number in [i64::MIN, i64::MAX, NaiveDate::MIN.num_days_from_ce().into(), 0, 3_652_060] {
            assert_eq!(read(number).day().unwrap_err().status(), 400, "{number}");
        }
        assert_eq!(read(-62_135_596_800_000_000).instant().unwrap().year(), 1);
        assert_eq!((read(1).day().unwrap().year(), read(3_652_059).day().unwrap().year()), (1, 9999));
    }
}
