//! The sports FitTrack knows, under the names its API and its events use.
//! Everything that has a sport (a workout, a goal, a board, a recording read from a file) parses it here once.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One sport; JSON and `Display` use the `snake_case` name.
///
/// The order of the variants is the order of the API's list and is used wherever sports are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sport {
    Run,
    TrailRun,
    Treadmill,
    Ride,
    GravelRide,
    MountainBikeRide,
    VirtualRide,
    Swim,
    OpenWaterSwim,
    Walk,
    Hike,
    Row,
    SkiNordic,
    SkiAlpine,
    Strength,
    Yoga,
    Pilates,
    Hiit,
    Climb,
    Elliptical,
    Stair,
    Rope,
    Football,
    Tennis,
    Other,
}

/// The name is none of [`Sport::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no sport; the sports are {}", names())]
pub struct UnknownSport {
    /// What was given, cut to 64 characters.
    pub given: String,
}

impl Sport {
    /// Every sport, in the order of the API's list.
    pub const ALL: [Self; 25] = [
        Self::Run,
        Self::TrailRun,
        Self::Treadmill,
        Self::Ride,
        Self::GravelRide,
        Self::MountainBikeRide,
        Self::VirtualRide,
        Self::Swim,
        Self::OpenWaterSwim,
        Self::Walk,
        Self::Hike,
        Self::Row,
        Self::SkiNordic,
        Self::SkiAlpine,
        Self::Strength,
        Self::Yoga,
        Self::Pilates,
        Self::Hiit,
        Self::Climb,
        Self::Elliptical,
        Self::Stair,
        Self::Rope,
        Self::Football,
        Self::Tennis,
        Self::Other,
    ];

    /// The sport of this exact name.
    ///
    /// # Errors
    /// [`UnknownSport`], which lists the names there are.
    pub fn parse(name: &str) -> Result<Self, UnknownSport> {
        Self::ALL
            .into_iter()
            .find(|sport| sport.as_str() == name)
            .ok_or_else(|| UnknownSport { given: name.chars().take(64).collect() })
    }

    /// The `snake_case` name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::TrailRun => "trail_run",
            Self::Treadmill => "treadmill",
            Self::Ride => "ride",
            Self::GravelRide => "gravel_ride",
            Self::MountainBikeRide => "mountain_bike_ride",
            Self::VirtualRide => "virtual_ride",
            Self::Swim => "swim",
            Self::OpenWaterSwim => "open_water_swim",
            Self::Walk => "walk",
            Self::Hike => "hike",
            Self::Row => "row",
            Self::SkiNordic => "ski_nordic",
            Self::SkiAlpine => "ski_alpine",
            Self::Strength => "strength",
            Self::Yoga => "yoga",
            Self::Pilates => "pilates",
            Self::Hiit => "hiit",
            Self::Climb => "climb",
            Self::Elliptical => "elliptical",
            Self::Stair => "stair",
            Self::Rope => "rope",
            Self::Football => "football",
            Self::Tennis => "tennis",
            Self::Other => "other",
        }
    }

    /// The average speed over a whole effort, in metres a second, above which it is flagged as implausible.
    ///
    /// Each bound is a little above the best a human is known to have done over the shortest distance people log as a
    /// workout, so that a flag means "a vehicle, or a broken sensor", never "an unusually good athlete".
    pub const fn max_plausible_speed_mps(self) -> f64 {
        match self {
            // 1,000 m world record, 131.96 s, is 7.58 m/s.
            Self::Run | Self::Treadmill | Self::Hiit => 7.6,
            // Mountain courses run downhill stay under this.
            Self::TrailRun => 6.8,
            // The 4 km pursuit record is 16.7 m/s, the hour record 15.8; a ride down a pass may average a bit more.
            Self::Ride => 20.0,
            Self::GravelRide | Self::MountainBikeRide => 16.0,
            // Simulated drafting and descents are faster than the road.
            Self::VirtualRide => 22.0,
            // 50 m freestyle, 20.91 s, is 2.39 m/s.
            Self::Swim => 2.4,
            // Slower swimmers, but a current may carry them.
            Self::OpenWaterSwim => 2.8,
            // 5 km race walk records are 4.65 m/s.
            Self::Walk => 4.7,
            Self::Hike => 4.0,
            // 500 m on the machine, about 70 s, is 7.1 m/s; an eight on the water 6.3.
            Self::Row => 7.2,
            // Sprint races on snow average near 10 m/s.
            Self::SkiNordic => 11.0,
            // A downhill race averages near 29 m/s.
            Self::SkiAlpine => 30.0,
            Self::Elliptical => 7.0,
            Self::Football => 6.0,
            Self::Tennis | Self::Rope => 5.0,
            // Done on the spot: a distance is sensor drift.
            Self::Strength | Self::Yoga | Self::Pilates | Self::Climb | Self::Stair => 3.0,
            // Sailing, skating, gliding: only what no sport does.
            Self::Other => 40.0,
        }
    }
}

impl FromStr for Sport {
    type Err = UnknownSport;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::parse(name)
    }
}

impl fmt::Display for Sport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn names() -> String {
    Sport::ALL.map(Sport::as_str).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sport_has_one_name_in_code_in_json_and_in_text() {
        for sport in Sport::ALL {
            assert_eq!(serde_json::to_value(sport).unwrap(), serde_json::json!(sport.as_str()));
            assert_eq!(sport.to_string().parse(), Ok(sport));
        }
    }

    #[test]
    fn an_unknown_sport_is_refused_with_the_list() {
        let refusal = Sport::parse("Running").unwrap_err().to_string();
        assert!(refusal.starts_with("\"Running\" is no sport; the sports are run, trail_run,"), "{refusal}");
    }

    #[test]
    fn a_very_long_name_is_not_repeated_whole() {
        assert_eq!(Sport::parse(&"x".repeat(10_000)).unwrap_err().given.len(), 64);
    }

    #[test]
    fn every_bound_is_a_speed() {
        assert!(Sport::ALL.iter().all(|sport| (1.0..100.0).contains(&sport.max_plausible_speed_mps())));
    }
}
