//! The part of an import that only computes: hash, parse, encode, draft. Runs off the async threads.
use chrono::{DateTime, Utc};
use fittrack_domain::{
    ids::AthleteId,
    recording::{self, Activity, Format},
    values::Visibility,
    workout::WorkoutDraft,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{ImportError, claims::Candidate, draft};
use crate::routes::idempotency::derive;

/// The longest name of a device that is kept, in characters.
const MAX_DEVICE: usize = 100;

/// A file, ready to be stored.
#[derive(Debug)]
pub struct Prepared {
    /// SHA-256 of the file.
    pub original_sha256: [u8; 32],
    /// How many activities it has, at least one.
    pub activities: usize,
    /// Those that are to be stored, in order.
    pub legs: Vec<Leg>,
}

/// One activity of the file.
#[derive(Debug)]
pub struct Leg {
    /// Its place in the file, from 0.
    pub number: u32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// What the workout will say.
    pub draft: WorkoutDraft,
    /// Its samples in stored form.
    pub recording: Vec<u8>,
    /// SHA-256 of those.
    pub recording_sha256: [u8; 32],
    /// How many samples.
    pub samples: u32,
    /// What recorded it.
    pub device: Option<String>,
}

impl Prepared {
    /// Common to the workouts of a multisport file; `None` for a file of one.
    pub fn session_id(&self, athlete_id: AthleteId) -> Option<Uuid> {
        (self.activities > 1).then(|| derive(&format!("session\n{athlete_id}\n{}", hex::encode(self.original_sha256))))
    }
}

impl Leg {
    /// What it is recognised by.
    pub fn candidate(&self, original_sha256: [u8; 32]) -> Candidate {
        Candidate {
            leg: i32::try_from(self.number).unwrap_or(i32::MAX),
            started_at: self.started_at,
            duration_ms: self.draft.duration_s.milliseconds(),
            distance_mm: self.draft.distance_m.map(fittrack_domain::values::Distance::millimetres),
            original_sha256,
            recording_sha256: self.recording_sha256,
        }
    }
}

/// Hashes, parses and encodes a file.
pub fn prepare(
    file: &[u8],
    format: Format,
    visibility: Option<Visibility>,
    gear_id: Option<Uuid>,
) -> Result<Prepared, ImportError> {
    let activities = recording::parse(file, format)?;
    let legs = (0_u32..)
        .zip(&activities)
        .map(|(number, activity)| leg(number, activity, visibility, gear_id))
        .collect::<Result<Vec<_>, _>>()?;
    let activities = legs.len();
    Ok(Prepared { activities, original_sha256: Sha256::digest(file).into(), legs })
}

fn leg(
    number: u32,
    activity: &Activity,
    visibility: Option<Visibility>,
    gear_id: Option<Uuid>,
) -> Result<Leg, ImportError> {
    let draft = draft::of(activity).map_err(|reason| ImportError::Activity { leg: number, reason })?;
    let recording = recording::encode(&activity.recording);
    Ok(Leg {
        number,
        started_at: activity.started_at,
        draft: WorkoutDraft { visibility, gear_id, ..draft },
        recording_sha256: Sha256::digest(&recording).into(),
        recording,
        samples: u32::try_from(activity.recording.len()).unwrap_or(u32::MAX),
        device: activity.device.as_deref().and_then(clean_device),
    })
}

/// A device's name is whatever its file says: control characters go, and so does what is too long to be a name.
fn clean_device(name: &str) -> Option<String> {
    let clean: String = name.chars().filter(|c| !c.is_control()).take(MAX_DEVICE).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_s_name_is_cut_and_cleaned() {
        assert_eq!(clean_device(" Edge\0 530\n").as_deref(), Some("Edge 530"));
        assert_eq!(clean_device("\0"), None);
        assert_eq!(clean_device(&"x".repeat(500)).map(|name| name.len()), Some(100));
    }
}
