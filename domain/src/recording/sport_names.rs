//! The names other programs give to sports, as far as they are known, and the sport each means.
//! The GPX and TCX parsers ask here; FIT has numbers of its own (`fit/sports.rs`).

use crate::sport::Sport;

/// The sport meant by a name such as `cycling`, `Trail Running`, Strava's `9` or FitTrack's own; none where unknown.
pub(super) fn sport_of_name(name: &str) -> Option<Sport> {
    let name = name.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    if let Ok(sport) = Sport::parse(&name) {
        return Some(sport);
    }
    Some(match name.as_str() {
        "running" | "street_running" | "track_running" | "ultra_run" | "obstacle_run" | "9" => Sport::Run,
        "trail_running" | "trailrun" => Sport::TrailRun,
        "treadmill_running" | "indoor_running" | "virtual_run" | "virtualrun" => Sport::Treadmill,
        "cycling" | "biking" | "bike" | "road_biking" | "road_cycling" | "indoor_cycling" | "track_cycling"
        | "recumbent_cycling" | "e_bike_fitness" | "ebikeride" | "1" => Sport::Ride,
        "gravel_cycling" | "gravel_unpaved_cycling" | "cyclocross" | "gravelride" => Sport::GravelRide,
        "mountain_biking" | "downhill_biking" | "e_bike_mountain" | "mountainbikeride" | "mtb" => {
            Sport::MountainBikeRide
        }
        "virtualride" | "virtual_cycling" | "17" => Sport::VirtualRide,
        "swimming" | "lap_swimming" | "pool_swimming" | "16" => Sport::Swim,
        "open_water_swimming" | "open_water" => Sport::OpenWaterSwim,
        "walking" | "casual_walking" | "speed_walking" | "indoor_walking" | "10" => Sport::Walk,
        "hiking" | "mountaineering" | "4" => Sport::Hike,
        "rowing" | "indoor_rowing" | "rowing_v2" => Sport::Row,
        "cross_country_skiing" | "cross_country_skiing_ws" | "skate_skiing_ws" | "nordicski" | "nordic_ski" => {
            Sport::SkiNordic
        }
        "alpine_skiing" | "resort_skiing_snowboarding_ws" | "resort_skiing" | "alpineski" | "downhill_skiing" => {
            Sport::SkiAlpine
        }
        "strength_training" | "weighttraining" | "weight_training" => Sport::Strength,
        "hiit_training" | "high_intensity_interval_training" => Sport::Hiit,
        "rock_climbing" | "indoor_climbing" | "bouldering" | "rockclimbing" | "climbing" => Sport::Climb,
        "elliptical_trainer" => Sport::Elliptical,
        "stair_climbing" | "stairstepper" | "floor_climbing" => Sport::Stair,
        "jump_rope" | "rope_skipping" => Sport::Rope,
        "soccer" => Sport::Football,
        "tennis_v2" => Sport::Tennis,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_programs_are_understood_whatever_their_case() {
        for (name, sport) in [
            ("cycling", Sport::Ride),
            ("1", Sport::Ride),
            ("Biking", Sport::Ride),
            ("running", Sport::Run),
            ("9", Sport::Run),
            ("Trail Running", Sport::TrailRun),
            ("open_water_swimming", Sport::OpenWaterSwim),
            ("gravel_ride", Sport::GravelRide),
        ] {
            assert_eq!(sport_of_name(name), Some(sport), "{name}");
        }
        assert_eq!(sport_of_name("quidditch"), None);
    }
}
