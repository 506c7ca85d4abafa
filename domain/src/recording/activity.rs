//! What a file says about one workout: its summary, its laps and its recording.
//! Parsers return it, the workout aggregate turns its summary into an event, writers export it again.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::samples::Recording;
use crate::sport::Sport;

/// One workout as its file tells it. The device's own numbers win; what it does not say is computed from the samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    pub sport: Sport,
    pub started_at: DateTime<Utc>,
    /// From the first moment to the last, pauses included, in seconds.
    pub duration_s: f64,
    /// The device's timer, else `duration_s` less the pauses, in seconds; never more than `duration_s`.
    pub moving_s: f64,
    pub distance_m: Option<f64>,
    pub elevation_gain_m: Option<f64>,
    /// Where `elevation_gain_m` comes from; present whenever it is.
    pub elevation_source: Option<ElevationSource>,
    pub energy_kcal: Option<f64>,
    pub average_heart_rate_bpm: Option<f64>,
    pub max_heart_rate_bpm: Option<f64>,
    pub average_power_w: Option<f64>,
    pub max_power_w: Option<f64>,
    pub laps: Vec<Lap>,
    pub recording: Recording,
    /// Maker and model, where the file names them.
    pub device: Option<String>,
}

/// One lap, as the device marked it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Lap {
    /// Seconds from the activity's start to the lap's.
    pub started_elapsed_s: f64,
    /// The lap's timer where the device says it, else its elapsed time, in seconds.
    pub duration_s: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_m: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_heart_rate_bpm: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_heart_rate_bpm: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_power_w: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_power_w: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_kcal: Option<f64>,
}

/// How an elevation gain was found: it is a definition, not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ElevationSource {
    /// The device's own sum.
    Device,
    /// Computed with a hysteresis of 3 m, from a barometer's altitudes.
    Hysteresis3M,
    /// Computed with a hysteresis of 10 m, from altitudes of satellites alone or of unknown origin.
    Hysteresis10M,
}
