//! What a zone hides: a circle around somewhere else, which has the whole zone in it.
//!
//! Were it the zone itself, the ends of a few tracks would lie on a circle whose centre is the place to be hidden. So the centre
//! is displaced by up to half the radius (at the least radius by at least a quarter), in a direction and by a length that
//! follow from SHA-256 of the zone's id, which nobody else has. Whoever finds the circle's centre knows the place to within half a
//! radius and no better.
//!
//! The displacement has two parts: one for the least radius there is, which stays when the radius is changed, and one that
//! grows with the rest of the radius in another direction. Were there one alone, the centres for two radii would lie on a
//! line through the place, at distances that give it away.
use sha2::{Digest, Sha256};

use super::{PrivacyZone, ZoneId, ZoneRadius};
use crate::recording::measure::{EARTH_RADIUS_M, haversine_m};

/// The circle's radius, in radii of the zone: the zone is within it wherever within half a radius its centre is.
const RADII: f64 = 1.5;
/// The greatest displacement, in radii of the zone.
const FARTHEST_RADII: f64 = 0.5;

/// Within it, the ends of tracks are not shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HiddenCircle {
    centre: (f64, f64),
    radius_m: f64,
}

impl HiddenCircle {
    /// What a zone hides.
    pub fn of(zone: &PrivacyZone) -> Self {
        let least_m = f64::from(ZoneRadius::MIN_M);
        let radius_m = f64::from(zone.radius_m.metres());
        let [first, second] = displacements(zone.zone_id);
        let centre = first.of(zone.position(), least_m);
        let centre = second.of(centre, (radius_m - least_m).max(0.0));
        Self { centre, radius_m: radius_m * RADII }
    }

    /// Whether a position (latitude and longitude in degrees) is within it.
    pub fn hides(&self, position: (f64, f64)) -> bool {
        haversine_m(self.centre, position) <= self.radius_m
    }
}

/// A direction and a length.
#[derive(Debug, Clone, Copy)]
struct Displacement {
    /// Clockwise from north, in radians.
    bearing: f64,
    /// In radii.
    radii: f64,
}

impl Displacement {
    /// Every point of the ring from a half to the whole of [`FARTHEST_RADII`] is as likely; both arguments from 0 to 1.
    fn at(around: f64, outwards: f64) -> Self {
        let (inner, outer) = (FARTHEST_RADII / 2.0, FARTHEST_RADII);
        let radii = (inner.powi(2) + outwards * (outer.powi(2) - inner.powi(2))).sqrt();
        Self { bearing: around * std::f64::consts::TAU, radii }
    }

    /// Where a position is displaced to; the longitude may be past the antimeridian, which no distance minds.
    fn of(self, (latitude, longitude): (f64, f64), radius_m: f64) -> (f64, f64) {
        let angle = self.radii * radius_m / EARTH_RADIUS_M;
        let (sin, cos) = latitude.to_radians().sin_cos();
        let to_sin = (sin * angle.cos() + cos * angle.sin() * self.bearing.cos()).clamp(-1.0, 1.0);
        let turned = (self.bearing.sin() * angle.sin() * cos).atan2(angle.cos() - sin * to_sin);
        (to_sin.asin().to_degrees(), longitude + turned.to_degrees())
    }
}

#[expect(clippy::indexing_slicing, reason = "there are four parts of four bytes each, and the digest has 32")]
fn displacements(zone_id: ZoneId) -> [Displacement; 2] {
    let digest: [u8; 32] = Sha256::new().chain_update(b"privacy zone").chain_update(zone_id.0).finalize().into();
    let share = |part: usize| {
        let bytes: [u8; 4] = std::array::from_fn(|at| digest[part * 4 + at]);
        f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
    };
    [Displacement::at(share(0), share(1)), Displacement::at(share(2), share(3))]
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::Degrees;
    use super::*;

    /// A city, both sides of the antimeridian, and both poles.
    const PLACES: [(f64, f64); 7] =
        [(52.1, 6.6), (-36.8, 174.7), (0.0, 180.0), (-17.0, -180.0), (65.0, 179.999_9), (90.0, 0.0), (-89.999_9, 12.0)];

    fn zone(id: u128, (latitude, longitude): (f64, f64), radius_m: f64) -> PrivacyZone {
        PrivacyZone {
            zone_id: ZoneId(Uuid::from_u128(id)),
            name: None,
            latitude_deg: Degrees::latitude(latitude).unwrap(),
            longitude_deg: Degrees::longitude(longitude).unwrap(),
            radius_m: ZoneRadius::from_metres(radius_m).unwrap(),
        }
    }

    fn at_distance(from: (f64, f64), metres: f64, around: f64) -> (f64, f64) {
        Displacement { bearing: around * std::f64::consts::TAU, radii: 1.0 }.of(from, metres)
    }

    #[test]
    fn the_whole_zone_is_hidden_wherever_it_is_and_whatever_its_id() {
        for place in PLACES {
            for (id, radius_m) in (0..40).flat_map(|id| [(id, 200.0), (id, 750.0), (id, 2_000.0)]) {
                let hidden = HiddenCircle::of(&zone(id, place, radius_m));
                assert!(hidden.hides(place));
                for step in 0..32 {
                    let edge = at_distance(place, radius_m - 0.01, f64::from(step) / 32.0);
                    assert!(hidden.hides(edge), "{place:?} {id} {radius_m} {step}");
                    let beyond = at_distance(place, 2.0 * radius_m + 0.01, f64::from(step) / 32.0);
                    assert!(!hidden.hides(beyond), "{place:?} {id} {radius_m} {step}");
                }
            }
        }
    }

    #[test]
    fn the_place_is_never_in_the_middle_and_always_well_inside() {
        for (id, radius_m) in (0..200).flat_map(|id| [(id, 200.0), (id, 2_000.0)]) {
            let hidden = HiddenCircle::of(&zone(id, PLACES[0], radius_m));
            let away_m = haversine_m(hidden.centre, PLACES[0]);
            assert!(away_m <= 0.5 * radius_m + 0.01, "{id}: {away_m}");
            if (radius_m - 200.0).abs() < 0.5 {
                assert!(away_m >= 0.25 * radius_m - 0.01, "{id}: {away_m}");
            }
        }
    }

    #[test]
    fn it_is_the_same_each_time_and_another_for_another_zone() {
        let of = |id| HiddenCircle::of(&zone(id, PLACES[0], 400.0));
        assert_eq!(of(1), of(1));
        assert!(haversine_m(of(1).centre, of(2).centre) > 1.0);
    }

    #[test]
    fn ids_displace_in_all_directions() {
        let north_east = (0..400)
            .map(|id| HiddenCircle::of(&zone(id, (0.0, 0.0), 200.0)).centre)
            .filter(|(latitude, longitude)| *latitude > 0.0 && *longitude > 0.0)
            .count();
        assert!((70..130).contains(&north_east), "{north_east} of 400");
    }

    #[test]
    fn two_radii_of_one_zone_do_not_point_at_the_place() {
        // Were all displacement in proportion, the centres would meet in the place when extrapolated to no radius at all.
        let mut near = 0;
        for id in 0..100 {
            let small = HiddenCircle::of(&zone(id, (0.0, 0.0), 400.0)).centre;
            let large = HiddenCircle::of(&zone(id, (0.0, 0.0), 800.0)).centre;
            let guess = (2.0 * small.0 - large.0, 2.0 * small.1 - large.1);
            near += usize::from(haversine_m(guess, (0.0, 0.0)) < 20.0);
        }
        assert!(near < 10, "{near} of 100 guesses are right");
    }
}
