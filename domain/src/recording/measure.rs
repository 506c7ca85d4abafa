//! Sums over samples by FitTrack's own definitions: distance, elevation gain, pauses and averages.
//! `draft` uses them for what the device does not say; each is pure and public so that metrics use the same.

use super::field::Field;
use super::samples::Recording;

/// Mean radius of the Earth in metres (IUGG R1), the radius of every haversine here.
pub const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Longest time one sample stands for, in seconds: devices record every 1 to 7 s, more is a gap.
pub const GAP_CAP_S: f64 = 10.0;

/// Slower than this over a gap, in metres a second, somebody stood still.
const STANDSTILL_MPS: f64 = 0.3;

/// So many impossible positions in a row are not a glitch: the athlete really is there now.
const GLITCHES_BELIEVED: usize = 5;

/// Great-circle distance in metres between two positions in degrees, on a sphere of [`EARTH_RADIUS_M`].
pub fn haversine_m((lat_a, lon_a): (f64, f64), (lat_b, lon_b): (f64, f64)) -> f64 {
    let half_chord = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let a = half_chord(lat_b - lat_a) + lat_a.to_radians().cos() * lat_b.to_radians().cos() * half_chord(lon_b - lon_a);
    2.0 * EARTH_RADIUS_M * a.clamp(0.0, 1.0).sqrt().asin()
}

/// Cumulative distance in metres at every sample, from positions; steps faster than `max_step_mps` are dropped.
///
/// None where the recording has no positions. A sample without a position repeats the distance before it.
pub fn distance_from_positions(recording: &Recording, max_step_mps: f64) -> Option<Vec<Option<f64>>> {
    recording.get(Field::LatitudeDeg)?;
    let mut total_m = 0.0;
    let mut last: Option<(f64, (f64, f64))> = None;
    let mut glitches = 0;
    let distances = recording.elapsed_s().iter().enumerate().map(|(index, elapsed_s)| {
        if let Some(position) = recording.position(index) {
            let step_m = last.map_or(0.0, |(_, before)| haversine_m(before, position));
            let step_s = last.map_or(0.0, |(at, _)| elapsed_s - at);
            if step_m <= max_step_mps * step_s.max(1.0) {
                total_m += step_m;
                glitches = 0;
                last = Some((*elapsed_s, position));
            } else {
                glitches += 1;
                if glitches > GLITCHES_BELIEVED {
                    glitches = 0;
                    last = Some((*elapsed_s, position));
                }
            }
        }
        Some(total_m)
    });
    Some(distances.collect())
}

/// Elevation gain in metres by hysteresis: climbs count once they exceed `hysteresis_m` above the reference.
///
/// None without a single altitude. FitTrack uses 3 m for barometric altitudes and 10 m for satellites alone.
pub fn elevation_gain_m(altitudes_m: &[Option<f64>], hysteresis_m: f64) -> Option<f64> {
    let mut known = altitudes_m.iter().copied().flatten();
    let mut reference = known.next()?;
    let mut gain_m = 0.0;
    for altitude in known {
        if altitude > reference + hysteresis_m {
            gain_m += altitude - reference;
            reference = altitude;
        } else if altitude < reference - hysteresis_m {
            reference = altitude;
        }
    }
    Some(gain_m)
}

/// Seconds in gaps longer than [`GAP_CAP_S`] over which the athlete stood still.
pub fn standstill_gaps_s(recording: &Recording) -> f64 {
    let elapsed_s = recording.elapsed_s();
    let gap = |(index, (before_s, after_s)): (usize, (&f64, &f64))| {
        let gap_s = after_s - before_s;
        let moved_m = recording.value(Field::DistanceM, index + 1)? - recording.value(Field::DistanceM, index)?;
        (gap_s > GAP_CAP_S && moved_m < STANDSTILL_MPS * gap_s).then_some(gap_s)
    };
    elapsed_s.iter().zip(elapsed_s.iter().skip(1)).enumerate().filter_map(gap).sum()
}

/// Mean of a column weighted by the time each sample stands for, at most [`GAP_CAP_S`]; none without a value.
pub fn time_weighted_mean(recording: &Recording, field: Field) -> Option<f64> {
    let values = recording.get(field)?;
    let elapsed_s = recording.elapsed_s();
    let (mut weighted, mut weights, mut sum, mut count) = (0.0, 0.0, 0.0, 0.0);
    let until_s = elapsed_s.iter().skip(1).chain(elapsed_s.last());
    for ((value, at_s), until_s) in values.iter().zip(elapsed_s).zip(until_s) {
        let Some(value) = value else { continue };
        let weight = (until_s - at_s).min(GAP_CAP_S);
        weighted += value * weight;
        weights += weight;
        sum += value;
        count += 1.0;
    }
    // All samples at one instant have no time to weigh them by.
    if weights > 0.0 { Some(weighted / weights) } else { (count > 0.0).then(|| sum / count) }
}

/// Largest value of a column.
pub fn maximum(recording: &Recording, field: Field) -> Option<f64> {
    recording.get(field)?.iter().copied().flatten().reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    fn walk(times: &[f64], latitudes: &[f64]) -> Recording {
        let longitudes = column(&vec![0.0; latitudes.len()]);
        Recording::from_columns(
            times.to_vec(),
            [(Field::LatitudeDeg, column(latitudes)), (Field::LongitudeDeg, longitudes)],
        )
        .unwrap()
    }

    #[test]
    fn a_degree_of_latitude_is_a_360th_of_the_circumference() {
        let degree_m = 2.0 * std::f64::consts::PI * EARTH_RADIUS_M / 360.0;
        assert!((haversine_m((0.0, 0.0), (1.0, 0.0)) - degree_m).abs() < 1e-6);
        assert!((haversine_m((0.0, 179.5), (0.0, -179.5)) - degree_m).abs() < 1e-6);
        assert!(haversine_m((52.0, 6.0), (52.0, 6.0)).abs() < 1e-12);
    }

    #[test]
    fn one_impossible_position_is_skipped_but_a_move_is_believed() {
        // 0.0001 degrees are 11.1 m.
        let glitch = walk(&[0.0, 1.0, 2.0], &[0.0, 5.0, 0.0001]);
        let metres = distance_from_positions(&glitch, 20.0).unwrap();
        assert!((metres[2].unwrap() - 11.12).abs() < 0.01, "{metres:?}");
        let times: Vec<f64> = (0..9).map(f64::from).collect();
        let moved = walk(&times, &[0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0001, 5.0002]);
        let metres = distance_from_positions(&moved, 20.0).unwrap();
        assert!((metres[8].unwrap() - 22.24).abs() < 0.01, "{metres:?}");
    }

    #[test]
    fn small_waves_do_not_count_as_climbing() {
        let altitudes = column(&[100.0, 102.0, 99.0, 104.0, 101.0, 110.0, 90.0, 95.0]);
        assert_eq!(elevation_gain_m(&altitudes, 3.0), Some(4.0 + 6.0 + 5.0));
        assert_eq!(elevation_gain_m(&altitudes, 10.0), Some(0.0));
        assert_eq!(elevation_gain_m(&[None], 3.0), None);
    }

    #[test]
    fn a_sample_counts_for_the_time_it_stands_for() {
        let recording = Recording::from_columns(
            vec![0.0, 1.0, 4.0, 1_000.0],
            [(Field::HeartRateBpm, column(&[100.0, 140.0, 120.0, 200.0]))],
        )
        .unwrap();
        let expected = (100.0 + 3.0 * 140.0 + 10.0 * 120.0) / 14.0;
        assert!((time_weighted_mean(&recording, Field::HeartRateBpm).unwrap() - expected).abs() < 1e-9);
        assert_eq!(maximum(&recording, Field::HeartRateBpm), Some(200.0));
    }

    #[test]
    fn a_gap_is_a_pause_only_where_nobody_moved() {
        let recording =
            Recording::from_columns(vec![0.0, 60.0, 120.0], [(Field::DistanceM, column(&[0.0, 5.0, 300.0]))]).unwrap();
        assert!((standstill_gaps_s(&recording) - 60.0).abs() < 1e-9);
    }
}
