//! Reads GPX 1.0 and 1.1: each track with times becomes one activity, each further segment begins after a pause.
//! Routes and way points are passed over; sensors come from the track point extensions programs write.

use super::activity::Activity;
use super::draft::Draft;
use super::field::Field;
use super::format::Format;
use super::points::{Budget, Values};
use super::refusal::FileRefusal;
use super::sport_names::sport_of_name;
use super::xml::{Attributes, Step, Walk, instant_ms, number};
use super::{MAX_ACTIVITIES, too_many_activities};
use crate::sport::Sport;

/// The activities of a GPX file; a sport it does not name, or names unknown to FitTrack, is `other`.
///
/// # Errors
/// Not GPX, malformed XML, a bad coordinate or time, no track with times, or a limit exceeded.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Activity>, FileRefusal> {
    let mut walk = Walk::new(bytes, Format::Gpx)?;
    let mut reader = GpxReader::default();
    loop {
        match walk.step()? {
            Step::Open(attributes) => reader.open(&walk, &attributes)?,
            Step::Close { name, text } => reader.close(&walk, &name, &text)?,
            Step::End => return reader.finish(),
        }
    }
}

struct GpxReader {
    budget: Budget,
    creator: Option<String>,
    track: Option<Draft>,
    point: Option<Point>,
    done: Vec<Activity>,
    /// Points met that had no time, or `None` while there was no point at all.
    untimed: Option<usize>,
}

impl Default for GpxReader {
    fn default() -> Self {
        Self { budget: Budget::new(), creator: None, track: None, point: None, done: Vec::new(), untimed: None }
    }
}

#[derive(Default)]
struct Point {
    time_ms: Option<i64>,
    values: Values,
}

impl GpxReader {
    fn open(&mut self, walk: &Walk<'_>, attributes: &Attributes<'_>) -> Result<(), FileRefusal> {
        if let [root] = walk.path() {
            if root != "gpx" {
                let reason = format!("its root element is <{}>", root.chars().take(40).collect::<String>());
                return Err(FileRefusal::WrongFormat { format: Format::Gpx, reason });
            }
            self.creator = attributes.get("creator");
        } else if walk.inside(&["gpx", "trk"]) {
            self.track = Some(Draft { device: self.creator.clone(), ..Draft::new(Sport::Other) });
        } else if walk.inside(&["trk", "trkseg"]) {
            if let Some(track) = &mut self.track {
                track.points.pause();
            }
        } else if walk.inside(&["trkseg", "trkpt"]) {
            let mut point = Point::default();
            point.values[Field::LatitudeDeg] = Some(coordinate(walk, attributes, "lat", 90.0)?);
            point.values[Field::LongitudeDeg] = Some(coordinate(walk, attributes, "lon", 180.0)?);
            self.point = Some(point);
        }
        Ok(())
    }

    fn close(&mut self, walk: &Walk<'_>, name: &str, text: &str) -> Result<(), FileRefusal> {
        match (name, &mut self.point) {
            ("trkpt", point) if walk.inside(&["trkseg"]) => {
                let point = point.take();
                self.keep(point)?;
            }
            ("time", Some(point)) if walk.inside(&["trkpt"]) => {
                let time_ms = instant_ms(text);
                point.time_ms = Some(time_ms.ok_or_else(|| walk.bad_value("time", text, "an RFC 3339 instant"))?);
            }
            (_, Some(point)) => {
                if let Some(field) = sensor(walk, name) {
                    point.values[field] = number(text);
                }
            }
            ("type", None) if walk.inside(&["gpx", "trk"]) => {
                if let Some(track) = &mut self.track {
                    track.sport = sport_of_name(text).unwrap_or(Sport::Other);
                }
            }
            ("trk", None) if walk.inside(&["gpx"]) => self.end_track()?,
            _ => {}
        }
        Ok(())
    }

    fn keep(&mut self, point: Option<Point>) -> Result<(), FileRefusal> {
        let (Some(track), Some(point)) = (&mut self.track, point) else { return Ok(()) };
        let untimed = self.untimed.get_or_insert(0);
        let Some(time_ms) = point.time_ms else {
            *untimed += 1;
            return Ok(());
        };
        track.points.push(time_ms, point.values, &mut self.budget)
    }

    fn end_track(&mut self) -> Result<(), FileRefusal> {
        let Some(track) = self.track.take() else { return Ok(()) };
        // A planned route saved as a track has no times; it is no workout, and no reason to refuse the others.
        if track.points.first_ms().is_some() {
            if self.done.len() >= MAX_ACTIVITIES {
                return Err(too_many_activities());
            }
            self.done.push(track.finish()?);
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Activity>, FileRefusal> {
        match (self.done.is_empty(), self.untimed) {
            (false, _) => Ok(self.done),
            (true, Some(_)) => Err(FileRefusal::NoTime),
            (true, None) => Err(FileRefusal::NoActivity { reason: "it has no track with points".to_owned() }),
        }
    }
}

fn coordinate(
    walk: &Walk<'_>,
    attributes: &Attributes<'_>,
    name: &'static str,
    limit: f64,
) -> Result<f64, FileRefusal> {
    let text = attributes.get(name).unwrap_or_default();
    number(&text)
        .filter(|degrees| degrees.abs() <= limit)
        .ok_or_else(|| walk.bad_value(name, &text, "a coordinate in degrees"))
}

/// The column of an element inside a track point that has just ended.
fn sensor(walk: &Walk<'_>, name: &str) -> Option<Field> {
    if walk.inside(&["trkpt"]) {
        return match name {
            "ele" => Some(Field::AltitudeM),
            // GPX 1.0 has it beside the elevation.
            "speed" => Some(Field::SpeedMps),
            _ => None,
        };
    }
    if !walk.within("extensions") {
        return None;
    }
    match name.to_ascii_lowercase().as_str() {
        "hr" | "heartrate" => Some(Field::HeartRateBpm),
        "cad" | "cadence" | "runcadence" => Some(Field::CadenceRpm),
        "power" | "watts" | "powerinwatts" => Some(Field::PowerW),
        "atemp" | "temp" | "temperature" => Some(Field::TemperatureC),
        "speed" => Some(Field::SpeedMps),
        "distance" => Some(Field::DistanceM),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpx(inside: &str) -> Vec<u8> {
        format!("<?xml version='1.0'?>\n<gpx version='1.1' creator='a &amp; b'>\n{inside}\n</gpx>").into_bytes()
    }

    fn track(points: &str) -> Vec<u8> {
        gpx(&format!("<trk><type>running</type><trkseg>{points}</trkseg></trk>"))
    }

    fn point(second: u32, inside: &str) -> String {
        format!(
            "<trkpt lat='52.{second:04}' lon='6.5'><ele>10</ele><time>2026-05-17T06:30:{second:02}Z</time>{inside}</trkpt>"
        )
    }

    #[test]
    fn sensors_are_read_whatever_their_prefix() {
        let sensors = "<extensions><power>250</power><q:TrackPointExtension xmlns:q='x'><q:hr>151</q:hr><q:cad>88</q:cad>\
                       <q:atemp>21.5</q:atemp></q:TrackPointExtension></extensions>";
        let read = parse(&track(&[point(0, sensors), point(1, "")].concat())).unwrap();
        let recording = &read[0].recording;
        let first = |name: &str| recording.column(name).and_then(|column| column[0]);
        assert_eq!(first("power_w"), Some(250.0));
        assert_eq!(first("heart_rate_bpm"), Some(151.0));
        assert_eq!(first("cadence_rpm"), Some(88.0));
        assert_eq!(first("temperature_c"), Some(21.5));
        assert_eq!(recording.value(Field::PowerW, 1), None);
        assert_eq!((read[0].sport, read[0].device.as_deref()), (Sport::Run, Some("a & b")));
    }

    #[test]
    fn a_new_segment_begins_after_a_pause() {
        let points = [point(0, ""), point(1, ""), "</trkseg><trkseg>".to_owned(), point(31, "")].concat();
        let activity = &parse(&track(&points)).unwrap()[0];
        assert!((activity.duration_s - 31.0).abs() < 1e-9 && (activity.moving_s - 1.0).abs() < 1e-9);
    }

    #[test]
    fn every_track_is_an_activity_and_routes_are_none() {
        let one = "<trk><trkseg><trkpt lat='1' lon='1'><time>2026-05-17T06:30:00Z</time></trkpt>\
                   <trkpt lat='1.0001' lon='1'><time>2026-05-17T06:30:09.5+00:00</time></trkpt></trkseg></trk>";
        let route = "<rte><rtept lat='1' lon='1'><time>2026-05-17T06:30:00Z</time></rtept></rte><wpt lat='x' lon='y'/>";
        let read = parse(&gpx(&format!("{one}{route}{one}"))).unwrap();
        assert_eq!(read.len(), 2);
        assert!((read[0].duration_s - 9.5).abs() < 1e-9);
        assert_eq!(read[0].sport, Sport::Other);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let refusal = |bytes: &[u8]| parse(bytes).unwrap_err();
        assert!(matches!(refusal(b"<kml></kml>"), FileRefusal::WrongFormat { .. }));
        assert!(matches!(refusal(&gpx("")), FileRefusal::NoActivity { .. }));
        assert_eq!(refusal(&track("<trkpt lat='1' lon='1'/>")), FileRefusal::NoTime);
        assert!(matches!(
            refusal(&track("\n<trkpt lat='91' lon='1'/>")),
            FileRefusal::BadValue { line: 4, element: "lat", .. }
        ));
        assert!(matches!(
            refusal(&track("<trkpt lat='1' lon='1'><time>yesterday</time></trkpt>")),
            FileRefusal::BadValue { element: "time", .. }
        ));
        assert!(matches!(refusal(b"<gpx>\n<trk>\n</gpx>"), FileRefusal::MalformedXml { line: 3, .. }));
        let whole = track(&[point(0, ""), point(1, "")].concat());
        assert!(matches!(refusal(&whole[..whole.len() - 20]), FileRefusal::MalformedXml { .. }));
    }

    #[test]
    fn nothing_expands_and_nothing_nests_without_end() {
        let dtd = "<!DOCTYPE gpx [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;\">]><gpx>&b;</gpx>";
        assert!(matches!(parse(dtd.as_bytes()), Err(FileRefusal::ForbiddenXml { what: "a DTD", .. })));
        assert!(matches!(parse(&gpx("&b;")), Err(FileRefusal::ForbiddenXml { what: "an entity", .. })));
        assert!(matches!(parse(&gpx(&"<a>".repeat(100))), Err(FileRefusal::MalformedXml { .. })));
        assert!(matches!(parse(&[0xff, 0xfe, b'<', 0]), Err(FileRefusal::WrongFormat { .. })));
    }

    #[test]
    fn a_clock_that_was_never_set_is_refused() {
        let early = "<trkpt lat='1' lon='1'><time>1970-01-01T00:00:01Z</time></trkpt>";
        assert!(matches!(parse(&track(early)), Err(FileRefusal::ImplausibleStart { .. })));
        let late = "<trkpt lat='1' lon='1'><time>2026-12-17T06:30:00Z</time></trkpt>";
        assert!(matches!(parse(&track(&(point(0, "") + late))), Err(FileRefusal::TooLong { .. })));
    }
}
