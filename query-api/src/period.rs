//! Calendar periods by name: days, ISO weeks, months, years and all time, where each begins and what it is called.
//! Totals are grouped by them and leaderboards are kept for them.
use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What totals are summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// A calendar day.
    Day,
    /// An ISO 8601 week, Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

/// What a leaderboard is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoardPeriod {
    /// An ISO 8601 week, Monday to Sunday, UTC.
    Week,
    /// A calendar month, UTC.
    Month,
    /// A calendar year, UTC.
    Year,
    /// All time.
    All,
}

impl Grouping {
    /// The word in URLs; also what Postgres' `date_trunc` calls it (its weeks are ISO weeks).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// What the period of this day is called: `2026-11-24`, `2026-W48`, `2026-11`, `2026`.
    pub fn label(self, day: NaiveDate) -> String {
        match self {
            Self::Day => day.to_string(),
            Self::Week => format!("{:04}-W{:02}", day.iso_week().year(), day.iso_week().week()),
            Self::Month => format!("{:04}-{:02}", day.year(), day.month()),
            Self::Year => format!("{:04}", day.year()),
        }
    }
}

impl BoardPeriod {
    /// The word in URLs and in the read model.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
            Self::All => "all",
        }
    }

    /// The first day of the period this day is in; 1970-01-01 for all time.
    pub fn starts_on(self, day: NaiveDate) -> NaiveDate {
        let first = match self {
            Self::Week => Some(day.week(chrono::Weekday::Mon).first_day()),
            Self::Month => day.with_day(1),
            Self::Year => day.with_ordinal(1),
            Self::All => None,
        };
        first.unwrap_or(NaiveDate::default())
    }

    /// What the period of this day is called: `2026-W48`, `2026-11`, `2026`, `all`.
    pub fn label(self, day: NaiveDate) -> String {
        match self {
            Self::Week => Grouping::Week.label(day),
            Self::Month => Grouping::Month.label(day),
            Self::Year => Grouping::Year.label(day),
            Self::All => "all".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn weeks_are_those_of_iso_8601() {
        let vectors = [
            ("2020-12-31", "2020-W53"),
            ("2021-01-03", "2020-W53"),
            ("2024-12-30", "2025-W01"),
            ("2025-01-01", "2025-W01"),
            ("2026-01-01", "2026-W01"),
            ("2027-01-01", "2026-W53"),
            ("2027-01-03", "2026-W53"),
            ("2027-01-04", "2027-W01"),
        ];
        for (date, week) in vectors {
            assert_eq!(Grouping::Week.label(day(date)), week, "{date}");
            assert_eq!(BoardPeriod::Week.label(day(date)), week, "{date}");
        }
    }

    #[test]
    fn every_other_period_is_named_by_its_calendar() {
        assert_eq!(Grouping::Day.label(day("2026-11-24")), "2026-11-24");
        assert_eq!(Grouping::Month.label(day("2026-11-24")), "2026-11");
        assert_eq!(Grouping::Year.label(day("2026-11-24")), "2026");
        assert_eq!(BoardPeriod::All.label(day("2026-11-24")), "all");
    }

    #[test]
    fn a_board_begins_with_its_period() {
        let of = |period: BoardPeriod, date| period.starts_on(day(date)).to_string();
        assert_eq!(of(BoardPeriod::Week, "2026-11-24"), "2026-11-23");
        assert_eq!(of(BoardPeriod::Week, "2027-01-03"), "2026-12-28");
        assert_eq!(of(BoardPeriod::Month, "2026-11-24"), "2026-11-01");
        assert_eq!(of(BoardPeriod::Year, "2026-11-24"), "2026-01-01");
        assert_eq!(of(BoardPeriod::All, "2026-11-24"), "1970-01-01");
    }
}
