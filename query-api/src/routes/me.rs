//! `GET /v1/me`: the caller's own profile, with everything in it.
use axum::extract::State;
use axum::response::Response;
use fittrack_runtime::auth::Caller;
use fittrack_runtime::problem::Problem;

use crate::app::App;
use crate::ask::{Ask, Whose, versioned_answer};
use crate::problems::of_database;
use crate::queries::profiles::{self, Profile};
use crate::read_model::ReadModel;

/// My profile
///
/// Its `ETag` is what `If-Match` of `PATCH /v1/me/profile` expects. 404 while the registration is on its way here.
#[utoipa::path(
    get,
    path = "/v1/me",
    tag = "profile",
    responses((status = 200, description = "The caller's own profile.", body = Profile, links(
        ("athlete" = (operation_id = "get_athlete", parameters(("id" = "$response.body#/id")))),
    ),
        example = json!({ "id": "0198c0de-0001-7000-8000-000000000001", "version": 3, "display_name": "Anna",
            "bio": "Runs before breakfast.", "birth_year": 1990, "sex": "female", "height_cm": 172,
            "time_zone": "Europe/Berlin", "units": "metric", "default_visibility": "public",
            "registered_at": "2026-10-31T07:00:00Z", "changed_at": "2026-11-02T18:21:09Z" })))
)]
pub async fn get_me(State(app): State<App>, caller: Caller, ask: Ask) -> Result<Response, Problem> {
    let me = caller.athlete_id;
    let load = || async {
        ask.parameters::<super::NoParameters>()?;
        let stamp = app.stamp_of(ReadModel::Profiles, me);
        let profile = profiles::own(&app.read_models, me).await.map_err(of_database)?;
        let profile = profile.ok_or_else(|| Problem::not_found("your profile is not readable yet"))?;
        versioned_answer(stamp, profile.version, &profile)
    };
    ask.answer(&app, Whose::Callers(me), &[ReadModel::Profiles], load).await
}
