//! Values with their unit and their limits in the type. `from_*` and `parse` check what came from outside;
//! reading an event back never re-checks, so that history stays readable when a limit is tightened.
use chrono::{DateTime, NaiveDate, Offset, TimeZone as _, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a value from outside was not taken: what it must be, in words for its sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(pub String);

pub(crate) fn in_range(value: f64, low: f64, high: f64, unit: &str) -> Result<f64, ValueError> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(ValueError(format!("must be from {low} to {high} {unit}")))
    }
}

/// Decimal thousandths kept as an integer, so that sums and differences are exact; JSON sees the decimal number.
pub(crate) mod thousandths {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    pub fn serialize<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(*value as f64 / 1000.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        Ok(super::to_thousandths(f64::deserialize(deserializer)?))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float to integer cast saturates, and limits are checked before")]
pub(crate) fn to_thousandths(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}

/// A length in metres, exact to the millimetre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Distance(
    #[serde(with = "thousandths")]
    #[schemars(with = "f64")]
    i64,
);

impl Distance {
    /// The longest distance of one workout: 10,000 km.
    pub const MAX_M: f64 = 10_000_000.0;
    /// The greatest climb of one workout: 100 km.
    pub const MAX_CLIMB_M: f64 = 100_000.0;

    /// A distance from metres, 0 to [`Self::MAX_M`].
    pub fn from_metres(metres: f64) -> Result<Self, ValueError> {
        in_range(metres, 0.0, Self::MAX_M, "m").map(|m| Self(to_thousandths(m)))
    }

    /// A climb from metres, 0 to [`Self::MAX_CLIMB_M`].
    pub fn climb_from_metres(metres: f64) -> Result<Self, ValueError> {
        in_range(metres, 0.0, Self::MAX_CLIMB_M, "m").map(|m| Self(to_thousandths(m)))
    }

    /// Millimetres.
    pub fn millimetres(self) -> i64 {
        self.0
    }

    /// Metres.
    pub fn metres(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

/// A span of time in seconds, exact to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Duration(
    #[serde(with = "thousandths")]
    #[schemars(with = "f64")]
    i64,
);

impl Duration {
    /// The longest workout: fourteen days.
    pub const MAX_S: f64 = 1_209_600.0;

    /// A duration from seconds, 0.001 to [`Self::MAX_S`].
    pub fn from_seconds(seconds: f64) -> Result<Self, ValueError> {
        in_range(seconds, 0.001, Self::MAX_S, "s").map(|s| Self(to_thousandths(s)))
    }

    /// Milliseconds.
    pub fn milliseconds(self) -> i64 {
        self.0
    }

    /// Seconds.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

/// Energy in kilocalories, 0 to 100,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Energy(u32);

impl Energy {
    /// Energy from kilocalories.
    pub fn from_kcal(kcal: f64) -> Result<Self, ValueError> {
        in_range(kcal, 0.0, 100_000.0, "kcal").map(|k| Self(small_integer(k)))
    }

    /// Kilocalories.
    pub fn kcal(self) -> u32 {
        self.0
    }
}

/// A heart rate in beats a minute, 20 to 250.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct HeartRate(u32);

impl HeartRate {
    /// A heart rate from beats a minute.
    pub fn from_bpm(bpm: f64) -> Result<Self, ValueError> {
        in_range(bpm, 20.0, 250.0, "beats a minute").map(|b| Self(small_integer(b)))
    }

    /// Beats a minute.
    pub fn bpm(self) -> u32 {
        self.0
    }
}

/// Mechanical power in watts, 0 to 5,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Power(u32);

impl Power {
    /// Power from watts.
    pub fn from_watts(watts: f64) -> Result<Self, ValueError> {
        in_range(watts, 0.0, 5_000.0, "W").map(|w| Self(small_integer(w)))
    }

    /// Watts.
    pub fn watts(self) -> u32 {
        self.0
    }
}

/// Rate of perceived exertion on Foster's scale, 0 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Exertion(u32);

impl Exertion {
    /// An exertion from its number on the scale.
    pub fn parse(value: f64) -> Result<Self, ValueError> {
        in_range(value, 0.0, 10.0, "on the scale of perceived exertion").map(|v| Self(small_integer(v)))
    }

    /// The number on the scale.
    pub fn value(self) -> u32 {
        self.0
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "callers have checked the range")]
fn small_integer(value: f64) -> u32 {
    value.round() as u32
}

/// Text of 1 to `MAX` characters, trimmed of nothing, free of control characters other than line breaks and tabs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "TextUpTo{MAX}")]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Checks a text's length (in characters) and its characters.
    pub fn parse(text: impl Into<String>) -> Result<Self, ValueError> {
        let text = text.into();
        if text.trim().is_empty() || text.chars().count() > MAX {
            return Err(ValueError(format!("must have 1 to {MAX} characters that are not all blank")));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(ValueError("must not contain control characters".into()));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an athlete is called.
pub type DisplayName = Text<80>;
/// What a workout is called.
pub type Title = Text<200>;
/// Longer words: notes of a workout, the athlete about themself.
pub type Notes = Text<4000>;
/// What a strength exercise is called.
pub type ExerciseName = Text<100>;

/// Who may see something besides its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Nobody else.
    #[default]
    Private,
    /// Those who follow the owner.
    Followers,
    /// Everybody who is signed in; only these workouts count on public leaderboards.
    Public,
}

impl Visibility {
    /// The stored and shown form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Followers => "followers",
            Self::Public => "public",
        }
    }

    /// Reads the shown form.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "private" => Ok(Self::Private),
            "followers" => Ok(Self::Followers),
            "public" => Ok(Self::Public),
            _ => Err(ValueError("must be private, followers or public".into())),
        }
    }
}

/// An IANA time zone by name, such as `Europe/Berlin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TimeZone(#[schemars(with = "String")] Tz);

impl Default for TimeZone {
    fn default() -> Self {
        Self(Tz::UTC)
    }
}

impl TimeZone {
    /// A zone from its IANA name.
    pub fn parse(name: &str) -> Result<Self, ValueError> {
        name.parse::<Tz>()
            .map(Self)
            .map_err(|_| ValueError("must be the name of an IANA time zone, such as Europe/Berlin".into()))
    }

    /// The zone's IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The calendar day it is in this zone at `instant`; the day in UTC where the zone's own is past the end of the calendar.
    pub fn local_date(self, instant: DateTime<Utc>) -> NaiveDate {
        let utc = instant.naive_utc();
        let offset = self.0.offset_from_utc_datetime(&utc).fix();
        utc.checked_add_offset(offset).unwrap_or(utc).date()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_exact_to_the_millimetre_and_shown_in_metres() {
        let distance = Distance::from_metres(36_322.85).unwrap();
        assert_eq!(distance.millimetres(), 36_322_850);
        assert_eq!(serde_json::to_string(&distance).unwrap(), "36322.85");
        assert_eq!(serde_json::from_str::<Distance>("36322.85").unwrap(), distance);
    }

    #[test]
    fn limits_refuse_what_is_just_outside_and_what_is_no_number() {
        assert!(Distance::from_metres(Distance::MAX_M).is_ok());
        for bad in [-0.001, Distance::MAX_M + 1.0, f64::NAN, f64::INFINITY] {
            assert!(Distance::from_metres(bad).is_err(), "{bad}");
        }
        for bad in [0.0, -1.0, Duration::MAX_S + 1.0, f64::NAN] {
            assert!(Duration::from_seconds(bad).is_err(), "{bad}");
        }
        assert!(Distance::climb_from_metres(Distance::MAX_CLIMB_M).is_ok());
        assert!(Distance::climb_from_metres(Distance::MAX_CLIMB_M + 1.0).is_err());
        assert!(HeartRate::from_bpm(19.0).is_err() && HeartRate::from_bpm(251.0).is_err());
    }

    #[test]
    fn text_refuses_blank_long_and_control_characters() {
        assert!(Text::<5>::parse("héllo").is_ok());
        for bad in ["", "   ", "sixsix", "a\0b", "a\u{1b}b"] {
            assert!(Text::<5>::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_local_date_follows_the_zone() {
        let instant = "2026-03-28T23:30:00Z".parse().unwrap();
        let day = |zone: &str| TimeZone::parse(zone).unwrap().local_date(instant).to_string();
        assert_eq!(day("UTC"), "2026-03-28");
        assert_eq!(day("Europe/Berlin"), "2026-03-29");
        assert_eq!(day("Pacific/Kiritimati"), "2026-03-29");
        assert_eq!(day("Pacific/Pago_Pago"), "2026-03-28");
        assert!(TimeZone::parse("Mars/Olympus").is_err());
    }

    #[test]
    fn a_local_date_at_the_ends_of_the_calendar_is_no_panic() {
        for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            for instant in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
                TimeZone::parse(zone).unwrap().local_date(instant);
            }
        }
    }
}
