//! Routes on their way out: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and where to read more and what to use instead.
//! A route says it once, and its answers carry it; after its sunset it answers 410.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, HeaderValue, LINK};
use chrono::{DateTime, Utc};

use crate::clock;
use crate::problem::{Problem, kinds};

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// When a route stops being recommended and when it stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprecated {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    successor: &'static str,
    page: &'static str,
}

/// A sunset before the deprecation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a route cannot end before it is deprecated")]
pub struct EndsTooSoon;

impl Deprecated {
    /// A route that is deprecated since an instant and gone after another; `successor` is the path to use instead, `page` says why.
    pub fn new(
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        successor: &'static str,
        page: &'static str,
    ) -> Result<Self, EndsTooSoon> {
        if until < since { Err(EndsTooSoon) } else { Ok(Self { since, until, successor, page }) }
    }

    /// 410 once the route has ended.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), Problem> {
        if now < self.until {
            return Ok(());
        }
        Err(Problem::new(&kinds::GONE, format!("this path has ended; use {}", self.successor)))
    }

    /// Adds the fields to an answer.
    pub fn tell(&self, headers: &mut HeaderMap) {
        // Digits, an HTTP date and links of our own making.
        let mut add = |name: HeaderName, value: fmt::Arguments<'_>| {
            if let Ok(value) = HeaderValue::try_from(value.to_string()) {
                headers.append(name, value);
            }
        };
        add(DEPRECATION, format_args!("@{}", self.since.timestamp()));
        add(SUNSET, format_args!("{}", clock::http_date(self.until)));
        add(LINK, format_args!("<{}>; rel=\"deprecation\"", self.page));
        add(LINK, format_args!("<{}>; rel=\"sunset\"", self.page));
        add(LINK, format_args!("<{}>; rel=\"successor-version\"", self.successor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn old() -> Deprecated {
        let (since, until) = (at("2026-11-01T00:00:00Z"), at("2027-05-01T12:30:05Z"));
        Deprecated::new(since, until, "/v2/workouts", "https://fittrack.dev/changes/v2").unwrap()
    }

    #[test]
    fn an_answer_says_since_when_until_when_and_what_instead() {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, HeaderValue::from_static("</v1/workouts?cursor=x>; rel=\"next\""));
        old().tell(&mut headers);
        assert_eq!(headers[DEPRECATION], "@1793491200");
        assert_eq!(headers[SUNSET], "Sat, 01 May 2027 12:30:05 GMT");
        let links: Vec<&str> = headers.get_all(LINK).iter().map(|link| link.to_str().unwrap()).collect();
        assert_eq!(
            links,
            [
                "</v1/workouts?cursor=x>; rel=\"next\"",
                "<https://fittrack.dev/changes/v2>; rel=\"deprecation\"",
                "<https://fittrack.dev/changes/v2>; rel=\"sunset\"",
                "</v2/workouts>; rel=\"successor-version\"",
            ]
        );
    }

    #[test]
    fn it_is_served_to_its_end_and_gone_after_it() {
        assert!(old().check(at("2027-05-01T12:30:04Z")).is_ok());
        assert_eq!(old().check(at("2027-05-01T12:30:05Z")).unwrap_err().status(), 410);
    }

    #[test]
    fn a_sunset_is_not_earlier_than_the_deprecation() {
        let (later, sooner) = (at("2027-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"));
        assert_eq!(Deprecated::new(later, sooner, "/v2", "/changes"), Err(EndsTooSoon));
    }
}
