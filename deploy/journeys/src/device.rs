//! What a device itself says of an activity: the session messages of a FIT file, the laps of a TCX file.
//! A reader of its own, small and only for this, so that totals can be checked against numbers FitTrack's parsers have
//! never touched.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

/// FIT counts seconds from 1989-12-31T00:00:00Z.
const FIT_EPOCH: i64 = 631_065_600;
const SESSION: u16 = 18;
const TRANSITION: u64 = 3;

/// One activity in its device's own numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// FitTrack's name for the device's sport, where this reader knows it.
    pub sport: &'static str,
    pub started_at: DateTime<Utc>,
    pub elapsed_s: f64,
    pub timer_s: f64,
    pub distance_m: Option<f64>,
    pub ascent_m: Option<f64>,
    pub energy_kcal: Option<f64>,
}

/// The sessions of a FIT file, in its order, without the transitions of a multisport one.
pub fn fit_sessions(file: &[u8]) -> Vec<Session> {
    let messages = fit_messages(file, SESSION);
    messages.iter().filter(|message| message.get(&5) != Some(&TRANSITION)).filter_map(session).collect()
}

fn session(fields: &HashMap<u8, u64>) -> Option<Session> {
    let scaled = |number: u8, scale: f64| fields.get(&number).map(|value| *value as f64 / scale);
    let seconds = i64::try_from(*fields.get(&2)?).ok()?;
    Some(Session {
        sport: match fields.get(&5)? {
            1 => "run",
            2 => "ride",
            15 => "row",
            _ => "other",
        },
        started_at: DateTime::from_timestamp(FIT_EPOCH + seconds, 0)?,
        elapsed_s: scaled(7, 1000.0)?,
        timer_s: scaled(8, 1000.0)?,
        distance_m: scaled(9, 100.0),
        ascent_m: scaled(22, 1.0),
        energy_kcal: scaled(11, 1.0).filter(|kcal| *kcal > 0.0),
    })
}

/// The layout of a local message type: the global number, byte order, and each field's number and size.
struct Layout {
    global: u16,
    big_endian: bool,
    fields: Vec<(u8, usize)>,
    /// Bytes of developer fields, passed over.
    extra: usize,
}

/// All messages of one global number, as unsigned integers by field; invalid values (all bits set) are left out.
fn fit_messages(file: &[u8], wanted: u16) -> Vec<HashMap<u8, u64>> {
    let header = usize::from(file.first().copied().unwrap_or(14));
    let mut reader = Reader { bytes: file.get(header..file.len().saturating_sub(2)).unwrap_or_default() };
    let (mut layouts, mut messages) = (HashMap::<u8, Layout>::new(), Vec::new());
    while let Some(record) = reader.byte() {
        if record & 0xC0 == 0x40 {
            let Some(layout) = reader.layout(record & 0x20 != 0) else { break };
            layouts.insert(record & 0x0F, layout);
            continue;
        }
        let local = if record & 0x80 == 0 { record & 0x0F } else { (record >> 5) & 0x03 };
        let Some(layout) = layouts.get(&local) else { break };
        let Some(fields) = reader.message(layout) else { break };
        if layout.global == wanted {
            messages.push(fields);
        }
    }
    messages
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn layout(&mut self, has_developer_fields: bool) -> Option<Layout> {
        self.byte()?;
        let big_endian = self.byte()? == 1;
        let global = self.take(2)?;
        let global = [global[0], global[1]];
        let global = if big_endian { u16::from_be_bytes(global) } else { u16::from_le_bytes(global) };
        let fields = self.sizes()?;
        let extra = if has_developer_fields { self.sizes()?.iter().map(|(_, size)| size).sum() } else { 0 };
        Some(Layout { global, big_endian, fields, extra })
    }

    fn sizes(&mut self) -> Option<Vec<(u8, usize)>> {
        let count = usize::from(self.byte()?);
        let fields = self.take(3 * count)?;
        Some(fields.chunks_exact(3).map(|field| (field[0], usize::from(field[1]))).collect())
    }

    fn message(&mut self, layout: &Layout) -> Option<HashMap<u8, u64>> {
        let mut values = HashMap::new();
        for (number, size) in &layout.fields {
            let bytes = self.take(*size)?;
            if (1..=8).contains(size) && bytes.iter().any(|byte| *byte != 0xFF) {
                let fold = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
                let value =
                    if layout.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) };
                values.insert(*number, value);
            }
        }
        self.take(layout.extra)?;
        Some(values)
    }
}

/// What a TCX file says: its laps added up, and how long it is from the first lap's start to the last point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Laps {
    pub timer_s: f64,
    pub distance_m: f64,
    pub energy_kcal: f64,
    pub elapsed_s: f64,
}

/// Reads a TCX file of one activity.
pub fn tcx_laps(file: &str) -> Laps {
    let mut sums = Laps { elapsed_s: elapsed_s(file).unwrap_or_default(), ..Laps::default() };
    for lap in file.split("<Lap ").skip(1) {
        // What stands before the track is said of the lap, what stands inside of its points.
        let head = lap.split("<Track").next().unwrap_or_default();
        sums.timer_s += number(head, "TotalTimeSeconds");
        sums.distance_m += number(head, "DistanceMeters");
        sums.energy_kcal += number(head, "Calories");
    }
    sums
}

fn elapsed_s(file: &str) -> Option<f64> {
    let instant = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    let start = instant(file.split("StartTime=\"").nth(1)?.split('"').next()?)?;
    let end = instant(file.rsplit("<Time>").next()?.split('<').next()?)?;
    Some((end - start).num_milliseconds() as f64 / 1000.0)
}

fn number(text: &str, element: &str) -> f64 {
    let after = text.split(&format!("<{element}>")).nth(1).unwrap_or_default();
    after.split('<').next().and_then(|number| number.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use fittrack_domain::recording::{Format, synthesize, write};
    use fittrack_domain::sport::Sport;

    use super::*;

    #[test]
    fn a_written_file_s_session_says_what_was_written() {
        let started_at = "2026-05-17T06:30:00Z".parse().unwrap();
        let activity = synthesize(7, Sport::Ride, started_at, 900.0);
        let sessions = fit_sessions(&write(&activity, Format::Fit).unwrap());
        assert_eq!(sessions.len(), 1);
        let session = &sessions[0];
        assert_eq!((session.sport, session.started_at, session.elapsed_s), ("ride", started_at, 900.0));
        assert!((session.distance_m.unwrap() - activity.distance_m.unwrap()).abs() < 0.01);
        assert_eq!(session.energy_kcal, activity.energy_kcal);

        let laps = tcx_laps(&String::from_utf8(write(&activity, Format::Tcx).unwrap()).unwrap());
        assert!((laps.timer_s - 900.0).abs() < 0.01 && (laps.distance_m - activity.distance_m.unwrap()).abs() < 0.1);
        assert_eq!((Some(laps.energy_kcal), laps.elapsed_s), (activity.energy_kcal, 900.0));
    }

    #[test]
    fn what_is_no_fit_file_has_no_sessions() {
        for file in [&b""[..], b"\x0e", b"hello, this is no file of any device", &[0xFF; 64]] {
            assert_eq!(fit_sessions(file), []);
        }
    }
}
