//! `GET /v1/athletes/{id}`: an athlete as its owner lets the caller see them.
use axum::extract::State;
use axum::response::Response;
use fittrack_runtime::auth::Caller;
use fittrack_runtime::json::Path;
use fittrack_runtime::problem::Problem;
use uuid::Uuid;

use crate::app::App;
use crate::ask::{Ask, Whose, versioned_answer};
use crate::problems::of_database;
use crate::queries::profiles::{self, Athlete};
use crate::read_model::ReadModel;

/// An athlete
///
/// Everybody signed in sees name and words. Athletes see of themselves what `GET /v1/me` shows.
#[utoipa::path(
    get,
    path = "/v1/athletes/{id}",
    tag = "profile",
    params(("id" = Uuid, Path, description = "The athlete.")),
    responses((status = 200, description = "The athlete.", body = Athlete,
        example = json!({ "id": "0198c0de-0001-7000-8000-000000000001", "version": 3, "display_name": "Anna",
            "bio": "Runs before breakfast.", "registered_at": "2026-10-31T07:00:00Z" })))
)]
pub async fn get_athlete(
    State(app): State<App>,
    caller: Caller,
    Path(athlete): Path<Uuid>,
    ask: Ask,
) -> Result<Response, Problem> {
    let nobody = || Problem::not_found("there is no such athlete");
    let load = || async {
        ask.parameters::<super::NoParameters>()?;
        let stamp = app.stamp_of(ReadModel::Profiles, athlete);
        if athlete == caller.athlete_id {
            let own = profiles::own(&app.read_models, athlete).await.map_err(of_database)?.ok_or_else(nobody)?;
            return versioned_answer(stamp, own.version, &own);
        }
        let other = profiles::of_anybody(&app.read_models, athlete).await.map_err(of_database)?.ok_or_else(nobody)?;
        versioned_answer(stamp, other.version, &other)
    };
    ask.answer(&app, Whose::Callers(caller.athlete_id), &[ReadModel::Profiles], load).await
}
