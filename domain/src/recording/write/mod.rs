//! Writes an activity as a file again: for exports, for the demonstration and for tests of the parsers.
//! What a format has no place for is left out; what is written reads back as the same activity.

mod fit;
mod gpx;
mod tcx;
mod xml;

use super::activity::Activity;
use super::field::Field;
use super::format::Format;

/// Why an activity cannot be written in a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteRefusal {
    #[error("a {format} file of this activity would be empty: {format} has no place for samples without a position")]
    NoPositions { format: Format },
    #[error("the activity cannot be written as FIT: {reason}")]
    Fit { reason: String },
}

/// The activity as a file of this format.
///
/// # Errors
/// GPX knows positions only, so an activity without any is refused; FIT refuses what its encoder refuses.
pub fn write(activity: &Activity, format: Format) -> Result<Vec<u8>, WriteRefusal> {
    match format {
        Format::Fit => fit::write(activity),
        Format::Gpx if activity.recording.get(Field::LatitudeDeg).is_none() => {
            Err(WriteRefusal::NoPositions { format })
        }
        Format::Gpx => Ok(gpx::write(activity)),
        Format::Tcx => Ok(tcx::write(activity)),
    }
}

/// Gaps of more than this between two samples are written as a pause where a format has pauses, in seconds.
const PAUSE_S: f64 = super::measure::GAP_CAP_S;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Recording, parse, synthesize};
    use crate::sport::Sport;

    fn assert_near(what: &str, got: Option<f64>, expected: Option<f64>, tolerance: f64) {
        match (got, expected) {
            (Some(got), Some(expected)) => {
                assert!((got - expected).abs() <= tolerance, "{what}: {got} instead of {expected}");
            }
            _ => assert_eq!(got, expected, "{what}"),
        }
    }

    fn assert_same(got: &Activity, expected: &Activity, format: Format) {
        assert_eq!(got.sport, expected.sport);
        assert_eq!(got.started_at, expected.started_at);
        assert_near("duration", Some(got.duration_s), Some(expected.duration_s), 0.001);
        assert_near("moving", Some(got.moving_s), Some(expected.moving_s), 0.001);
        // A GPX distance is the sum of its positions.
        let tolerance = if format == Format::Gpx { expected.distance_m.unwrap_or_default() / 500.0 } else { 0.02 };
        assert_near("distance", got.distance_m, expected.distance_m, tolerance);
        assert_near("average heart rate", got.average_heart_rate_bpm, expected.average_heart_rate_bpm, 0.5);
        assert_near("max heart rate", got.max_heart_rate_bpm, expected.max_heart_rate_bpm, 0.1);
        assert_near("average power", got.average_power_w, expected.average_power_w, 0.5);
        assert_near("max power", got.max_power_w, expected.max_power_w, 0.1);
        assert_eq!(got.recording.elapsed_s(), expected.recording.elapsed_s());
        for field in expected.recording.fields() {
            if format == Format::Gpx && field == Field::DistanceM {
                continue;
            }
            for index in 0..expected.recording.len() {
                let value = |activity: &Activity| activity.recording.value(field, index);
                assert_near(&format!("{field} at {index}"), value(got), value(expected), tolerance_of(field));
            }
        }
    }

    fn tolerance_of(field: Field) -> f64 {
        match field {
            Field::LatitudeDeg | Field::LongitudeDeg => 2e-7,
            Field::AltitudeM => 0.11,
            _ => 0.011,
        }
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_activity() {
        let started_at = "2026-05-17T06:30:00Z".parse().unwrap();
        for sport in [Sport::Run, Sport::TrailRun, Sport::Ride, Sport::Row, Sport::Hike] {
            let activity = synthesize(7, sport, started_at, 1_900.0);
            for format in Format::ALL {
                let bytes = write(&activity, format).unwrap();
                assert_eq!(Format::sniff(&bytes), Some(format));
                let read = parse(&bytes, format).unwrap();
                assert_eq!(read.len(), 1);
                assert_same(&read[0], &activity, format);
                if format != Format::Gpx {
                    assert_eq!(read[0].laps.len(), activity.laps.len());
                    assert_eq!(read[0].energy_kcal, activity.energy_kcal);
                }
            }
        }
    }

    #[test]
    fn writing_is_deterministic() {
        let activity = synthesize(7, Sport::Run, "2026-05-17T06:30:00Z".parse().unwrap(), 300.0);
        for format in Format::ALL {
            assert_eq!(write(&activity, format), write(&activity.clone(), format));
        }
    }

    #[test]
    fn an_activity_without_samples_goes_into_fit_and_tcx_but_not_into_gpx() {
        let started_at = "2026-05-17T06:30:00Z".parse().unwrap();
        let activity = Activity {
            recording: Recording::default(),
            laps: Vec::new(),
            ..synthesize(7, Sport::Strength, started_at, 600.0)
        };
        assert_eq!(write(&activity, Format::Gpx), Err(WriteRefusal::NoPositions { format: Format::Gpx }));
        for format in [Format::Fit, Format::Tcx] {
            let read = parse(&write(&activity, format).unwrap(), format).unwrap();
            assert_eq!((read[0].sport, read[0].started_at), (Sport::Strength, started_at), "{format}");
            assert_near("duration", Some(read[0].duration_s), Some(600.0), 0.001);
        }
    }

    #[test]
    fn names_with_markup_stay_names() {
        let started_at = "2026-05-17T06:30:00Z".parse().unwrap();
        let device = Some("A \"watch\" <&> 'more'".to_owned());
        let activity = Activity { device: device.clone(), ..synthesize(7, Sport::Run, started_at, 60.0) };
        for format in Format::ALL {
            let read = parse(&write(&activity, format).unwrap(), format).unwrap();
            assert_eq!(read[0].device, device, "{format}");
        }
    }
}
