//! What the benchmarks write: made-up athletes and workouts, the same in every run.
mod history;

use chrono::{DateTime, TimeDelta, Utc};
use command_api::store::append::{Append, NewEvent};
use fittrack_domain::partition::{DEFAULT_PARTITIONS, partition_of};
use serde_json::json;
use uuid::Uuid;

pub use history::{EVENTS_EACH, History};

/// The day the made-up athletes began.
fn beginning() -> DateTime<Utc> {
    DateTime::from_timestamp(1_735_732_800, 0).unwrap_or_default()
}

/// The n-th made-up athlete.
pub fn athlete(n: u64) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes())
}

/// The registration of the n-th athlete.
pub fn registration(n: u64) -> Append {
    let payload = json!({
        "type": "athlete_registered",
        "athlete_id": athlete(n),
        "profile": {"display_name": format!("Athlete {n}"), "time_zone": "Europe/Berlin"},
    });
    append(athlete(n), "athlete", athlete(n), "athlete_registered", payload.to_string())
}

/// The `k`-th workout of the n-th athlete: every third day or so, several sports, public.
pub fn workout(n: u64, k: u64) -> Append {
    let workout_id = Uuid::now_v7();
    let started_at = beginning() + TimeDelta::days(i64::try_from(k * 3 + n % 3).unwrap_or(0)) + TimeDelta::hours(7);
    let payload = json!({
        "type": "workout_logged",
        "workout_id": workout_id,
        "athlete_id": athlete(n),
        "details": {
            "sport": (["run", "ride", "swim"])[usize::try_from((n + k) % 3).unwrap_or(0)],
            "started_at": started_at,
            "time_zone": "Europe/Berlin",
            "local_date": started_at.date_naive(),
            "duration_s": 3600.0 + (k % 60) as f64,
            "distance_m": 10_000.0 + (n % 1000) as f64,
            "elevation_gain_m": 120.5,
            "energy_kcal": 640,
            "average_heart_rate_bpm": 141,
            "visibility": "public",
        },
    });
    append(athlete(n), "workout", workout_id, "workout_logged", payload.to_string())
}

fn append(
    owner_id: Uuid,
    aggregate_type: &'static str,
    aggregate_id: Uuid,
    event_type: &str,
    payload: String,
) -> Append {
    Append {
        command_id: Uuid::now_v7(),
        partition: partition_of(owner_id, DEFAULT_PARTITIONS),
        aggregate_type,
        aggregate_id,
        owner_id,
        expected_version: 0,
        events: vec![NewEvent {
            event_id: Uuid::now_v7(),
            event_type: event_type.to_owned(),
            event_version: "1".to_owned(),
            payload,
            metadata: format!(r#"{{"actor":"{owner_id}"}}"#),
            occurred_at: beginning() + TimeDelta::days(600),
        }],
    }
}
