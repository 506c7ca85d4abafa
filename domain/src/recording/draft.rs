//! An activity while its file is read: what the device said, and its points.
//! Every parser ends in [`Draft::finish`], which checks the whole and computes what the device left out.

use chrono::{DateTime, SecondsFormat, Utc};

use super::activity::{Activity, ElevationSource, Lap};
use super::field::Field;
use super::measure;
use super::points::Points;
use super::refusal::FileRefusal;
use super::samples::{MAX_DURATION_S, Recording, quantise_time};
use crate::sport::Sport;

/// 1989-12-31T00:00:00Z, the epoch of FIT: no activity file is older.
const EARLIEST_MS: i64 = 631_065_600_000;
/// 2100-01-01T00:00:00Z.
const LATEST_MS: i64 = 4_102_444_800_000;

/// A step between two samples may be so many times faster than a plausible average.
const STEP_FACTOR: f64 = 2.5;

const GPS_HYSTERESIS_M: f64 = 10.0;
const MAX_GAIN_M: f64 = 100_000.0;
const MAX_ENERGY_KCAL: f64 = 100_000.0;

pub(super) struct Draft {
    pub(super) sport: Sport,
    pub(super) started_at_ms: Option<i64>,
    pub(super) duration_s: Option<f64>,
    pub(super) moving_s: Option<f64>,
    pub(super) distance_m: Option<f64>,
    pub(super) elevation_gain_m: Option<f64>,
    pub(super) energy_kcal: Option<f64>,
    pub(super) average_heart_rate_bpm: Option<f64>,
    pub(super) max_heart_rate_bpm: Option<f64>,
    pub(super) average_power_w: Option<f64>,
    pub(super) max_power_w: Option<f64>,
    pub(super) laps: Vec<DraftLap>,
    pub(super) points: Points,
    pub(super) device: Option<String>,
}

/// A lap whose start is still an instant.
pub(super) struct DraftLap {
    pub(super) started_at_ms: Option<i64>,
    pub(super) lap: Lap,
}

impl Draft {
    pub(super) fn new(sport: Sport) -> Self {
        Self {
            sport,
            started_at_ms: None,
            duration_s: None,
            moving_s: None,
            distance_m: None,
            elevation_gain_m: None,
            energy_kcal: None,
            average_heart_rate_bpm: None,
            max_heart_rate_bpm: None,
            average_power_w: None,
            max_power_w: None,
            laps: Vec::new(),
            points: Points::default(),
            device: None,
        }
    }

    /// The activity, once nothing more comes.
    ///
    /// # Errors
    /// No time at all, an implausible start, a span beyond the limit, or an activity that lasts no time.
    pub(super) fn finish(self) -> Result<Activity, FileRefusal> {
        let (first_ms, last_ms) = (self.points.first_ms(), self.points.last_ms());
        let start_ms = match (self.started_at_ms, first_ms) {
            (Some(said), Some(seen)) => said.min(seen),
            (said, seen) => said.or(seen).ok_or(FileRefusal::NoTime)?,
        };
        let started_at = plausible_start(start_ms)?;
        let seen_s = last_ms.map_or(0.0, |last| last.saturating_sub(start_ms) as f64 / 1e3);
        let duration_s = quantise_time(self.duration_s.unwrap_or(seen_s).max(0.0));
        let seconds = duration_s.max(seen_s);
        if seconds.is_nan() || seconds > MAX_DURATION_S {
            return Err(FileRefusal::TooLong { seconds });
        }
        if seconds <= 0.0 {
            return Err(FileRefusal::NoActivity { reason: "it lasts no time".to_owned() });
        }

        let paused_s = self.points.paused_s();
        let recording = with_distance(self.points.into_recording(start_ms)?, self.sport);
        let moving_s = self.moving_s.unwrap_or_else(|| {
            duration_s - if paused_s > 0.0 { paused_s } else { measure::standstill_gaps_s(&recording) }
        });
        let (elevation_gain_m, elevation_source) = elevation(self.elevation_gain_m, &recording);
        let mean = |said: Option<f64>, field: Field| {
            said.and_then(|value| field.quantise(value))
                .or_else(|| field.quantise(measure::time_weighted_mean(&recording, field)?))
        };
        let maximum = |said: Option<f64>, field: Field| {
            said.and_then(|value| field.quantise(value)).or_else(|| measure::maximum(&recording, field))
        };
        Ok(Activity {
            sport: self.sport,
            started_at,
            duration_s,
            moving_s: quantise_time(moving_s.clamp(0.0, duration_s)),
            distance_m: self
                .distance_m
                .and_then(|metres| Field::DistanceM.quantise(metres))
                .or_else(|| measure::maximum(&recording, Field::DistanceM)),
            elevation_gain_m,
            elevation_source,
            energy_kcal: self.energy_kcal.and_then(plausible_energy),
            average_heart_rate_bpm: mean(self.average_heart_rate_bpm, Field::HeartRateBpm),
            max_heart_rate_bpm: maximum(self.max_heart_rate_bpm, Field::HeartRateBpm),
            average_power_w: mean(self.average_power_w, Field::PowerW),
            max_power_w: maximum(self.max_power_w, Field::PowerW),
            laps: self.laps.into_iter().map(|lap| lap.finish(start_ms)).collect(),
            recording,
            device: self.device.filter(|name| !name.is_empty()),
        })
    }
}

impl DraftLap {
    /// The lap with its start as elapsed time and without implausible numbers.
    fn finish(self, start_ms: i64) -> Lap {
        let started_s = self.started_at_ms.map_or(0.0, |at| at.saturating_sub(start_ms) as f64 / 1e3);
        let seconds = |value: f64| if value.is_nan() { 0.0 } else { quantise_time(value.clamp(0.0, MAX_DURATION_S)) };
        let keep = |value: Option<f64>, field: Field| value.and_then(|value| field.quantise(value));
        let lap = self.lap;
        Lap {
            started_elapsed_s: seconds(started_s),
            duration_s: seconds(lap.duration_s),
            distance_m: keep(lap.distance_m, Field::DistanceM),
            average_heart_rate_bpm: keep(lap.average_heart_rate_bpm, Field::HeartRateBpm),
            max_heart_rate_bpm: keep(lap.max_heart_rate_bpm, Field::HeartRateBpm),
            average_power_w: keep(lap.average_power_w, Field::PowerW),
            max_power_w: keep(lap.max_power_w, Field::PowerW),
            energy_kcal: lap.energy_kcal.and_then(plausible_energy),
        }
    }
}

/// Devices and TCX files say 0 where nothing was measured.
fn plausible_energy(kcal: f64) -> Option<f64> {
    (kcal > 0.0 && kcal <= MAX_ENERGY_KCAL).then_some(kcal)
}

fn plausible_start(start_ms: i64) -> Result<DateTime<Utc>, FileRefusal> {
    DateTime::from_timestamp_millis(start_ms).filter(|_| (EARLIEST_MS..LATEST_MS).contains(&start_ms)).ok_or_else(
        || {
            let text = DateTime::from_timestamp_millis(start_ms)
                .map_or_else(|| format!("{start_ms} ms"), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
            FileRefusal::ImplausibleStart { text }
        },
    )
}

/// The recording with a distance computed from its positions, where the device recorded none.
fn with_distance(recording: Recording, sport: Sport) -> Recording {
    if recording.get(Field::DistanceM).is_some() {
        return recording;
    }
    match measure::distance_from_positions(&recording, STEP_FACTOR * sport.max_plausible_speed_mps()) {
        Some(distances) => recording.with_distance(distances),
        None => recording,
    }
}

fn elevation(said: Option<f64>, recording: &Recording) -> (Option<f64>, Option<ElevationSource>) {
    if let Some(metres) = said.filter(|metres| (0.0..=MAX_GAIN_M).contains(metres)) {
        return (Some(metres), Some(ElevationSource::Device));
    }
    // No format says whether an altitude came from a barometer, so the cautious definition it is.
    let computed = recording
        .get(Field::AltitudeM)
        .and_then(|altitudes| measure::elevation_gain_m(altitudes, GPS_HYSTERESIS_M))
        .map(|metres| (metres * 100.0).round() / 100.0);
    (computed, computed.map(|_| ElevationSource::Hysteresis10M))
}
