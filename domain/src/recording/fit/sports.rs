//! FIT's numbers for sports, to FitTrack's and back.
//! The reader asks [`sport_of`] for each session, the writer asks [`numbers_of`].

use rustyfit::profile::typedef::{Sport as FitSport, SubSport};

use crate::sport::Sport;

/// The sport of a session; `other` where FitTrack has no name for it.
pub(in super::super) fn sport_of(sport: FitSport, sub_sport: SubSport) -> Sport {
    match (sport, sub_sport) {
        (_, SubSport::TREADMILL | SubSport::INDOOR_RUNNING) | (FitSport::RUNNING, SubSport::VIRTUAL_ACTIVITY) => {
            Sport::Treadmill
        }
        (FitSport::RUNNING, SubSport::TRAIL) => Sport::TrailRun,
        (FitSport::RUNNING, _) => Sport::Run,
        (FitSport::CYCLING, SubSport::VIRTUAL_ACTIVITY) => Sport::VirtualRide,
        (FitSport::CYCLING, SubSport::GRAVEL_CYCLING | SubSport::CYCLOCROSS | SubSport::MIXED_SURFACE) => {
            Sport::GravelRide
        }
        (FitSport::CYCLING, SubSport::MOUNTAIN | SubSport::DOWNHILL | SubSport::ENDURO)
        | (FitSport::E_BIKING, SubSport::E_BIKE_MOUNTAIN | SubSport::E_BIKE_ENDURO) => Sport::MountainBikeRide,
        (FitSport::CYCLING | FitSport::E_BIKING, _) => Sport::Ride,
        (FitSport::SWIMMING, SubSport::OPEN_WATER) => Sport::OpenWaterSwim,
        (FitSport::SWIMMING, _) => Sport::Swim,
        (FitSport::WALKING, _) => Sport::Walk,
        (FitSport::HIKING | FitSport::MOUNTAINEERING, _) => Sport::Hike,
        (FitSport::ROWING, _) | (_, SubSport::INDOOR_ROWING) => Sport::Row,
        (FitSport::CROSS_COUNTRY_SKIING, _) => Sport::SkiNordic,
        (FitSport::ALPINE_SKIING, _) => Sport::SkiAlpine,
        (_, SubSport::STRENGTH_TRAINING) => Sport::Strength,
        (_, SubSport::YOGA) => Sport::Yoga,
        (_, SubSport::PILATES) => Sport::Pilates,
        (FitSport::HIIT, _) | (_, SubSport::HIIT | SubSport::AMRAP | SubSport::EMOM | SubSport::TABATA) => Sport::Hiit,
        (FitSport::ROCK_CLIMBING, _) | (_, SubSport::INDOOR_CLIMBING | SubSport::BOULDERING) => Sport::Climb,
        (_, SubSport::ELLIPTICAL) => Sport::Elliptical,
        (FitSport::FLOOR_CLIMBING, _) | (_, SubSport::STAIR_CLIMBING) => Sport::Stair,
        (FitSport::JUMP_ROPE, _) => Sport::Rope,
        (FitSport::SOCCER, _) => Sport::Football,
        (FitSport::TENNIS, _) => Sport::Tennis,
        _ => Sport::Other,
    }
}

/// The numbers FIT has for a sport; [`sport_of`] gives the sport back.
pub(in super::super) const fn numbers_of(sport: Sport) -> (FitSport, SubSport) {
    match sport {
        Sport::Run => (FitSport::RUNNING, SubSport::GENERIC),
        Sport::TrailRun => (FitSport::RUNNING, SubSport::TRAIL),
        Sport::Treadmill => (FitSport::RUNNING, SubSport::TREADMILL),
        Sport::Ride => (FitSport::CYCLING, SubSport::GENERIC),
        Sport::GravelRide => (FitSport::CYCLING, SubSport::GRAVEL_CYCLING),
        Sport::MountainBikeRide => (FitSport::CYCLING, SubSport::MOUNTAIN),
        Sport::VirtualRide => (FitSport::CYCLING, SubSport::VIRTUAL_ACTIVITY),
        Sport::Swim => (FitSport::SWIMMING, SubSport::LAP_SWIMMING),
        Sport::OpenWaterSwim => (FitSport::SWIMMING, SubSport::OPEN_WATER),
        Sport::Walk => (FitSport::WALKING, SubSport::GENERIC),
        Sport::Hike => (FitSport::HIKING, SubSport::GENERIC),
        Sport::Row => (FitSport::ROWING, SubSport::GENERIC),
        Sport::SkiNordic => (FitSport::CROSS_COUNTRY_SKIING, SubSport::GENERIC),
        Sport::SkiAlpine => (FitSport::ALPINE_SKIING, SubSport::GENERIC),
        Sport::Strength => (FitSport::TRAINING, SubSport::STRENGTH_TRAINING),
        Sport::Yoga => (FitSport::TRAINING, SubSport::YOGA),
        Sport::Pilates => (FitSport::TRAINING, SubSport::PILATES),
        Sport::Hiit => (FitSport::HIIT, SubSport::HIIT),
        Sport::Climb => (FitSport::ROCK_CLIMBING, SubSport::GENERIC),
        Sport::Elliptical => (FitSport::FITNESS_EQUIPMENT, SubSport::ELLIPTICAL),
        Sport::Stair => (FitSport::FITNESS_EQUIPMENT, SubSport::STAIR_CLIMBING),
        Sport::Rope => (FitSport::JUMP_ROPE, SubSport::GENERIC),
        Sport::Football => (FitSport::SOCCER, SubSport::GENERIC),
        Sport::Tennis => (FitSport::TENNIS, SubSport::GENERIC),
        Sport::Other => (FitSport::GENERIC, SubSport::GENERIC),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sport_survives_the_way_through_fit() {
        for sport in Sport::ALL {
            let (number, sub_number) = numbers_of(sport);
            assert_eq!(sport_of(number, sub_number), sport);
        }
    }
}
