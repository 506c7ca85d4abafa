//! Writes Garmin's Training Center XML, version 2, with its activity extension for speed and power.
//! The schema knows three sports; FitTrack's own name goes into an extension that other programs pass over.

use super::super::activity::{Activity, Lap};
use super::super::field::Field;
use super::PAUSE_S;
use super::xml::{element, escaped, instant, push};
use crate::sport::Sport;

/// Laps are rounded one by one.
const ROUNDING_S: f64 = 1.0;

pub(super) fn write(activity: &Activity) -> Vec<u8> {
    let mut out = String::with_capacity(activity.recording.len() * 420 + 900);
    push(
        &mut out,
        format_args!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <TrainingCenterDatabase xmlns=\"http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:ns3=\"http://www.garmin.com/xmlschemas/ActivityExtension/v2\" \
         xmlns:ft=\"https://fittrack.dev/xml/1\">\n<Activities><Activity Sport=\"{}\"><Id>{}</Id>\n",
            schema_sport(activity.sport),
            instant(activity.started_at, 0.0)
        ),
    );
    let mut samples = 0..activity.recording.len();
    let whole = [whole_activity(activity)];
    let laps = if has_laps_of_its_own(activity) { &activity.laps } else { &whole[..] };
    for (index, lap) in laps.iter().enumerate() {
        let next_s = laps.get(index + 1).map_or(f64::INFINITY, |next| next.started_elapsed_s);
        let until = activity.recording.elapsed_s().partition_point(|elapsed_s| *elapsed_s < next_s).max(samples.start);
        write_lap(&mut out, activity, lap, samples.start..until);
        samples.start = until;
    }
    if let Some(device) = &activity.device {
        push(
            &mut out,
            format_args!(
                "<Creator xsi:type=\"Device_t\"><Name>{}</Name><UnitId>0</UnitId><ProductID>0</ProductID><Version>\
             <VersionMajor>0</VersionMajor><VersionMinor>0</VersionMinor></Version></Creator>\n",
                escaped(device)
            ),
        );
    }
    push(
        &mut out,
        format_args!(
            "<Extensions><ft:FitTrackSport>{}</ft:FitTrackSport></Extensions>\n</Activity></Activities>\n\
         </TrainingCenterDatabase>\n",
            activity.sport
        ),
    );
    out.into_bytes()
}

/// Whether the laps can be told: TCX has no other sums than theirs, and those of a file may overlap or be longer than all of it.
fn has_laps_of_its_own(activity: &Activity) -> bool {
    let laps_s: f64 = activity.laps.iter().map(|lap| lap.duration_s).sum();
    !activity.laps.is_empty() && laps_s <= activity.duration_s + ROUNDING_S
}

/// The one lap of an activity that has none of its own.
fn whole_activity(activity: &Activity) -> Lap {
    Lap {
        started_elapsed_s: 0.0,
        duration_s: activity.moving_s,
        distance_m: activity.distance_m,
        average_heart_rate_bpm: activity.average_heart_rate_bpm,
        max_heart_rate_bpm: activity.max_heart_rate_bpm,
        average_power_w: activity.average_power_w,
        max_power_w: activity.max_power_w,
        energy_kcal: activity.energy_kcal,
    }
}

fn write_lap(out: &mut String, activity: &Activity, lap: &Lap, samples: std::ops::Range<usize>) {
    push(out, format_args!("<Lap StartTime=\"{}\">", instant(activity.started_at, lap.started_elapsed_s)));
    element(out, "TotalTimeSeconds", Some(lap.duration_s));
    element(out, "DistanceMeters", lap.distance_m.or(Some(0.0)));
    element(out, "Calories", lap.energy_kcal.map(f64::round).or(Some(0.0)));
    element(out, "AverageHeartRateBpm", lap.average_heart_rate_bpm.map(beats));
    element(out, "MaximumHeartRateBpm", lap.max_heart_rate_bpm.map(beats));
    out.push_str("<Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod>\n");
    if !samples.is_empty() {
        out.push_str("<Track>\n");
        let elapsed_s = activity.recording.elapsed_s();
        let is_paused = activity.moving_s < activity.duration_s;
        let mut before_s = None;
        for (index, &elapsed_s) in elapsed_s.iter().enumerate().take(samples.end).skip(samples.start) {
            if is_paused && before_s.is_some_and(|before| elapsed_s - before > PAUSE_S) {
                out.push_str("</Track>\n<Track>\n");
            }
            before_s = Some(elapsed_s);
            write_point(out, activity, index, elapsed_s);
        }
        out.push_str("</Track>\n");
    }
    let mut watts = String::new();
    element(&mut watts, "ns3:AvgWatts", lap.average_power_w.map(f64::round));
    element(&mut watts, "ns3:MaxWatts", lap.max_power_w.map(f64::round));
    if !watts.is_empty() {
        push(out, format_args!("<Extensions><ns3:LX>{watts}</ns3:LX></Extensions>"));
    }
    out.push_str("</Lap>\n");
}

fn write_point(out: &mut String, activity: &Activity, index: usize, elapsed_s: f64) {
    let value = |field| activity.recording.value(field, index);
    out.push_str("<Trackpoint>");
    element(out, "Time", Some(instant(activity.started_at, elapsed_s)));
    if let Some((latitude, longitude)) = activity.recording.position(index) {
        push(
            out,
            format_args!(
                "<Position><LatitudeDegrees>{latitude}</LatitudeDegrees><LongitudeDegrees>{longitude}</LongitudeDegrees>\
             </Position>"
            ),
        );
    }
    element(out, "AltitudeMeters", value(Field::AltitudeM));
    element(out, "DistanceMeters", value(Field::DistanceM));
    element(out, "HeartRateBpm", value(Field::HeartRateBpm).map(beats));
    element(out, "Cadence", value(Field::CadenceRpm).map(f64::round));
    let mut extension = String::new();
    element(&mut extension, "ns3:Speed", value(Field::SpeedMps));
    element(&mut extension, "ns3:Watts", value(Field::PowerW).map(f64::round));
    element(&mut extension, "ft:Temperature", value(Field::TemperatureC));
    if !extension.is_empty() {
        push(out, format_args!("<Extensions><ns3:TPX>{extension}</ns3:TPX></Extensions>"));
    }
    out.push_str("</Trackpoint>\n");
}

/// TCX wraps a heart rate, which is a whole number.
fn beats(bpm: f64) -> String {
    format!("<Value>{}</Value>", bpm.round())
}

const fn schema_sport(sport: Sport) -> &'static str {
    match sport {
        Sport::Run | Sport::TrailRun | Sport::Treadmill => "Running",
        Sport::Ride | Sport::GravelRide | Sport::MountainBikeRide | Sport::VirtualRide => "Biking",
        _ => "Other",
    }
}
