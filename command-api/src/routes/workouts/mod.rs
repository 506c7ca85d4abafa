//! Workouts: logged by hand, imported from a recording, edited, deleted.
mod body;
pub mod delete;
pub mod edit;
mod form;
pub mod import;
pub mod log;
mod upload;

use fittrack_domain::{
    ids::AthleteId,
    workout::{Workout, WorkoutRefusal},
};
use fittrack_runtime::problem::Problem;
use uuid::Uuid;

use super::{if_match::etag, problems, refusals};
use crate::{app::App, dispatch::DispatchError, identity::audit::Origin};

/// The path of one workout.
const WORKOUT: &str = "/v1/workouts/{workout_id}";

/// A workout's id in the path; what is no id names no workout.
fn workout_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::not_found("there is no such workout"))
}

/// The problem of a change that was not stored. A version mismatch is admitted to the workout's owner alone.
async fn refused(
    app: &App,
    athlete_id: AthleteId,
    origin: &Origin,
    workout_id: Uuid,
    error: DispatchError<WorkoutRefusal>,
) -> Problem {
    if !matches!(error, DispatchError::VersionMismatch { .. } | DispatchError::Refused(WorkoutRefusal::NotFound)) {
        return problems::of_dispatch(error);
    }
    let owner = match app.dispatcher.load::<Workout>(workout_id).await {
        Ok((Workout::Logged { athlete_id: owner, .. }, _)) => Some(owner),
        Ok(_) => None,
        Err(error) => return problems::of_load(error),
    };
    if owner.is_some_and(|owner| owner != athlete_id) {
        refusals::another_s(app, athlete_id.0, origin, "workout", workout_id);
    }
    match error {
        DispatchError::VersionMismatch { current } if owner == Some(athlete_id) => {
            problems::of_dispatch(error).header(axum::http::header::ETAG, etag(current))
        }
        _ => Problem::not_found("there is no such workout"),
    }
}
