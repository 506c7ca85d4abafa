//! Bodies of commands as apps send them, with only what a test cares about left to say.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// A public run of half an hour over five kilometres.
pub fn run(started_at: &str) -> Value {
    json!({
        "sport": "run", "started_at": started_at, "duration_s": 1800.0, "distance_m": 5000.0, "visibility": "public",
    })
}

/// A body with some fields replaced.
#[must_use]
pub fn with(mut body: Value, changes: Value) -> Value {
    if let (Some(fields), Value::Object(changes)) = (body.as_object_mut(), changes) {
        fields.extend(changes);
    }
    body
}

/// An instant as the API writes it, so many minutes after the first moment of 2025.
pub fn minutes_into_2025(minutes: i64) -> String {
    let first = DateTime::<Utc>::from_timestamp(1_735_689_600, 0).unwrap_or_default();
    (first + TimeDelta::minutes(minutes)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
