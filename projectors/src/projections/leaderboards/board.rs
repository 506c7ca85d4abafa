//! Which boards a workout counts on: the UTC week, month, year and all time it began in, each for its sport and for all.
use chrono::{Datelike, NaiveDate, Weekday};
use fittrack_domain::{sport::Sport, workout::WorkoutFacts};

/// One board; its metrics are the columns of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Board {
    /// The kind of period.
    pub period: Period,
    /// The period's first day, UTC.
    pub starts_on: NaiveDate,
    /// The sport; `None` for all of them.
    pub sport: Option<Sport>,
}

/// The kinds of period there are boards for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// An ISO week, from Monday.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
    /// All time.
    All,
}

impl Board {
    /// The boards of a workout.
    pub fn of(facts: &WorkoutFacts) -> impl Iterator<Item = Self> {
        let (day, sport) = (facts.started_at.date_naive(), facts.sport);
        Period::ALL.into_iter().flat_map(move |period| {
            let starts_on = period.first_day(day);
            [Some(sport), None].map(|sport| Self { period, starts_on, sport })
        })
    }

    /// The sport's name in the read model.
    pub fn sport_name(&self) -> &'static str {
        self.sport.map_or("all", Sport::as_str)
    }
}

impl Period {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Week, Self::Month, Self::Year, Self::All];

    /// Its name in the read model.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
            Self::All => "all",
        }
    }

    /// The first day of the period `day` is in; 1970-01-01 for all time.
    pub fn first_day(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Week => day.week(Weekday::Mon).checked_first_day(),
            Self::Month => day.with_day(1),
            Self::Year => day.with_ordinal(1),
            Self::All => Some(NaiveDate::default()),
        }
        // Only the calendar's very first week has no Monday.
        .unwrap_or(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_day(period: Period, day: &str) -> String {
        period.first_day(day.parse().unwrap()).to_string()
    }

    #[test]
    fn a_period_begins_where_the_calendar_says() {
        assert_eq!(first_day(Period::Week, "2026-11-24"), "2026-11-23");
        assert_eq!(first_day(Period::Week, "2026-11-23"), "2026-11-23");
        assert_eq!(first_day(Period::Week, "2027-01-01"), "2026-12-28");
        assert_eq!(first_day(Period::Month, "2024-02-29"), "2024-02-01");
        assert_eq!(first_day(Period::Year, "2024-02-29"), "2024-01-01");
        assert_eq!(first_day(Period::All, "2024-02-29"), "1970-01-01");
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_panic() {
        for period in Period::ALL {
            period.first_day(NaiveDate::MIN);
            period.first_day(NaiveDate::MAX);
        }
    }
}
