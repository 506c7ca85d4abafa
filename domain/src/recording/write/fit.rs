//! Writes a FIT activity file: file id, records, laps, one session and the closing activity message.
//! The encoder is `rustyfit`; FIT's own resolution is whole seconds, 0.2 m of altitude and whole beats and watts.

use embedded_io::{ErrorType, Seek, SeekFrom, Write};
use rustyfit::Encoder;
use rustyfit::profile::mesgdef;
use rustyfit::profile::typedef::{self, DateTime as FitTime};
use rustyfit::proto::{FIT, Message};

use super::super::activity::{Activity, Lap};
use super::super::field::Field;
use super::super::fit::sports::numbers_of;
use super::WriteRefusal;

const SEMICIRCLES_PER_DEGREE: f64 = 2_147_483_648.0 / 180.0;

pub(super) fn write(activity: &Activity) -> Result<Vec<u8>, WriteRefusal> {
    let mut messages = vec![file_id(activity)];
    let elapsed_s = activity.recording.elapsed_s().iter().enumerate();
    messages.extend(elapsed_s.map(|(index, elapsed_s)| record(activity, index, *elapsed_s)));
    messages.extend(activity.laps.iter().map(|lap| lap_message(activity, lap)));
    messages.push(session(activity));
    messages.push(closing(activity));
    let mut fit = FIT { messages, ..FIT::default() };
    let mut file = Memory::default();
    match Encoder::new().encode(&mut file, &mut fit) {
        Ok(()) => Ok(file.bytes),
        Err(error) => Err(WriteRefusal::Fit { reason: error.to_string() }),
    }
}

fn file_id(activity: &Activity) -> Message {
    let mut id = mesgdef::FileId::new();
    id.r#type = typedef::File::ACTIVITY;
    id.manufacturer = typedef::Manufacturer::DEVELOPMENT;
    id.product = 1;
    id.time_created = at(activity, 0.0);
    // A FIT string holds 254 bytes; nobody's watch has so long a name.
    id.product_name = activity.device.as_deref().unwrap_or("FitTrack").chars().take(60).collect::<String>().into();
    id.into()
}

fn record(activity: &Activity, index: usize, elapsed_s: f64) -> Message {
    let recording = &activity.recording;
    let value = |field: Field| recording.value(field, index);
    let mut record = mesgdef::Record::new();
    record.timestamp = at(activity, elapsed_s);
    if let Some((latitude, longitude)) = recording.position(index) {
        record.position_lat = int32(latitude * SEMICIRCLES_PER_DEGREE);
        record.position_long = int32(longitude * SEMICIRCLES_PER_DEGREE);
    }
    set32(&mut record.enhanced_altitude, value(Field::AltitudeM).map(|metres| (metres + 500.0) * 5.0));
    set32(&mut record.distance, value(Field::DistanceM).map(|metres| metres * 100.0));
    set8(&mut record.heart_rate, value(Field::HeartRateBpm));
    set16(&mut record.power, value(Field::PowerW));
    set8(&mut record.cadence, value(Field::CadenceRpm));
    set32(&mut record.enhanced_speed, value(Field::SpeedMps).map(|mps| mps * 1_000.0));
    if let Some(celsius) = value(Field::TemperatureC) {
        record.temperature = int8(celsius);
    }
    record.into()
}

fn lap_message(activity: &Activity, lap: &Lap) -> Message {
    let mut message = mesgdef::Lap::new();
    message.start_time = at(activity, lap.started_elapsed_s);
    message.timestamp = at(activity, lap.started_elapsed_s + lap.duration_s);
    message.event = typedef::Event::LAP;
    message.event_type = typedef::EventType::STOP;
    set32(&mut message.total_elapsed_time, Some(lap.duration_s * 1_000.0));
    set32(&mut message.total_timer_time, Some(lap.duration_s * 1_000.0));
    set32(&mut message.total_distance, lap.distance_m.map(|metres| metres * 100.0));
    set8(&mut message.avg_heart_rate, lap.average_heart_rate_bpm);
    set8(&mut message.max_heart_rate, lap.max_heart_rate_bpm);
    set16(&mut message.avg_power, lap.average_power_w);
    set16(&mut message.max_power, lap.max_power_w);
    set16(&mut message.total_calories, lap.energy_kcal);
    message.into()
}

fn session(activity: &Activity) -> Message {
    let mut session = mesgdef::Session::new();
    (session.sport, session.sub_sport) = numbers_of(activity.sport);
    session.start_time = at(activity, 0.0);
    session.timestamp = at(activity, activity.duration_s);
    session.event = typedef::Event::SESSION;
    session.event_type = typedef::EventType::STOP;
    session.num_laps = u16::try_from(activity.laps.len()).unwrap_or(u16::MAX - 1);
    set32(&mut session.total_elapsed_time, Some(activity.duration_s * 1_000.0));
    set32(&mut session.total_timer_time, Some(activity.moving_s * 1_000.0));
    set32(&mut session.total_distance, activity.distance_m.map(|metres| metres * 100.0));
    set16(&mut session.total_ascent, activity.elevation_gain_m);
    set16(&mut session.total_calories, activity.energy_kcal);
    set8(&mut session.avg_heart_rate, activity.average_heart_rate_bpm);
    set8(&mut session.max_heart_rate, activity.max_heart_rate_bpm);
    set16(&mut session.avg_power, activity.average_power_w);
    set16(&mut session.max_power, activity.max_power_w);
    session.into()
}

fn closing(activity: &Activity) -> Message {
    let mut closing = mesgdef::Activity::new();
    closing.timestamp = at(activity, activity.duration_s);
    closing.num_sessions = 1;
    closing.r#type = typedef::Activity::MANUAL;
    closing.event = typedef::Event::ACTIVITY;
    closing.event_type = typedef::EventType::STOP;
    set32(&mut closing.total_timer_time, Some(activity.moving_s * 1_000.0));
    closing.into()
}

#[expect(clippy::cast_possible_truncation, reason = "a recording spans at most fourteen days")]
fn at(activity: &Activity, elapsed_s: f64) -> FitTime {
    let ms = activity.started_at.timestamp_millis() + (elapsed_s * 1e3).round() as i64;
    FitTime::from_unix_timestamp(ms.div_euclid(1_000))
}

/// Sets a field where there is a value; a field left alone keeps FIT's mark for "none", and so is not written.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped below FIT's mark for none")]
fn set32(field: &mut u32, value: Option<f64>) {
    if let Some(value) = value {
        *field = value.round().clamp(0.0, f64::from(u32::MAX - 1)) as u32;
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped below FIT's mark for none")]
fn set16(field: &mut u16, value: Option<f64>) {
    if let Some(value) = value {
        *field = value.round().clamp(0.0, f64::from(u16::MAX - 1)) as u16;
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped below FIT's mark for none")]
fn set8(field: &mut u8, value: Option<f64>) {
    if let Some(value) = value {
        *field = value.round().clamp(0.0, f64::from(u8::MAX - 1)) as u8;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped below FIT's mark for none")]
fn int32(value: f64) -> i32 {
    value.round().clamp(f64::from(i32::MIN), f64::from(i32::MAX - 1)) as i32
}

#[expect(clippy::cast_possible_truncation, reason = "clamped below FIT's mark for none")]
fn int8(value: f64) -> i8 {
    value.round().clamp(f64::from(i8::MIN), f64::from(i8::MAX - 1)) as i8
}

/// A file in memory: the encoder comes back to the header once it knows the length.
#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
    at: usize,
}

impl ErrorType for Memory {
    type Error = embedded_io::ErrorKind;
}

impl Write for Memory {
    fn write(&mut self, data: &[u8]) -> Result<usize, Self::Error> {
        let end = self.at + data.len();
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
        }
        let place = self.bytes.get_mut(self.at..end).ok_or(embedded_io::ErrorKind::InvalidInput)?;
        place.copy_from_slice(data);
        self.at = end;
        Ok(data.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl Seek for Memory {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Self::Error> {
        let (base, offset) = match to {
            SeekFrom::Start(offset) => (0, i64::try_from(offset).unwrap_or(i64::MAX)),
            SeekFrom::End(offset) => (self.bytes.len(), offset),
            SeekFrom::Current(offset) => (self.at, offset),
        };
        let at = i64::try_from(base).unwrap_or(i64::MAX).saturating_add(offset);
        self.at = usize::try_from(at).map_err(|_| embedded_io::ErrorKind::InvalidInput)?;
        Ok(self.at as u64)
    }
}
