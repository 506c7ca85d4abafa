//! Values of query parameters, checked while they are read.
//! Routes put them into their parameter structs, so a handler never sees a limit or a day out of range.
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde::Deserialize;

/// How many items a page has: 1 to `MAX`, `DEFAULT` where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Limit<const DEFAULT: u16, const MAX: u16>(u16);

impl<const DEFAULT: u16, const MAX: u16> Limit<DEFAULT, MAX> {
    /// The number, for SQL.
    pub fn rows(self) -> i64 {
        i64::from(self.0)
    }

    /// The number.
    pub fn items(self) -> usize {
        usize::from(self.0)
    }
}

impl<const DEFAULT: u16, const MAX: u16> Default for Limit<DEFAULT, MAX> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<const DEFAULT: u16, const MAX: u16> TryFrom<i64> for Limit<DEFAULT, MAX> {
    type Error = String;

    fn try_from(items: i64) -> Result<Self, String> {
        let refused = || format!("must be from 1 to {MAX}");
        u16::try_from(items).ok().filter(|items| (1..=MAX).contains(items)).map(Self).ok_or_else(refused)
    }
}

/// A calendar day, `YYYY-MM-DD`, of the years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Day(pub NaiveDate);

impl TryFrom<String> for Day {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        day(&text).map(Self).ok_or("must be a day, YYYY-MM-DD")
    }
}

/// Where a span of time begins or ends: a local calendar day (inclusive) or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Bound {
    /// A day of the athlete's own calendar.
    Day(NaiveDate),
    /// An instant.
    Instant(DateTime<Utc>),
}

impl Bound {
    /// The day, where it is one.
    pub fn day(self) -> Option<NaiveDate> {
        match self {
            Self::Day(day) => Some(day),
            Self::Instant(_) => None,
        }
    }

    /// The instant, where it is one.
    pub fn instant(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Day(_) => None,
            Self::Instant(instant) => Some(instant),
        }
    }
}

impl TryFrom<String> for Bound {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // In a query string a plus sign means a blank: "+01:00" arrives as " 01:00". Of minus signs RFC 3339 has one, chrono two.
        let instant = || DateTime::parse_from_rfc3339(&text.replace(' ', "+")).ok().map(|at| at.to_utc());
        day(&text)
            .map(Self::Day)
            .or_else(|| text.is_ascii().then(instant)?.map(Self::Instant))
            .ok_or("must be a day, YYYY-MM-DD, or an instant, YYYY-MM-DDTHH:MM:SSZ")
    }
}

fn day(text: &str) -> Option<NaiveDate> {
    // chrono would take a sign, blanks and missing zeros too.
    let is_written_out = text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte }).eq(*b"0000-00-00");
    text.parse().ok().filter(|day| is_written_out && has_year(day))
}

/// Whether it is of the years 1 to 9999.
pub fn has_year(date: &impl Datelike) -> bool {
    (1..=9999).contains(&date.year())
}

/// Text to look for: 1 to 200 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SearchText(pub String);

impl TryFrom<String> for SearchText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // Postgres has no text with a zero in it.
        let fits = (1..=200).contains(&text.chars().count()) && !text.contains('\0');
        if fits { Ok(Self(text)) } else { Err("must have 1 to 200 characters") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_its_bounds() {
        type Small = Limit<50, 200>;
        assert_eq!(Small::default().rows(), 50);
        assert_eq!(Small::try_from(200).unwrap().items(), 200);
        for bad in [0, -1, 201, i64::MAX] {
            assert_eq!(Small::try_from(bad), Err("must be from 1 to 200".to_owned()));
        }
    }

    #[test]
    fn a_bound_is_a_day_or_an_instant() {
        let of = |text: &str| Bound::try_from(text.to_owned());
        assert_eq!(of("2026-11-24"), Ok(Bound::Day("2026-11-24".parse().unwrap())));
        let instant = Bound::Instant("2026-11-24T08:00:00Z".parse().unwrap());
        assert_eq!(of("2026-11-24T08:00:00Z"), Ok(instant));
        assert_eq!(of("2026-11-24T09:00:00 01:00"), Ok(instant));
        for bad in [
            "",
            "2026-13-01",
            "2026-02-30",
            "-262143-01-01",
            "0000-01-01",
            "+12345-01-01",
            "yesterday",
            "1",
            "2026- 1-12",
            " 2026-1-12",
            "+2026-1-12",
        ] {
            assert!(of(bad).is_err(), "{bad}");
            assert!(Day::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(of("2026-11-24T08:00:00\u{2212}01:00").is_err());
    }
}
