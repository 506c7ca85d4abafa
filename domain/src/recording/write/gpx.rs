//! Writes GPX 1.1 with Garmin's track point extension, which most programs read.
//! Samples without a position have no place in GPX and are left out; a pause begins a new segment.

use super::super::activity::Activity;
use super::super::field::Field;
use super::PAUSE_S;
use super::xml::{element, escaped, instant, push};

pub(super) fn write(activity: &Activity) -> Vec<u8> {
    let recording = &activity.recording;
    let mut out = String::with_capacity(recording.len() * 280 + 700);
    let creator = activity.device.as_deref().unwrap_or("FitTrack");
    push(
        &mut out,
        format_args!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <gpx version=\"1.1\" creator=\"{}\" xmlns=\"http://www.topografix.com/GPX/1/1\" \
         xmlns:gpxtpx=\"http://www.garmin.com/xmlschemas/TrackPointExtension/v2\">\n<metadata><time>{}</time></metadata>\n\
         <trk><type>{}</type>\n<trkseg>\n",
            escaped(creator),
            instant(activity.started_at, 0.0),
            activity.sport
        ),
    );
    let is_paused = activity.moving_s < activity.duration_s;
    let mut before_s = None;
    for (index, elapsed_s) in recording.elapsed_s().iter().enumerate() {
        let Some((latitude, longitude)) = recording.position(index) else { continue };
        if is_paused && before_s.is_some_and(|before| elapsed_s - before > PAUSE_S) {
            out.push_str("</trkseg>\n<trkseg>\n");
        }
        before_s = Some(*elapsed_s);
        push(&mut out, format_args!("<trkpt lat=\"{latitude}\" lon=\"{longitude}\">"));
        element(&mut out, "ele", recording.value(Field::AltitudeM, index));
        element(&mut out, "time", Some(instant(activity.started_at, *elapsed_s)));
        extensions(&mut out, activity, index);
        out.push_str("</trkpt>\n");
    }
    out.push_str("</trkseg></trk>\n</gpx>\n");
    out.into_bytes()
}

fn extensions(out: &mut String, activity: &Activity, index: usize) {
    let value = |field| activity.recording.value(field, index);
    let mut inner = String::new();
    element(&mut inner, "gpxtpx:atemp", value(Field::TemperatureC));
    element(&mut inner, "gpxtpx:hr", value(Field::HeartRateBpm));
    element(&mut inner, "gpxtpx:cad", value(Field::CadenceRpm));
    element(&mut inner, "gpxtpx:speed", value(Field::SpeedMps));
    let mut outer = String::new();
    element(&mut outer, "power", value(Field::PowerW));
    if !inner.is_empty() {
        element(&mut outer, "gpxtpx:TrackPointExtension", Some(inner));
    }
    element(out, "extensions", Some(outer).filter(|outer| !outer.is_empty()));
}
