//! What an export says, held to the same limits as what a client sends: an export comes from anywhere. The first field that is
//! refused is named.
use chrono::NaiveDate;
use fittrack_domain::{
    athlete::UpdateProfile,
    measurement::{MeasuredValue, RecordMeasurement},
    patch::Patch,
    privacy::{Degrees, PrivacyZone, ZoneId, ZoneName, ZoneRadius},
    values::{Distance, Duration, Energy, ExerciseName, Exertion, HeartRate, Notes, Power, Title, ValueError},
    workout::{StrengthSet, WorkoutDraft},
};
use fittrack_schemas::export::{
    ExportedAthlete, ExportedMeasurement, ExportedPrivacyZone, ExportedSet, ExportedWorkout,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// A part of the document as what it should be.
pub fn part<T: DeserializeOwned>(json: &RawValue) -> Result<T, String> {
    serde_json::from_str(json.get()).map_err(|error| error.to_string())
}

/// The profile as a change of another one. The name stays what the new account is called: others may know it already.
pub fn profile(athlete: &ExportedAthlete) -> Result<UpdateProfile, String> {
    Ok(UpdateProfile {
        display_name: Patch::Keep,
        bio: field("bio", athlete.bio.clone(), Notes::parse)?.map_or(Patch::Keep, Patch::Set),
        birth_year: athlete.birth_year.map_or(Patch::Keep, Patch::Set),
        sex: Patch::Set(athlete.sex),
        height_cm: athlete.height_cm.map_or(Patch::Keep, Patch::Set),
        time_zone: Patch::Set(athlete.time_zone),
        units: Patch::Set(athlete.units),
        default_visibility: Patch::Set(athlete.default_visibility),
    })
}

/// The privacy zones as a list; each is a new one here.
pub fn privacy_zones(athlete: &ExportedAthlete) -> Result<Vec<PrivacyZone>, String> {
    let zone = |zone: &ExportedPrivacyZone| {
        Ok(PrivacyZone {
            zone_id: ZoneId::unguessable(rand::random()),
            name: field("privacy_zones: name", zone.name.clone(), ZoneName::parse)?,
            latitude_deg: Degrees::latitude(zone.latitude_deg).map_err(|reason| format!("latitude_deg {reason}"))?,
            longitude_deg: Degrees::longitude(zone.longitude_deg)
                .map_err(|reason| format!("longitude_deg {reason}"))?,
            radius_m: ZoneRadius::from_metres(f64::from(zone.radius_m))
                .map_err(|reason| format!("radius_m {reason}"))?,
        })
    };
    athlete.privacy_zones.iter().map(zone).collect()
}

/// A measurement as a command.
pub fn measurement(measurement: &ExportedMeasurement) -> Result<RecordMeasurement, String> {
    let ExportedMeasurement { kind, measured_on, value } = *measurement;
    let measured_on: NaiveDate = measured_on;
    let value = MeasuredValue::parse(kind, value).map_err(|reason| format!("value {reason}"))?;
    Ok(RecordMeasurement { kind, value, measured_on })
}

/// A workout as a draft. Its day follows from its start and its zone, and is not read.
pub fn workout(workout: &ExportedWorkout) -> Result<WorkoutDraft, String> {
    let duration_s = Duration::from_seconds(workout.duration_s).map_err(|reason| format!("duration_s {reason}"))?;
    Ok(WorkoutDraft {
        sport: workout.sport,
        started_at: workout.started_at,
        duration_s,
        moving_s: field("moving_s", workout.moving_s, Duration::from_seconds)?,
        distance_m: field("distance_m", workout.distance_m, Distance::from_metres)?,
        elevation_gain_m: field("elevation_gain_m", workout.elevation_gain_m, Distance::climb_from_metres)?,
        energy_kcal: number("energy_kcal", workout.energy_kcal, Energy::from_kcal)?,
        average_heart_rate_bpm: number("average_heart_rate_bpm", workout.average_heart_rate_bpm, HeartRate::from_bpm)?,
        max_heart_rate_bpm: number("max_heart_rate_bpm", workout.max_heart_rate_bpm, HeartRate::from_bpm)?,
        average_power_w: number("average_power_w", workout.average_power_w, Power::from_watts)?,
        perceived_exertion: number("perceived_exertion", workout.perceived_exertion, Exertion::parse)?,
        title: field("title", workout.title.clone(), Title::parse)?,
        notes: field("notes", workout.notes.clone(), Notes::parse)?,
        visibility: Some(workout.visibility),
        gear_id: workout.gear_id,
        sets: workout.sets.iter().map(set).collect::<Result<_, _>>()?,
    })
}

fn set(set: &ExportedSet) -> Result<StrengthSet, String> {
    Ok(StrengthSet {
        exercise: ExerciseName::parse(set.exercise.as_str()).map_err(|reason| format!("exercise {reason}"))?,
        repetitions: set.repetitions,
        mass_kg: set.mass_kg,
        duration_s: field("sets: duration_s", set.duration_s, Duration::from_seconds)?,
        reps_in_reserve: set.reps_in_reserve,
        kind: set.kind,
    })
}

fn field<T, U>(
    name: &str,
    value: Option<T>,
    parse: impl FnOnce(T) -> Result<U, ValueError>,
) -> Result<Option<U>, String> {
    value.map(parse).transpose().map_err(|reason| format!("{name} {reason}"))
}

fn number<U>(
    name: &str,
    value: Option<u32>,
    parse: impl FnOnce(f64) -> Result<U, ValueError>,
) -> Result<Option<U>, String> {
    field(name, value.map(f64::from), parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(change: &serde_json::Value) -> ExportedWorkout {
        let mut run = serde_json::json!({
            "id": "00000000-0000-0000-0000-000000000002", "sport": "run", "started_at": "2026-10-01T06:30:00Z",
            "time_zone": "Europe/Berlin", "local_date": "2026-10-01", "duration_s": 1800.5, "distance_m": 5000.125,
            "visibility": "private", "sets": [{"exercise": "squat", "repetitions": 5}]
        });
        run.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn a_workout_keeps_every_field_to_the_thousandth() {
        let draft = workout(&run(&serde_json::json!({"average_power_w": 211, "title": "Canal"}))).unwrap();
        assert_eq!((draft.duration_s.milliseconds(), draft.distance_m.unwrap().millimetres()), (1_800_500, 5_000_125));
        assert_eq!((draft.average_power_w.unwrap().watts(), draft.title.unwrap().as_str()), (211, "Canal"));
    }

    #[test]
    fn what_no_client_may_send_no_export_may_say() {
        for (change, field) in [
            (serde_json::json!({"duration_s": -1}), "duration_s"),
            (serde_json::json!({"distance_m": 1e12}), "distance_m"),
            (serde_json::json!({"max_heart_rate_bpm": 4000}), "max_heart_rate_bpm"),
            (serde_json::json!({"title": "x".repeat(201)}), "title"),
            (serde_json::json!({"notes": "\u{0}"}), "notes"),
        ] {
            assert!(workout(&run(&change)).unwrap_err().starts_with(field), "{change}");
        }
    }
}
