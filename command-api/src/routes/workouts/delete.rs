//! `DELETE /v1/workouts/{id}`: a workout removed by its owner.
use axum::extract::State;
use fittrack_domain::{
    ids::WorkoutId,
    workout::{Workout, WorkoutCommand},
};
use fittrack_runtime::{json::Path, problem::Problem};

use super::{WORKOUT, refused, workout_id};
use crate::{
    app::App,
    identity::audit::Origin,
    routes::{
        accepted::{Accepted, StoredCommand},
        command::{Command, NoBody},
        documentation::CommandProblems,
        headers::{IfMatchHeader, KeyHeader},
        if_match::dispatch_if_match,
    },
};

/// Delete a workout
///
/// It is gone from every read model, and its recording may be imported again. `If-Match` is optional here and honoured.
/// A second deletion answers 404, unless it carries the `Idempotency-Key` of the first.
#[utoipa::path(
    delete, path = WORKOUT, operation_id = "delete_workout", tag = "workouts",
    params(
        ("workout_id" = uuid::Uuid, Path, description = "The workout"),
        IfMatchHeader,
        KeyHeader,
    ),
    responses(
        (status = 202, description = "Deleted", body = StoredCommand, headers(
            ("ETag" = String, description = "The version of the deletion"),
            ("Location" = String, description = "Where the query API showed the workout"),
            ("Consistency-Token" = String, description = "As in the body"),
            ("Idempotency-Replayed" = String, description = "`true` on a repeated answer"),
        )),
        CommandProblems,
    ),
)]
pub async fn delete_workout(
    State(app): State<App>,
    Path(path): Path<String>,
    origin: Origin,
    command: Command<NoBody>,
) -> Result<Accepted<StoredCommand>, Problem> {
    let envelope = command.envelope;
    let workout_id = workout_id(&path)?;
    let context = app.context(envelope.athlete_id).await?;
    let begun = envelope.begin(&app, None)?;
    let command = WorkoutCommand::DeleteWorkout(WorkoutId(workout_id));
    let request = envelope.request::<Workout>(workout_id, command, context.clone(), &begun);
    match dispatch_if_match(&app.dispatcher, request, envelope.if_match.as_ref()).await {
        Ok(receipt) => {
            // A claim that stays behind is harmless: the next import sees that its workout is gone.
            if let Err(error) = app.importer.forget(&context, WorkoutId(receipt.stream_id)).await {
                tracing::warn!(%error, workout_id = %receipt.stream_id, "the import of a deleted workout is still claimed");
            }
            Ok(Accepted::workout(&receipt, &envelope.token_key))
        }
        Err(error) => Err(refused(&app, envelope.athlete_id, &origin, workout_id, error).await),
    }
}
