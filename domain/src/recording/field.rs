//! The columns a recording can have: their names, units, ranges and resolutions.
//! Parsers, the codec and the query API's `?fields=` all speak of a column through [`Field`].

use std::fmt;
use std::ops::{Index, IndexMut};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One optional column of a [`Recording`](super::Recording); its name ends in its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    LatitudeDeg,
    LongitudeDeg,
    AltitudeM,
    /// Cumulative since the start.
    DistanceM,
    HeartRateBpm,
    PowerW,
    /// Revolutions a minute; on foot strides of one leg a minute, as devices record it.
    CadenceRpm,
    SpeedMps,
    TemperatureC,
}

/// The name is no column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no column of a recording; the columns are {}", Field::ALL.map(Field::name).join(", "))]
pub struct UnknownField {
    /// What was given, cut to 64 characters.
    pub given: String,
}

impl Field {
    /// How many there are.
    pub const COUNT: usize = Self::TemperatureC as usize + 1;

    /// Every column, in the order of the stored form.
    pub const ALL: [Self; Self::COUNT] = [
        Self::LatitudeDeg,
        Self::LongitudeDeg,
        Self::AltitudeM,
        Self::DistanceM,
        Self::HeartRateBpm,
        Self::PowerW,
        Self::CadenceRpm,
        Self::SpeedMps,
        Self::TemperatureC,
    ];

    /// The name in the API, such as `heart_rate_bpm`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LatitudeDeg => "latitude_deg",
            Self::LongitudeDeg => "longitude_deg",
            Self::AltitudeM => "altitude_m",
            Self::DistanceM => "distance_m",
            Self::HeartRateBpm => "heart_rate_bpm",
            Self::PowerW => "power_w",
            Self::CadenceRpm => "cadence_rpm",
            Self::SpeedMps => "speed_mps",
            Self::TemperatureC => "temperature_c",
        }
    }

    /// The unit for people: `deg`, `m`, `bpm`, `W`, `rpm`, `m/s`, `°C`.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::LatitudeDeg | Self::LongitudeDeg => "deg",
            Self::AltitudeM | Self::DistanceM => "m",
            Self::HeartRateBpm => "bpm",
            Self::PowerW => "W",
            Self::CadenceRpm => "rpm",
            Self::SpeedMps => "m/s",
            Self::TemperatureC => "°C",
        }
    }

    /// The column of this name.
    ///
    /// # Errors
    /// [`UnknownField`], which lists the names there are.
    pub fn parse(name: &str) -> Result<Self, UnknownField> {
        Self::ALL
            .into_iter()
            .find(|field| field.name() == name)
            .ok_or_else(|| UnknownField { given: name.chars().take(64).collect() })
    }

    /// Smallest and largest value that is kept; anything else (or not finite) is sensor noise and becomes "no value".
    pub const fn plausible_range(self) -> (f64, f64) {
        match self {
            Self::LatitudeDeg => (-90.0, 90.0),
            Self::LongitudeDeg => (-180.0, 180.0),
            Self::AltitudeM => (-500.0, 12_000.0),
            Self::DistanceM => (0.0, 10_000_000.0),
            Self::HeartRateBpm => (20.0, 250.0),
            Self::PowerW => (0.0, 5_000.0),
            Self::CadenceRpm => (0.0, 300.0),
            Self::SpeedMps => (0.0, 120.0),
            Self::TemperatureC => (-60.0, 80.0),
        }
    }

    /// Steps a unit: a stored value is a whole number of `1 / steps_per_unit`.
    pub const fn steps_per_unit(self) -> f64 {
        match self {
            Self::LatitudeDeg | Self::LongitudeDeg => 1e7,
            Self::SpeedMps => 1e3,
            Self::AltitudeM | Self::DistanceM => 1e2,
            Self::HeartRateBpm | Self::PowerW | Self::CadenceRpm | Self::TemperatureC => 1e1,
        }
    }

    /// The whole number of steps nearest to `value`, or none where the value is implausible.
    #[expect(clippy::cast_possible_truncation, reason = "the plausible range keeps every product far below 2^53")]
    pub(crate) fn to_steps(self, value: f64) -> Option<i64> {
        let (low, high) = self.plausible_range();
        // NaN is in no range.
        (low..=high).contains(&value).then(|| (value * self.steps_per_unit()).round() as i64)
    }

    /// The value of so many steps; the exact inverse of [`Self::to_steps`] for quantised values.
    pub(crate) fn value_of_steps(self, steps: i64) -> f64 {
        steps as f64 / self.steps_per_unit()
    }

    /// The value as a recording keeps it: rounded to its resolution, none where it is implausible.
    pub fn quantise(self, value: f64) -> Option<f64> {
        self.to_steps(value).map(|steps| self.value_of_steps(steps))
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// One of each column's, in the order of [`Field::ALL`].
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct PerField<T>(pub(crate) [T; Field::COUNT]);

impl<T> PerField<T> {
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

#[expect(clippy::indexing_slicing, reason = "COUNT is one more than the last column's number")]
impl<T> Index<Field> for PerField<T> {
    type Output = T;

    fn index(&self, field: Field) -> &T {
        &self.0[field.index()]
    }
}

#[expect(clippy::indexing_slicing, reason = "COUNT is one more than the last column's number")]
impl<T> IndexMut<Field> for PerField<T> {
    fn index_mut(&mut self, field: Field) -> &mut T {
        &mut self.0[field.index()]
    }
}

impl<T> IntoIterator for PerField<T> {
    type Item = T;
    type IntoIter = std::array::IntoIter<T, { Field::COUNT }>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::parse(name)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_found_by_its_name_and_its_place() {
        for (index, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field.index(), index);
            assert_eq!(field.name().parse(), Ok(field));
            assert_eq!(serde_json::to_value(field).unwrap(), serde_json::json!(field.name()));
        }
    }

    #[test]
    fn an_unknown_column_is_refused_with_the_list() {
        assert_eq!(
            Field::parse("watts").unwrap_err().to_string(),
            "\"watts\" is no column of a recording; the columns are latitude_deg, longitude_deg, altitude_m, distance_m, \
             heart_rate_bpm, power_w, cadence_rpm, speed_mps, temperature_c"
        );
    }

    #[test]
    fn quantising_twice_changes_nothing_and_noise_is_dropped() {
        for (field, value) in
            [(Field::LatitudeDeg, 52.097_312_388_941_646), (Field::AltitudeM, -20.2), (Field::SpeedMps, 8.734_000_2)]
        {
            let once = field.quantise(value).unwrap();
            assert_eq!(field.quantise(once), Some(once));
            assert!((once - value).abs() <= 0.5 / field.steps_per_unit() + 1e-12);
        }
        for noise in [f64::NAN, f64::INFINITY, -1.0, 251.0] {
            assert_eq!(Field::HeartRateBpm.quantise(noise), None);
        }
    }
}
