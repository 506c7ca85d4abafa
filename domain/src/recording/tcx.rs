//! Reads Garmin's Training Center XML, version 2: each `Activity` becomes one activity with its laps.
//! Courses and the transitions of multisport sessions are passed over; speed, power and cadence come from TPX extensions.

use super::activity::{Activity, Lap};
use super::draft::{Draft, DraftLap};
use super::field::Field;
use super::format::Format;
use super::points::{Budget, Values};
use super::refusal::FileRefusal;
use super::sport_names::sport_of_name;
use super::xml::{Attributes, Step, Walk, instant_ms, number};
use super::{MAX_ACTIVITIES, MAX_LAPS, too_many_activities, too_many_laps};
use crate::sport::Sport;

/// The activities of a TCX file.
///
/// # Errors
/// Not TCX, malformed XML, a bad time, no activity with times, or a limit exceeded.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Activity>, FileRefusal> {
    let mut walk = Walk::new(bytes, Format::Tcx)?;
    let mut reader = TcxReader::new();
    loop {
        match walk.step()? {
            Step::Open(attributes) => reader.open(&walk, &attributes)?,
            Step::Close { name, text } => reader.close(&walk, &name, &text)?,
            Step::End => return reader.finish(),
        }
    }
}

struct TcxReader {
    budget: Budget,
    laps_left: usize,
    activity: Option<Draft>,
    lap: Option<LapDraft>,
    point: Option<Point>,
    done: Vec<Activity>,
    untimed: bool,
}

#[derive(Default)]
struct Point {
    time_ms: Option<i64>,
    values: Values,
}

#[derive(Default)]
struct LapDraft {
    started_at_ms: Option<i64>,
    timer_s: Option<f64>,
    lap: Lap,
    last_ms: Option<i64>,
}

impl TcxReader {
    fn new() -> Self {
        Self {
            budget: Budget::new(),
            laps_left: MAX_LAPS,
            activity: None,
            lap: None,
            point: None,
            done: Vec::new(),
            untimed: false,
        }
    }

    fn open(&mut self, walk: &Walk<'_>, attributes: &Attributes<'_>) -> Result<(), FileRefusal> {
        if let [root] = walk.path() {
            if root != "TrainingCenterDatabase" {
                let reason = format!("its root element is <{}>", root.chars().take(40).collect::<String>());
                return Err(FileRefusal::WrongFormat { format: Format::Tcx, reason });
            }
        } else if walk.inside(&["Activity"]) && self.activity.is_none() {
            let sport = attributes.get("Sport").and_then(|name| sport_of_name(&name));
            self.activity = Some(Draft::new(sport.unwrap_or(Sport::Other)));
        } else if walk.inside(&["Activity", "Lap"]) {
            self.laps_left = self.laps_left.checked_sub(1).ok_or_else(too_many_laps)?;
            let started_at_ms = attributes.get("StartTime").map(|text| time(walk, "StartTime", &text)).transpose()?;
            self.lap = Some(LapDraft { started_at_ms, ..LapDraft::default() });
        } else if walk.inside(&["Lap", "Track"]) {
            if let Some(activity) = &mut self.activity {
                activity.points.pause();
            }
        } else if walk.inside(&["Track", "Trackpoint"]) && self.lap.is_some() {
            self.point = Some(Point::default());
        }
        Ok(())
    }

    fn close(&mut self, walk: &Walk<'_>, name: &str, text: &str) -> Result<(), FileRefusal> {
        if let Some(point) = &mut self.point {
            if name == "Trackpoint" {
                return self.end_point();
            }
            if name == "Time" && walk.inside(&["Trackpoint"]) {
                point.time_ms = Some(time(walk, "Time", text)?);
            } else if let Some(field) = sensor(walk, name) {
                point.values[field] = number(text);
            }
        } else if let Some(lap) = &mut self.lap {
            if name == "Lap" {
                self.end_lap();
            } else {
                lap.take(walk, name, number(text));
            }
        } else if let Some(activity) = &mut self.activity {
            match name {
                "Activity" => self.end_activity()?,
                "Id" if walk.inside(&["Activity"]) => activity.started_at_ms = instant_ms(text),
                "Name" if walk.inside(&["Activity", "Creator"]) => activity.device = Some(text.to_owned()),
                // FitTrack's own extension: the schema knows three sports only.
                "FitTrackSport" => activity.sport = sport_of_name(text).unwrap_or(activity.sport),
                _ => {}
            }
        }
        Ok(())
    }

    fn end_point(&mut self) -> Result<(), FileRefusal> {
        let (Some(point), Some(activity), Some(lap)) = (self.point.take(), &mut self.activity, &mut self.lap) else {
            return Ok(());
        };
        let Some(time_ms) = point.time_ms else {
            self.untimed = true;
            return Ok(());
        };
        lap.last_ms = lap.last_ms.max(Some(time_ms));
        activity.points.push(time_ms, point.values, &mut self.budget)
    }

    fn end_lap(&mut self) {
        if let (Some(mut lap), Some(activity)) = (self.lap.take(), &mut self.activity) {
            let seen_s = match (lap.started_at_ms, lap.last_ms) {
                (Some(start), Some(last)) => last.saturating_sub(start) as f64 / 1e3,
                _ => 0.0,
            };
            lap.lap.duration_s = lap.timer_s.unwrap_or(seen_s);
            activity.laps.push(DraftLap { started_at_ms: lap.started_at_ms, lap: lap.lap });
        }
    }

    fn end_activity(&mut self) -> Result<(), FileRefusal> {
        let Some(mut activity) = self.activity.take() else { return Ok(()) };
        if self.done.len() >= MAX_ACTIVITIES {
            return Err(too_many_activities());
        }
        sum_laps(&mut activity);
        self.done.push(activity.finish()?);
        Ok(())
    }

    fn finish(self) -> Result<Vec<Activity>, FileRefusal> {
        match (self.done.is_empty(), self.untimed) {
            (false, _) => Ok(self.done),
            (true, true) => Err(FileRefusal::NoTime),
            (true, false) => Err(FileRefusal::NoActivity { reason: "it has no Activity element".to_owned() }),
        }
    }
}

impl LapDraft {
    fn take(&mut self, walk: &Walk<'_>, name: &str, value: Option<f64>) {
        let place = match name {
            "TotalTimeSeconds" if walk.inside(&["Lap"]) => &mut self.timer_s,
            "DistanceMeters" if walk.inside(&["Lap"]) => &mut self.lap.distance_m,
            "Calories" if walk.inside(&["Lap"]) => &mut self.lap.energy_kcal,
            "Value" if walk.inside(&["Lap", "AverageHeartRateBpm"]) => &mut self.lap.average_heart_rate_bpm,
            "Value" if walk.inside(&["Lap", "MaximumHeartRateBpm"]) => &mut self.lap.max_heart_rate_bpm,
            "AvgWatts" if walk.inside(&["LX"]) => &mut self.lap.average_power_w,
            "MaxWatts" if walk.inside(&["LX"]) => &mut self.lap.max_power_w,
            _ => return,
        };
        *place = value;
    }
}

/// What TCX says of the whole activity it says lap by lap; a lap's time is the timer's, without pauses.
fn sum_laps(activity: &mut Draft) {
    let laps = &activity.laps;
    let sum = |value: fn(&Lap) -> Option<f64>| laps.iter().filter_map(|lap| value(&lap.lap)).reduce(|a, b| a + b);
    let maximum = |value: fn(&Lap) -> Option<f64>| laps.iter().filter_map(|lap| value(&lap.lap)).reduce(f64::max);
    let first_lap_ms = laps.iter().filter_map(|lap| lap.started_at_ms).min();
    let timer_s = sum(|lap| Some(lap.duration_s));

    // Some programs leave an `Id` of another clock; the laps are what was recorded.
    let started_at_ms = first_lap_ms.or(activity.started_at_ms);
    let start_ms = started_at_ms.into_iter().chain(activity.points.first_ms()).min();
    let seen_s = match (start_ms, activity.points.last_ms()) {
        (Some(start), Some(last)) => last.saturating_sub(start) as f64 / 1e3,
        _ => 0.0,
    };
    let (distance_m, energy_kcal) = (sum(|lap| lap.distance_m), sum(|lap| lap.energy_kcal));
    let (max_heart_rate_bpm, max_power_w) = (maximum(|lap| lap.max_heart_rate_bpm), maximum(|lap| lap.max_power_w));
    activity.started_at_ms = started_at_ms;
    activity.duration_s = timer_s.map(|timer| timer.max(seen_s));
    activity.moving_s = timer_s.filter(|timer| *timer > 0.0);
    activity.distance_m = distance_m;
    activity.energy_kcal = energy_kcal;
    activity.max_heart_rate_bpm = max_heart_rate_bpm;
    activity.max_power_w = max_power_w;
}

fn time(walk: &Walk<'_>, element: &'static str, text: &str) -> Result<i64, FileRefusal> {
    instant_ms(text).ok_or_else(|| walk.bad_value(element, text, "an RFC 3339 instant"))
}

/// The column of an element inside a track point that has just ended.
fn sensor(walk: &Walk<'_>, name: &str) -> Option<Field> {
    match name {
        "LatitudeDegrees" if walk.inside(&["Position"]) => Some(Field::LatitudeDeg),
        "LongitudeDegrees" if walk.inside(&["Position"]) => Some(Field::LongitudeDeg),
        "AltitudeMeters" if walk.inside(&["Trackpoint"]) => Some(Field::AltitudeM),
        "DistanceMeters" if walk.inside(&["Trackpoint"]) => Some(Field::DistanceM),
        "Value" if walk.inside(&["Trackpoint", "HeartRateBpm"]) => Some(Field::HeartRateBpm),
        "Cadence" if walk.inside(&["Trackpoint"]) => Some(Field::CadenceRpm),
        "RunCadence" if walk.within("Extensions") => Some(Field::CadenceRpm),
        "Watts" if walk.within("Extensions") => Some(Field::PowerW),
        "Speed" if walk.within("Extensions") => Some(Field::SpeedMps),
        "Temperature" if walk.within("Extensions") => Some(Field::TemperatureC),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcx(laps: &str) -> Vec<u8> {
        format!(
            "<t:TrainingCenterDatabase xmlns:t='x'><t:Activities><t:Activity Sport='Biking'><t:Id>2026-05-17T06:30:00Z\
             </t:Id>{}</t:Activity></t:Activities></t:TrainingCenterDatabase>",
            laps.replace("</", "</t:").replace('<', "<t:").replace("<t:/t:", "</t:")
        )
        .into_bytes()
    }

    const LAPS: &str = "<Lap StartTime='2026-05-17T06:30:00Z'><TotalTimeSeconds>10.5</TotalTimeSeconds><DistanceMeters>80\
        </DistanceMeters><Calories>3</Calories><MaximumHeartRateBpm><Value>150</Value></MaximumHeartRateBpm><Track>\
        <Trackpoint><Time>2026-05-17T06:30:00Z</Time><HeartRateBpm><Value>140</Value></HeartRateBpm><Extensions><TPX>\
        <Speed>7.5</Speed><Watts>200</Watts></TPX></Extensions></Trackpoint></Track></Lap>\
        <Lap StartTime='2026-05-17T06:30:30Z'><TotalTimeSeconds>9.5</TotalTimeSeconds><DistanceMeters>70</DistanceMeters>\
        <Calories>4</Calories><MaximumHeartRateBpm><Value>160</Value></MaximumHeartRateBpm><Track><Trackpoint><Time>\
        2026-05-17T06:30:40Z</Time></Trackpoint></Track></Lap>";

    #[test]
    fn laps_are_kept_and_summed_whatever_the_prefix() {
        let activity = &parse(&tcx(LAPS)).unwrap()[0];
        assert_eq!(activity.sport, Sport::Ride);
        assert!((activity.moving_s - 20.0).abs() < 1e-9 && (activity.duration_s - 40.0).abs() < 1e-9);
        assert_eq!((activity.distance_m, activity.energy_kcal), (Some(150.0), Some(7.0)));
        assert_eq!(activity.max_heart_rate_bpm, Some(160.0));
        assert!((activity.laps[1].started_elapsed_s - 30.0).abs() < 1e-9);
        assert_eq!(activity.recording.value(Field::PowerW, 0), Some(200.0));
        assert_eq!(activity.recording.value(Field::SpeedMps, 0), Some(7.5));
    }

    #[test]
    fn a_course_is_no_activity_and_a_transition_no_lap() {
        let course = "<TrainingCenterDatabase><Courses><Course><Track><Trackpoint><Time>2026-05-17T06:30:00Z</Time>\
                      </Trackpoint></Track></Course></Courses></TrainingCenterDatabase>";
        assert!(matches!(parse(course.as_bytes()), Err(FileRefusal::NoActivity { .. })));
        let transition = "<TrainingCenterDatabase><MultiSportSession><NextSport><Transition \
                          StartTime='2026-05-17T06:29:00Z'><Track><Trackpoint><Time>2026-05-17T06:29:00Z</Time></Trackpoint>\
                          </Track></Transition><Activity Sport='Running'><Lap StartTime='2026-05-17T06:30:00Z'>\
                          <TotalTimeSeconds>5</TotalTimeSeconds></Lap></Activity></NextSport></MultiSportSession>\
                          </TrainingCenterDatabase>";
        let read = parse(transition.as_bytes()).unwrap();
        assert_eq!((read.len(), read[0].laps.len(), read[0].recording.len()), (1, 1, 0));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(matches!(parse(b"<gpx/>"), Err(FileRefusal::WrongFormat { .. })));
        let timeless = tcx("<Lap><Track><Trackpoint></Trackpoint></Track></Lap>");
        // The `Id` is a time, but nothing lasts.
        assert!(matches!(parse(&timeless), Err(FileRefusal::NoActivity { .. })));
        assert!(matches!(
            parse(&tcx("<Lap StartTime='now'></Lap>")),
            Err(FileRefusal::BadValue { element: "StartTime", .. })
        ));
        let many = tcx(&"<Lap></Lap>".repeat(MAX_LAPS + 1));
        assert_eq!(parse(&many), Err(too_many_laps()));
    }
}
