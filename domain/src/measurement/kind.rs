//! What can be measured of an athlete, in which unit and within which limits.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{ValueError, in_range, thousandths, to_thousandths};

/// A quantity of the body that formulas ask for; its unit is in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum MeasurementKind {
    MassKg,
    RestingHeartRateBpm,
    MaxHeartRateBpm,
    ThresholdHeartRateBpm,
    ThresholdPowerW,
    ThresholdPaceSPerKm,
}

impl MeasurementKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::MassKg,
        Self::RestingHeartRateBpm,
        Self::MaxHeartRateBpm,
        Self::ThresholdHeartRateBpm,
        Self::ThresholdPowerW,
        Self::ThresholdPaceSPerKm,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MassKg => "mass_kg",
            Self::RestingHeartRateBpm => "resting_heart_rate_bpm",
            Self::MaxHeartRateBpm => "max_heart_rate_bpm",
            Self::ThresholdHeartRateBpm => "threshold_heart_rate_bpm",
            Self::ThresholdPowerW => "threshold_power_w",
            Self::ThresholdPaceSPerKm => "threshold_pace_s_per_km",
        }
    }

    /// The kind of a name.
    pub fn parse(name: &str) -> Result<Self, ValueError> {
        let names = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| ValueError(format!("must be one of {}", names())))
    }

    /// The least and the greatest value a person can have.
    fn limits(self) -> (f64, f64, &'static str) {
        match self {
            Self::MassKg => (20.0, 500.0, "kg"),
            Self::RestingHeartRateBpm => (20.0, 150.0, "bpm"),
            Self::MaxHeartRateBpm | Self::ThresholdHeartRateBpm => (60.0, 250.0, "bpm"),
            Self::ThresholdPowerW => (20.0, 1_000.0, "W"),
            Self::ThresholdPaceSPerKm => (120.0, 1_200.0, "s/km"),
        }
    }
}

/// A measured value in the unit of its kind, exact to the thousandth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MeasuredValue(
    #[serde(with = "thousandths")]
    #[schemars(with = "f64")]
    i64,
);

impl MeasuredValue {
    /// A value of a kind, within what a person can have.
    pub fn parse(kind: MeasurementKind, value: f64) -> Result<Self, ValueError> {
        let (low, high, unit) = kind.limits();
        in_range(value, low, high, unit).map(|value| Self(to_thousandths(value)))
    }

    /// In the unit of its kind.
    pub fn units(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Thousandths of the unit.
    pub fn thousandths(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_its_name_and_others_are_refused_with_the_list() {
        for kind in MeasurementKind::ALL {
            assert_eq!(MeasurementKind::parse(kind.as_str()), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!(MeasurementKind::parse("mass_lb").unwrap_err().0.contains("mass_kg"));
    }

    #[test]
    fn a_value_is_within_what_a_person_can_have() {
        for kind in MeasurementKind::ALL {
            let (low, high, _) = kind.limits();
            for (value, taken) in [
                (low, true),
                (high, true),
                (low - 0.001, false),
                (high + 0.001, false),
                (f64::NAN, false),
                (f64::INFINITY, false),
            ] {
                assert_eq!(MeasuredValue::parse(kind, value).is_ok(), taken, "{kind:?} {value}");
            }
        }
        assert_eq!(MeasuredValue::parse(MeasurementKind::MassKg, 71.3004).unwrap().thousandths(), 71_300);
    }
}
