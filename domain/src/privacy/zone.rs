//! One privacy zone and its values. They are checked when they come from outside and never when an event is read back.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Text, ValueError, in_range};

/// What an athlete calls a place; theirs alone.
pub type ZoneName = Text<80>;

/// Tells zones apart, and is the secret from which the place of what they hide is made: it is shown to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ZoneId(pub Uuid);

impl ZoneId {
    /// Of chance alone: whoever could guess it would know where what the zone hides has its centre.
    pub fn unguessable(chance: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(chance).into_uuid())
    }
}

/// A place near which the ends of tracks are not shown to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PrivacyZone {
    /// The same as long as the zone stays where it is.
    pub zone_id: ZoneId,
    /// What the athlete calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ZoneName>,
    /// North is positive.
    pub latitude_deg: Degrees,
    /// East is positive.
    pub longitude_deg: Degrees,
    /// How far around the place, in metres.
    pub radius_m: ZoneRadius,
}

impl PrivacyZone {
    /// Latitude and longitude in degrees.
    pub fn position(&self) -> (f64, f64) {
        (self.latitude_deg.degrees(), self.longitude_deg.degrees())
    }
}

/// A latitude or longitude in degrees, exact to the ten-millionth, which is a centimetre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Degrees(
    #[serde(with = "ten_millionths")]
    #[schemars(with = "f64")]
    i64,
);

impl Degrees {
    /// A latitude, -90 to 90.
    pub fn latitude(degrees: f64) -> Result<Self, ValueError> {
        in_range(degrees, -90.0, 90.0, "degrees").map(|degrees| Self(ten_millionths::of(degrees)))
    }

    /// A longitude, -180 to 180.
    pub fn longitude(degrees: f64) -> Result<Self, ValueError> {
        in_range(degrees, -180.0, 180.0, "degrees").map(|degrees| Self(ten_millionths::of(degrees)))
    }

    /// Degrees.
    pub fn degrees(self) -> f64 {
        ten_millionths::degrees(self.0)
    }
}

/// The radius of a zone in whole metres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ZoneRadius(u32);

impl ZoneRadius {
    /// The least radius in metres.
    pub const MIN_M: u32 = 200;
    /// The greatest radius in metres.
    pub const MAX_M: u32 = 2_000;

    /// A radius of whole metres, [`Self::MIN_M`] to [`Self::MAX_M`].
    pub fn from_metres(metres: f64) -> Result<Self, ValueError> {
        let metres = in_range(metres, f64::from(Self::MIN_M), f64::from(Self::MAX_M), "m")?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked on the line above")]
        let whole = metres as u32;
        if metres.fract() == 0.0 { Ok(Self(whole)) } else { Err(ValueError("must be whole metres".to_owned())) }
    }

    /// Metres.
    pub fn metres(self) -> u32 {
        self.0
    }
}

/// Decimal ten-millionths kept as an integer, so that a place stays the same however often it is read and written.
mod ten_millionths {
    use serde::{Deserialize, Deserializer, Serializer};

    const STEPS_PER_DEGREE: f64 = 1e7;

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float to integer cast saturates, and limits are checked before"
    )]
    pub fn of(degrees: f64) -> i64 {
        (degrees * STEPS_PER_DEGREE).round() as i64
    }

    pub fn degrees(steps: i64) -> f64 {
        steps as f64 / STEPS_PER_DEGREE
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    pub fn serialize<S: Serializer>(steps: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(degrees(*steps))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        Ok(of(f64::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_refuse_what_is_just_outside_and_what_is_no_number() {
        for good in [-90.0, 0.0, 90.0] {
            assert!(Degrees::latitude(good).is_ok() && Degrees::longitude(2.0 * good).is_ok());
        }
        for bad in [90.000_000_1, -90.1, f64::NAN, f64::INFINITY] {
            assert!(Degrees::latitude(bad).is_err() && Degrees::longitude(2.0 * bad).is_err(), "{bad}");
        }
        for (metres, taken) in [(200.0, true), (2_000.0, true), (199.0, false), (2_001.0, false), (250.5, false)] {
            assert_eq!(ZoneRadius::from_metres(metres).is_ok(), taken, "{metres}");
        }
    }

    #[test]
    fn a_place_is_exact_to_the_ten_millionth_of_a_degree() {
        let place = Degrees::latitude(52.097_312_4).unwrap();
        assert_eq!(serde_json::to_string(&place).unwrap(), "52.0973124");
        assert_eq!(serde_json::from_str::<Degrees>("52.0973124").unwrap(), place);
    }
}
