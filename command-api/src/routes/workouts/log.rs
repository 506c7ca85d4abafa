//! `POST /v1/workouts`: a workout logged by hand.
use axum::extract::State;
use fittrack_domain::{
    ids::WorkoutId,
    values::{Distance, Duration, Energy, Exertion, HeartRate, Notes, Title, ValueError, Visibility},
    workout::{LogWorkout, Workout, WorkoutCommand, WorkoutDraft},
};
use fittrack_runtime::{json::Json, problem::Problem};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{self, SetBody, instant, sport};
use crate::{
    app::App,
    routes::{
        accepted::{Accepted, StoredCommand},
        command::{Command, is_reused},
        documentation::CommandProblems,
        fields::{Fields, uuid},
        headers::KeyHeader,
        idempotency::command_about,
        problems, words,
    },
};

/// A workout, logged by hand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "sport": "run", "started_at": "2026-11-01T06:30:00Z", "duration_s": 2712.5, "distance_m": 8040,
    "average_heart_rate_bpm": 148, "title": "Along the canal", "visibility": "public"
}))]
pub struct LogWorkoutBody {
    /// What was done.
    #[schema(schema_with = words::sport)]
    sport: String,
    /// When it began (RFC 3339), from 1970 on; not more than five minutes in the future.
    #[schema(value_type = String, format = DateTime)]
    started_at: String,
    /// From start to end, pauses included, in seconds; up to fourteen days.
    #[schema(minimum = 0.001, maximum = 1_209_600)]
    duration_s: f64,
    /// Without pauses, in seconds; not longer than `duration_s`.
    #[schema(minimum = 0.001, maximum = 1_209_600)]
    moving_s: Option<f64>,
    /// How far, in metres.
    #[schema(minimum = 0, maximum = 10_000_000)]
    distance_m: Option<f64>,
    /// How much was climbed, in metres.
    #[schema(minimum = 0, maximum = 100_000)]
    elevation_gain_m: Option<f64>,
    /// Energy spent, in kilocalories.
    #[schema(minimum = 0, maximum = 100_000)]
    energy_kcal: Option<f64>,
    /// Mean heart rate, in beats a minute; not above `max_heart_rate_bpm`.
    #[schema(minimum = 20, maximum = 250)]
    average_heart_rate_bpm: Option<f64>,
    /// Highest heart rate, in beats a minute.
    #[schema(minimum = 20, maximum = 250)]
    max_heart_rate_bpm: Option<f64>,
    /// How hard it felt, 0 to 10.
    #[schema(minimum = 0, maximum = 10)]
    perceived_exertion: Option<f64>,
    /// What you call it; 1 to 200 characters, not all blank.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*[^\x00-\x08\x0e-\x1f\x7f-\x9f\s][^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*$"
    )]
    title: Option<String>,
    /// Notes; 1 to 4,000 characters, not all blank.
    #[schema(
        min_length = 1,
        max_length = 4000,
        pattern = r"^[^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*[^\x00-\x08\x0e-\x1f\x7f-\x9f\s][^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*$"
    )]
    notes: Option<String>,
    /// `private`, `followers` or `public`; the profile's default when absent.
    #[schema(schema_with = words::visibility_or_null, required = false)]
    visibility: Option<String>,
    /// The shoes or the bike.
    #[schema(format = Uuid)]
    gear_id: Option<String>,
    /// The workout's id, a UUID of version 7 made by you; made for you when absent.
    #[schema(format = Uuid, pattern = "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-7[0-9A-Fa-f]{3}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$")]
    id: Option<String>,
    /// Strength sets, in order; up to 500.
    #[serde(default)]
    #[schema(max_items = 500)]
    sets: Vec<SetBody>,
}

/// Log a workout
///
/// A body with an `id` of its own is idempotent by itself; otherwise send an `Idempotency-Key`.
#[utoipa::path(
    post, path = "/v1/workouts", operation_id = "log_workout", tag = "workouts",
    params(KeyHeader),
    request_body = LogWorkoutBody,
    responses(
        (status = 202, description = "Stored", body = StoredCommand, headers(
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
    ),
)]
pub async fn log_workout(
    State(app): State<App>,
    command: Command<Json<LogWorkoutBody>>,
) -> Result<Accepted<StoredCommand>, Problem> {
    let Command { body: Json(body), envelope } = command;
    let (draft, client_made) = convert(body)?;
    let context = app.context(envelope.athlete_id).await?;
    let about = client_made.map(|id| command_about(envelope.athlete_id, "log", id));
    let begun = envelope.begin(&app, about)?;
    let workout_id = client_made.unwrap_or_else(Uuid::now_v7);
    let command = WorkoutCommand::LogWorkout(Box::new(LogWorkout { workout_id: WorkoutId(workout_id), draft }));
    let request = envelope.request::<Workout>(workout_id, command, context, &begun);
    match app.dispatcher.dispatch(request).await {
        Ok(receipt) => Ok(Accepted::workout(&receipt, &envelope.token_key)),
        Err(error) if is_reused(&error) && !envelope.has_key() => {
            Err(Problem::conflict("a workout with this id already exists"))
        }
        Err(error) => Err(problems::of_dispatch(error)),
    }
}

fn convert(raw: LogWorkoutBody) -> Result<(WorkoutDraft, Option<Uuid>), Problem> {
    let mut fields = Fields::default();
    let sport = fields.take("/sport", raw.sport, sport);
    let started_at = fields.take("/started_at", raw.started_at, instant);
    let duration_s = fields.take("/duration_s", raw.duration_s, Duration::from_seconds);
    let moving_s = fields.optional("/moving_s", raw.moving_s, Duration::from_seconds);
    let distance_m = fields.optional("/distance_m", raw.distance_m, Distance::from_metres);
    let elevation_gain_m = fields.optional("/elevation_gain_m", raw.elevation_gain_m, Distance::climb_from_metres);
    let energy_kcal = fields.optional("/energy_kcal", raw.energy_kcal, Energy::from_kcal);
    let average_heart_rate_bpm =
        fields.optional("/average_heart_rate_bpm", raw.average_heart_rate_bpm, HeartRate::from_bpm);
    let max_heart_rate_bpm = fields.optional("/max_heart_rate_bpm", raw.max_heart_rate_bpm, HeartRate::from_bpm);
    let perceived_exertion = fields.optional("/perceived_exertion", raw.perceived_exertion, Exertion::parse);
    let title = fields.optional("/title", raw.title, Title::parse);
    let notes = fields.optional("/notes", raw.notes, Notes::parse);
    let visibility = fields.optional("/visibility", raw.visibility, |name| Visibility::parse(&name));
    let gear_id = fields.optional("/gear_id", raw.gear_id, |text| uuid(&text));
    let id = fields.optional("/id", raw.id, uuid_v7);
    let sets = body::sets(&mut fields, raw.sets);
    let draft = match (sport, started_at, duration_s) {
        (Some(sport), Some(started_at), Some(duration_s)) => Some(WorkoutDraft {
            sport,
            started_at,
            duration_s,
            moving_s,
            distance_m,
            elevation_gain_m,
            energy_kcal,
            average_heart_rate_bpm,
            max_heart_rate_bpm,
            average_power_w: None,
            perceived_exertion,
            title,
            notes,
            visibility,
            gear_id,
            sets,
        }),
        _ => None,
    };
    fields.finish(draft.map(|draft| (draft, id)))
}

/// A client's id must sort by time like ours, or the store's indexes would scatter.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a field's parse")]
fn uuid_v7(text: String) -> Result<Uuid, ValueError> {
    uuid(&text)
        .ok()
        .filter(|id| id.get_version_num() == 7)
        .ok_or_else(|| ValueError("must be a UUID of version 7".to_owned()))
}
