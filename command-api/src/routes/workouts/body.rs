//! The raw fields of a workout's bodies that are more than one value: sets, and how sport and instants are read.
use chrono::{DateTime, Utc};
use fittrack_domain::{
    sport::Sport,
    values::{Duration, ExerciseName, ValueError},
    workout::{SetKind, StrengthSet},
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::routes::{
    fields::{Fields, whole_number},
    words,
};

/// How many sets one workout may have.
const MAX_SETS: usize = 500;

/// One set of a strength exercise.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetBody {
    /// The exercise; 1 to 100 characters.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*[^\x00-\x08\x0e-\x1f\x7f-\x9f\s][^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*$",
        example = "squat"
    )]
    exercise: String,
    /// How often.
    #[schema(value_type = u32, minimum = 1, maximum = 10_000)]
    repetitions: f64,
    /// The load in kilograms.
    #[schema(minimum = 0, maximum = 2_000)]
    mass_kg: Option<f64>,
    /// How long it took or was held, in seconds; up to fourteen days.
    #[schema(minimum = 0.001, maximum = 1_209_600)]
    duration_s: Option<f64>,
    /// How many more would have gone.
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 20)]
    reps_in_reserve: Option<f64>,
    /// `warm_up`, `working` (when absent), `drop` or `failure`.
    #[schema(schema_with = words::set_kind_or_null, required = false)]
    kind: Option<String>,
}

/// The sets of a body; refused ones are noted by their place.
pub fn sets(fields: &mut Fields, bodies: Vec<SetBody>) -> Vec<StrengthSet> {
    if bodies.len() > MAX_SETS {
        fields.refuse("/sets", "too_many", format_args!("must be at most {MAX_SETS}"));
        return vec![];
    }
    bodies.into_iter().enumerate().filter_map(|(index, body)| set(fields, index, body)).collect()
}

fn set(fields: &mut Fields, index: usize, body: SetBody) -> Option<StrengthSet> {
    let at = |field: &str| format!("/sets/{index}/{field}");
    let exercise = fields.take(at("exercise"), body.exercise, ExerciseName::parse);
    let repetitions = fields.take(at("repetitions"), body.repetitions, whole_number(1, 10_000));
    let mass_kg = fields.optional(at("mass_kg"), body.mass_kg, mass);
    let duration_s = fields.optional(at("duration_s"), body.duration_s, Duration::from_seconds);
    let reps_in_reserve = fields.optional(at("reps_in_reserve"), body.reps_in_reserve, whole_number(0, 20));
    let kind = match body.kind {
        Some(kind) => fields.take(at("kind"), kind.as_str(), set_kind),
        None => Some(SetKind::default()),
    };
    Some(StrengthSet {
        exercise: exercise?,
        repetitions: repetitions?,
        mass_kg,
        duration_s,
        reps_in_reserve,
        kind: kind?,
    })
}

fn mass(kilograms: f64) -> Result<f64, ValueError> {
    if (0.0..=2_000.0).contains(&kilograms) {
        // Minus zero becomes zero.
        Ok(kilograms + 0.0)
    } else {
        Err(ValueError("must be from 0 to 2000 kg".to_owned()))
    }
}

fn set_kind(name: &str) -> Result<SetKind, ValueError> {
    match name {
        "warm_up" => Ok(SetKind::WarmUp),
        "working" => Ok(SetKind::Working),
        "drop" => Ok(SetKind::Drop),
        "failure" => Ok(SetKind::Failure),
        _ => Err(ValueError("must be warm_up, working, drop or failure".to_owned())),
    }
}

/// An instant in RFC 3339, whatever its offset.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a field's parse")]
pub fn instant(text: String) -> Result<DateTime<Utc>, ValueError> {
    DateTime::parse_from_rfc3339(&text)
        .map(|instant| instant.to_utc())
        .map_err(|_| ValueError("must be an instant as RFC 3339 writes it, such as 2026-11-01T06:30:00Z".to_owned()))
}

/// A sport by its name.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a field's parse")]
pub fn sport(name: String) -> Result<Sport, fittrack_domain::sport::UnknownSport> {
    Sport::parse(&name)
}
