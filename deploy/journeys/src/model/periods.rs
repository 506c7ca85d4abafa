//! Calendar periods: their first day and what they are called. ISO 8601 weeks begin on Monday.

use chrono::{Datelike, Days, NaiveDate};

/// The periods boards are kept for.
pub const fn board_periods() -> [&'static str; 4] {
    ["week", "month", "year", "all"]
}

/// The first day of the period a day is in; 1970-01-01 for `all`.
pub fn starts_on(period: &str, day: NaiveDate) -> NaiveDate {
    let first = |month: u32| NaiveDate::from_ymd_opt(day.year(), month, 1);
    let found = match period {
        "day" => Some(day),
        "week" => day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday()))),
        "month" => first(day.month()),
        "year" => first(1),
        _ => NaiveDate::from_ymd_opt(1970, 1, 1),
    };
    found.unwrap_or_default()
}

/// What the period that begins on this day is called: `2026-11-24`, `2026-W48`, `2026-11`, `2026`.
pub fn label_of(period: &str, first: NaiveDate) -> String {
    first
        .format(match period {
            "week" => "%G-W%V",
            "month" => "%Y-%m",
            "year" => "%Y",
            _ => "%Y-%m-%d",
        })
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_weeks_are_named_as_the_standard_names_them() {
        for (day, week) in [
            ("2020-12-31", "2020-W53"),
            ("2021-01-03", "2020-W53"),
            ("2024-12-30", "2025-W01"),
            ("2025-01-01", "2025-W01"),
            ("2026-01-01", "2026-W01"),
            ("2027-01-03", "2026-W53"),
            ("2027-01-04", "2027-W01"),
        ] {
            let day: NaiveDate = day.parse().unwrap();
            assert_eq!(label_of("week", starts_on("week", day)), week, "{day}");
        }
    }

    #[test]
    fn periods_begin_on_their_first_day() {
        let day: NaiveDate = "2026-11-24".parse().unwrap();
        let begins = |period: &str| starts_on(period, day).to_string();
        assert_eq!([begins("day"), begins("week"), begins("month")], ["2026-11-24", "2026-11-23", "2026-11-01"]);
        assert_eq!([begins("year"), begins("all")], ["2026-01-01", "1970-01-01"]);
    }
}
