//! Reads real devices' files and compares them with what the devices themselves say.
//! The files are not part of the repository: without them the test says so and passes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::expect_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};

use fittrack_domain::recording::{self, Activity, Field, Format};
use fittrack_domain::sport::Sport;

/// The folder named by `FITTRACK_SAMPLES`, else `shared/samples` beside the repository.
fn folder() -> PathBuf {
    std::env::var_os("FITTRACK_SAMPLES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples"), PathBuf::from)
}

/// The activities of one sample, or none (said on stderr) where the file is not there.
fn read(name: &str) -> Option<Vec<Activity>> {
    let path = folder().join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("SKIPPED: there is no sample {}; set FITTRACK_SAMPLES to the folder that has it", path.display());
        return None;
    };
    let format = Format::sniff(&bytes).expect("its first bytes tell its format");
    let activities = recording::parse(&bytes, format).expect("a device wrote it");
    for activity in &activities {
        let stored = recording::encode(&activity.recording);
        assert_eq!(recording::decode(&stored).as_ref(), Ok(&activity.recording), "{name} comes back from the store");
        eprintln!("{name}: {} samples in {} bytes", activity.recording.len(), stored.len());
    }
    Some(activities)
}

fn read_one(name: &str) -> Option<Activity> {
    let mut activities = read(name)?;
    assert_eq!(activities.len(), 1, "{name} holds one activity");
    activities.pop()
}

#[track_caller]
fn assert_near(got: Option<f64>, expected: f64, tolerance: f64) {
    let got = got.expect("the value is there");
    assert!((got - expected).abs() <= tolerance, "{got} instead of {expected}");
}

#[track_caller]
fn assert_start(activity: &Activity, expected: &str) {
    assert_eq!(activity.started_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true), expected);
}

#[test]
fn the_long_ride_says_what_its_device_says() {
    let Some(ride) = read_one("4801048867.fit") else { return };
    assert_eq!(ride.sport, Sport::Ride);
    assert_start(&ride, "2020-04-18T11:10:44Z");
    assert_eq!(ride.recording.len(), 5_159);
    assert_near(Some(ride.duration_s), 5_158.557, 1e-9);
    assert_near(Some(ride.moving_s), 5_158.557, 1e-9);
    assert_near(ride.distance_m, 36_322.85, 1e-9);
    assert_near(ride.elevation_gain_m, 79.0, 1e-9);
    assert_near(ride.energy_kcal, 773.0, 1e-9);
    assert_near(ride.average_heart_rate_bpm, 130.0, 1e-9);
    assert_near(ride.max_heart_rate_bpm, 160.0, 1e-9);
    assert_eq!(ride.laps.len(), 8);
    assert_eq!(ride.device.as_deref(), Some("garmin fr935"));
}

#[test]
fn the_long_ride_is_the_same_in_its_other_forms() {
    for (name, points) in
        [("activity_4801048867.gpx", 5_159), ("4801048867_strava.gpx", 5_159), ("activity_4801048867.tcx", 5_166)]
    {
        let Some(ride) = read_one(name) else { return };
        assert_eq!((ride.sport, ride.recording.len()), (Sport::Ride, points), "{name}");
        assert_start(&ride, "2020-04-18T11:10:44Z");
        assert_near(Some(ride.duration_s), 5_158.557, 1.0);
        // GPX has no distance: the sum of its positions is a little short of the device's wheel.
        assert_near(ride.distance_m, 36_322.85, 60.0);
        assert_near(ride.average_heart_rate_bpm, 130.0, 0.5);
        assert_near(ride.max_heart_rate_bpm, 160.0, 1e-9);
        assert!(ride.recording.get(Field::HeartRateBpm).is_some(), "{name}");
    }
}

#[test]
fn the_short_ride_paused_and_has_power() {
    let Some(ride) = read_one("2020-06-01-16-52-40.fit") else { return };
    assert_eq!((ride.sport, ride.recording.len(), ride.laps.len()), (Sport::Ride, 96, 5));
    assert_start(&ride, "2020-06-01T14:52:40Z");
    assert_near(Some(ride.duration_s), 113.15, 1e-9);
    assert_near(Some(ride.moving_s), 93.7, 1e-9);
    assert_near(ride.distance_m, 668.19, 1e-9);
    assert!(ride.recording.get(Field::PowerW).is_some());
}

#[test]
fn the_short_ride_is_the_same_in_its_other_forms() {
    let (Some(gpx), Some(tcx)) = (read_one("activity_5039744860.gpx"), read_one("activity_5039744860.tcx")) else {
        return;
    };
    for ride in [&gpx, &tcx] {
        assert_eq!(ride.sport, Sport::Ride);
        assert_start(ride, "2020-06-01T14:52:40Z");
        assert_near(ride.max_heart_rate_bpm, 156.0, 1e-9);
    }
    assert_near(tcx.distance_m, 668.19, 0.01);
    assert_eq!(tcx.laps.len(), 5);
    assert!(tcx.recording.get(Field::PowerW).is_some() && gpx.recording.get(Field::PowerW).is_none());
}

#[test]
fn the_indoor_ride_has_power_but_no_position() {
    let Some(ride) = read_one("6449921903_ACTIVITY.fit") else { return };
    assert_eq!(ride.sport, Sport::Ride);
    assert_near(Some(ride.duration_s), 324.513, 1e-9);
    assert_near(Some(ride.moving_s), 196.229, 1e-9);
    assert_near(ride.distance_m, 0.0, 1e-9);
    assert!(ride.recording.get(Field::PowerW).is_some() && ride.recording.get(Field::LatitudeDeg).is_none());
}

#[test]
fn the_multisport_file_is_one_activity_a_leg_without_the_transition() {
    let Some(legs) = read("6471559601_ACTIVITY.fit") else { return };
    assert_eq!(legs.iter().map(|leg| leg.sport).collect::<Vec<_>>(), [Sport::Run, Sport::Row]);
    assert!(legs[0].started_at < legs[1].started_at);
    for leg in &legs {
        // Each leg has its own samples and laps, none of its neighbour's.
        assert!(leg.recording.elapsed_s().iter().all(|elapsed_s| *elapsed_s <= leg.duration_s + 1.0));
        assert_eq!((leg.recording.len(), leg.laps.len()), (24, 1));
    }
}

#[test]
fn the_run_has_two_laps_and_heart_rate() {
    let Some(run) = read_one("3173437224.tcx") else { return };
    assert_eq!((run.sport, run.laps.len(), run.recording.len()), (Sport::Run, 2, 3_507));
    assert_eq!(run.device.as_deref(), Some("Polar M400"));
    let heart_rate = run.recording.get(Field::HeartRateBpm).expect("it has heart rate");
    assert!(heart_rate.iter().all(Option::is_some));
}

#[test]
fn what_is_exported_reads_back_as_the_same_activity() {
    for name in ["4801048867.fit", "2020-06-01-16-52-40.fit", "3173437224.tcx"] {
        let Some(activity) = read_one(name) else { return };
        for format in Format::ALL {
            let bytes = recording::write(&activity, format).expect("it has positions");
            let again = &recording::parse(&bytes, format).expect("it was just written")[0];
            assert_eq!((again.sport, again.recording.len()), (activity.sport, activity.recording.len()), "{name}");
            assert!((again.started_at - activity.started_at).num_seconds().abs() <= 1, "{name} as {format}");
            assert_near(again.max_heart_rate_bpm, activity.max_heart_rate_bpm.unwrap_or_default(), 0.1);
        }
    }
}
