//! What is left of a recording when its ends near some places are not to be seen.
//! Who hides which places is [`crate::privacy`]'s business; this says which samples go with them.
use super::field::Field;
use super::samples::Recording;

/// A shorter stay outside is no leaving: a stray first fix, a bend along the edge.
const STAY_S: f64 = 60.0;
/// Nor are fewer positions, however far apart in time.
const STAY_POSITIONS: usize = 3;

/// Samples without a hidden position among them, from the first position to the last.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    first: usize,
    last: usize,
    begins_s: f64,
    ends_s: f64,
    positions: usize,
}

/// The recording from where it first stays out of what is hidden to where it last does.
///
/// Of what is before and after, nothing is left in any column, samples without a position included, and time and distance
/// count from the first sample that is left: neither says how long the way there was. A position is latitude and
/// longitude in degrees. What lies between stays, hidden places included: only ends are hidden. A recording without a
/// position at all is left as it is, and nothing is left of one that never stays outside.
#[must_use]
pub fn without_hidden_ends(recording: Recording, is_hidden: impl Fn((f64, f64)) -> bool) -> Recording {
    if recording.get(Field::LatitudeDeg).is_none() {
        return recording;
    }
    let (stretches, is_any_hidden) = stretches(&recording, is_hidden);
    let is_stay = |stretch: &&Stretch| {
        let lasts_s = stretch.ends_s - stretch.begins_s;
        !is_any_hidden || (stretch.positions >= STAY_POSITIONS && lasts_s >= STAY_S)
    };
    let mut stays = stretches.iter().filter(is_stay);
    match (stays.next(), stretches.iter().rfind(is_stay)) {
        (Some(first), Some(last)) => recording.part(first.first..last.last + 1),
        _ => Recording::default(),
    }
}

/// All stretches in order, and whether any position is hidden.
fn stretches(recording: &Recording, is_hidden: impl Fn((f64, f64)) -> bool) -> (Vec<Stretch>, bool) {
    let mut stretches: Vec<Stretch> = Vec::new();
    let (mut is_open, mut is_any_hidden) = (false, false);
    for (index, &at_s) in recording.elapsed_s().iter().enumerate() {
        let Some(position) = recording.position(index) else { continue };
        if is_hidden(position) {
            (is_open, is_any_hidden) = (false, true);
            continue;
        }
        if let Some(stretch) = stretches.last_mut().filter(|_| is_open) {
            (stretch.last, stretch.ends_s) = (index, at_s);
            stretch.positions += 1;
        } else {
            stretches.push(Stretch { first: index, last: index, begins_s: at_s, ends_s: at_s, positions: 1 });
        }
        is_open = true;
    }
    (stretches, is_any_hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Latitudes below this are hidden.
    const EDGE_DEG: f64 = 1.0;

    /// A sample every ten seconds from 5 s on, 20 m apart; `None` is a sample without a position.
    fn track(latitudes: &[Option<f64>]) -> Recording {
        let times = (0..latitudes.len()).map(|at| 5.0 + 10.0 * at as f64).collect();
        let metres = (0..latitudes.len()).map(|at| Some(100.0 + 20.0 * at as f64)).collect();
        let beats = (0..latitudes.len()).map(|at| Some(100.0 + at as f64)).collect();
        let longitudes = latitudes.iter().map(|latitude| latitude.map(|_| 179.999_9)).collect();
        Recording::from_columns(
            times,
            [
                (Field::LatitudeDeg, latitudes.to_vec()),
                (Field::LongitudeDeg, longitudes),
                (Field::DistanceM, metres),
                (Field::HeartRateBpm, beats),
            ],
        )
        .unwrap()
    }

    fn shown(latitudes: &[Option<f64>]) -> Recording {
        without_hidden_ends(track(latitudes), |(latitude, _)| latitude < EDGE_DEG)
    }

    const IN: Option<f64> = Some(0.5);
    const OUT: Option<f64> = Some(1.5);
    const GAP: Option<f64> = None;

    /// The parts one after another, each so many times.
    fn samples(parts: &[(Option<f64>, usize)]) -> Vec<Option<f64>> {
        parts.iter().flat_map(|(sample, times)| vec![*sample; *times]).collect()
    }

    #[test]
    fn both_ends_go_in_every_column_and_time_and_distance_begin_anew() {
        let shown = shown(&samples(&[(IN, 3), (OUT, 8), (IN, 2)]));
        assert_eq!(shown.len(), 8);
        assert_eq!((shown.elapsed_s()[0], shown.elapsed_s()[7]), (0.0, 70.0));
        assert_eq!((shown.value(Field::DistanceM, 0), shown.value(Field::DistanceM, 7)), (Some(0.0), Some(140.0)));
        assert_eq!(shown.value(Field::HeartRateBpm, 0), Some(103.0));
        assert!(shown.get(Field::LatitudeDeg).unwrap().iter().all(|latitude| *latitude == OUT));
    }

    #[test]
    fn a_sensor_gap_goes_with_its_end_and_one_on_the_way_stays() {
        let shown = shown(&samples(&[(GAP, 2), (IN, 1), (GAP, 2), (OUT, 5), (GAP, 3), (OUT, 5), (GAP, 4)]));
        assert_eq!(shown.len(), 13);
        assert_eq!(shown.value(Field::HeartRateBpm, 0), Some(105.0));
        // Also where no position is hidden: where it was before the first one nobody knows.
        let late = super::without_hidden_ends(track(&samples(&[(GAP, 2), (OUT, 2), (GAP, 1)])), |_| false);
        assert_eq!((late.len(), late.elapsed_s()), (2, &[0.0, 10.0][..]));
    }

    #[test]
    fn the_way_through_a_place_stays() {
        assert_eq!(shown(&samples(&[(OUT, 8), (IN, 5), (OUT, 8)])).len(), 21);
    }

    #[test]
    fn a_stray_fix_or_a_moment_outside_shows_nothing_of_what_follows() {
        // The first fix is often where the device was last switched off.
        assert_eq!(shown(&samples(&[(OUT, 1), (IN, 5), (OUT, 9)])).len(), 9);
        assert_eq!(shown(&samples(&[(IN, 5), (OUT, 9), (IN, 5), (OUT, 2)])).len(), 9);
        assert_eq!(shown(&samples(&[(IN, 5), (OUT, 5), (IN, 5)])), Recording::default());
        // Two positions a minute apart are no more than two positions.
        assert_eq!(shown(&samples(&[(IN, 2), (OUT, 1), (GAP, 9), (OUT, 1), (IN, 2)])), Recording::default());
    }

    #[test]
    fn a_track_wholly_inside_leaves_nothing_and_one_wholly_outside_everything() {
        assert_eq!(shown(&samples(&[(IN, 20)])), Recording::default());
        let short = samples(&[(OUT, 2)]);
        let whole = shown(&short);
        assert_eq!((whole.len(), whole.get(Field::LatitudeDeg)), (2, Some(&short[..])));
    }

    #[test]
    fn what_has_no_positions_is_left_as_it_is() {
        let beats = vec![Some(100.0), Some(101.0)];
        let indoors = Recording::from_columns(vec![3.0, 4.0], [(Field::HeartRateBpm, beats)]).unwrap();
        assert_eq!(without_hidden_ends(indoors.clone(), |_| true), indoors);
        assert_eq!(without_hidden_ends(Recording::default(), |_| true), Recording::default());
    }

    #[test]
    fn a_distance_that_runs_backwards_is_never_negative() {
        let recording = Recording::from_columns(
            vec![0.0, 1.0, 2.0],
            [
                (Field::LatitudeDeg, vec![OUT; 3]),
                (Field::LongitudeDeg, vec![Some(0.0); 3]),
                (Field::DistanceM, vec![None, Some(50.0), Some(40.0)]),
            ],
        )
        .unwrap();
        let shown = without_hidden_ends(recording, |_| false);
        assert_eq!(shown.get(Field::DistanceM), Some(&[None, Some(0.0), Some(0.0)][..]));
    }
}
