//! Workouts: logged by hand, imported from a recording, edited, deleted.
mod body;
pub mod delete;
pub mod edit;
mod form;
pub mod import;
pub mod log;
mod upload;

use fittrack_domain::{ids::AthleteId, workout::Workout};
use fittrack_runtime::problem::Problem;
use uuid::Uuid;

use super::{if_match::etag, problems};
use crate::{app::App, dispatch::DispatchError};

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
    workout_id: Uuid,
    error: DispatchError<fittrack_domain::workout::WorkoutRefusal>,
) -> Problem {
    let DispatchError::VersionMismatch { current } = error else { return problems::of_dispatch(error) };
    match app.dispatcher.load::<Workout>(workout_id).await {
        Ok((Workout::Logged { athlete_id: owner, .. }, _)) if owner == athlete_id => {
            problems::of_dispatch(error).header(axum::http::header::ETAG, etag(current))
        }
        Ok(_) => Problem::not_found("there is no such workout"),
        Err(error) => problems::of_load(error),
    }
}
