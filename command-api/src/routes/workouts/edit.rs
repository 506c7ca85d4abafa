//! `PATCH /v1/workouts/{id}`: what a workout says, changed by its owner.
use axum::extract::State;
use fittrack_domain::{
    ids::WorkoutId,
    patch::Patch,
    values::{Distance, Duration, Energy, Exertion, HeartRate, Notes, Title, Visibility},
    workout::{EditWorkout, Workout, WorkoutCommand},
};
use fittrack_runtime::{
    json::{MergePatch, Path},
    problem::Problem,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    WORKOUT,
    body::{self, SetBody, instant, sport},
    refused, workout_id,
};
use crate::{
    app::App,
    identity::audit::Origin,
    routes::{
        accepted::{Accepted, StoredCommand},
        command::Command,
        documentation::{CommandProblems, VersionProblems},
        fields::{Fields, uuid},
        headers::{IfMatchRequired, KeyHeader},
        if_match::dispatch_if_match,
        words,
    },
};

/// A merge patch of a workout: absent fields stay, `null` clears those that may be empty. Limits as in logging one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"title": "Along the canal, with Bo", "notes": null, "visibility": "followers"}))]
pub struct EditWorkoutBody {
    /// What was done; never empty.
    #[serde(default)]
    #[schema(schema_with = words::sport, required = false)]
    sport: Patch<String>,
    /// When it began (RFC 3339); never empty.
    #[serde(default)]
    #[schema(value_type = String, required = false, format = DateTime)]
    started_at: Patch<String>,
    /// From start to end, in seconds; never empty.
    #[serde(default)]
    #[schema(value_type = f64, required = false, minimum = 0.001, maximum = 1_209_600)]
    duration_s: Patch<f64>,
    /// Without pauses, in seconds.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 0.001, maximum = 1_209_600)]
    moving_s: Patch<f64>,
    /// How far, in metres.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 10_000_000)]
    distance_m: Patch<f64>,
    /// How much was climbed, in metres.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 100_000)]
    elevation_gain_m: Patch<f64>,
    /// Energy spent, in kilocalories.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 100_000)]
    energy_kcal: Patch<f64>,
    /// Mean heart rate, in beats a minute.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 20, maximum = 250)]
    average_heart_rate_bpm: Patch<f64>,
    /// Highest heart rate, in beats a minute.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 20, maximum = 250)]
    max_heart_rate_bpm: Patch<f64>,
    /// How hard it felt, 0 to 10.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 10)]
    perceived_exertion: Patch<f64>,
    /// What you call it.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*[^\x00-\x08\x0e-\x1f\x7f-\x9f\s][^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*$")]
    title: Patch<String>,
    /// Notes.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 4000, pattern = r"^[^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*[^\x00-\x08\x0e-\x1f\x7f-\x9f\s][^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*$")]
    notes: Patch<String>,
    /// `private`, `followers` or `public`; never empty.
    #[serde(default)]
    #[schema(schema_with = words::visibility, required = false)]
    visibility: Patch<String>,
    /// The shoes or the bike.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Uuid)]
    gear_id: Patch<String>,
    /// All strength sets, in order.
    #[serde(default)]
    #[schema(value_type = Option<Vec<SetBody>>, max_items = 500)]
    sets: Patch<Vec<SetBody>>,
}

/// Edit a workout
///
/// A JSON merge patch (RFC 7396). `If-Match` is required: name the version you have seen (428 without it, 412 when the
/// workout has changed since). Everything that was computed from the workout is corrected.
#[utoipa::path(
    patch, path = WORKOUT, operation_id = "edit_workout", tag = "workouts",
    params(
        ("workout_id" = Uuid, Path, description = "The workout"),
        IfMatchRequired,
        KeyHeader,
    ),
    request_body(content = EditWorkoutBody, content_type = "application/merge-patch+json"),
    responses(
        (status = 202, description = "Changed", body = StoredCommand, headers(
            ("ETag" = String, description = "The workout's version"),
            ("Location" = String, description = "Where the query API shows the workout"),
            ("Consistency-Token" = String, description = "As in the body"),
            ("Idempotency-Replayed" = String, description = "`true` on a repeated answer"),
        ), links(
            ("edit" = (operation_id = "edit_workout", parameters(
                ("workout_id" = "$response.body#/id"), ("If-Match" = "$response.header.ETag"),
            ))),
            ("delete" = (operation_id = "delete_workout", parameters(("workout_id" = "$response.body#/id")))),
        )),
        CommandProblems,
        VersionProblems,
    ),
)]
pub async fn edit_workout(
    State(app): State<App>,
    Path(path): Path<String>,
    origin: Origin,
    command: Command<MergePatch<EditWorkoutBody>>,
) -> Result<Accepted<StoredCommand>, Problem> {
    let Command { body: MergePatch(body), envelope } = command;
    let workout_id = workout_id(&path)?;
    let Some(if_match) = &envelope.if_match else {
        return Err(Problem::precondition_required("send the `ETag` you have seen as `If-Match`"));
    };
    let edit = convert(WorkoutId(workout_id), body)?;
    let context = app.context(envelope.athlete_id).await?;
    let begun = envelope.begin(&app, None)?;
    let command = WorkoutCommand::EditWorkout(Box::new(edit));
    let request = envelope.request::<Workout>(workout_id, command, context, &begun);
    match dispatch_if_match(&app.dispatcher, request, Some(if_match)).await {
        Ok(receipt) => Ok(Accepted::workout(&receipt, &envelope.token_key)),
        Err(error) => Err(refused(&app, envelope.athlete_id, &origin, workout_id, error).await),
    }
}

fn convert(workout_id: WorkoutId, raw: EditWorkoutBody) -> Result<EditWorkout, Problem> {
    let mut fields = Fields::default();
    let edit = EditWorkout {
        workout_id,
        sport: fields.patch("/sport", raw.sport, sport),
        started_at: fields.patch("/started_at", raw.started_at, instant),
        duration_s: fields.patch("/duration_s", raw.duration_s, Duration::from_seconds),
        moving_s: fields.patch("/moving_s", raw.moving_s, Duration::from_seconds),
        distance_m: fields.patch("/distance_m", raw.distance_m, Distance::from_metres),
        elevation_gain_m: fields.patch("/elevation_gain_m", raw.elevation_gain_m, Distance::climb_from_metres),
        energy_kcal: fields.patch("/energy_kcal", raw.energy_kcal, Energy::from_kcal),
        average_heart_rate_bpm: fields.patch(
            "/average_heart_rate_bpm",
            raw.average_heart_rate_bpm,
            HeartRate::from_bpm,
        ),
        max_heart_rate_bpm: fields.patch("/max_heart_rate_bpm", raw.max_heart_rate_bpm, HeartRate::from_bpm),
        perceived_exertion: fields.patch("/perceived_exertion", raw.perceived_exertion, Exertion::parse),
        title: fields.patch("/title", raw.title, Title::parse),
        notes: fields.patch("/notes", raw.notes, Notes::parse),
        visibility: fields.patch("/visibility", raw.visibility, |name| Visibility::parse(&name)),
        gear_id: fields.patch("/gear_id", raw.gear_id, |text| uuid(&text)),
        sets: match raw.sets {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(sets) => Patch::Set(body::sets(&mut fields, sets)),
        },
    };
    fields.finish(Some(edit))
}
