//! `DELETE /v1/account/sessions/{session_id}` and `.../current`: signing out, here or elsewhere.
use axum::{extract::State, http::StatusCode};
use fittrack_runtime::{auth::Caller, json::Path, problem::Problem};
use uuid::Uuid;

use crate::{
    app::App,
    identity::audit::Origin,
    routes::{documentation::OwnAccountProblems, problems, refusals},
};

/// End a session
///
/// Its refresh token is refused at once, its access tokens by every service within five seconds.
#[utoipa::path(
    delete, path = "/v1/account/sessions/{session_id}", operation_id = "end_session", tag = "account",
    params(("session_id" = Uuid, Path, description = "One of the caller's own sessions")),
    responses((status = 204, description = "Ended"), OwnAccountProblems),
)]
pub async fn end_session(
    State(app): State<App>,
    caller: Caller,
    origin: Origin,
    Path(session_id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    if app.sessions.end(caller.athlete_id, session_id, &origin).await.map_err(problems::of_database)? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        if app.sessions.is_another_s(caller.athlete_id, session_id).await.map_err(problems::of_database)? {
            refusals::another_s(&app, caller.athlete_id, &origin, "session", session_id);
        }
        Err(Problem::not_found("there is no such session"))
    }
}

/// Sign out
///
/// Ends the session of the access token this is asked with.
#[utoipa::path(
    delete, path = "/v1/account/sessions/current", operation_id = "sign_out", tag = "account",
    responses((status = 204, description = "Signed out"), OwnAccountProblems),
)]
pub async fn sign_out(State(app): State<App>, caller: Caller, origin: Origin) -> Result<StatusCode, Problem> {
    app.sessions.end(caller.athlete_id, caller.session_id, &origin).await.map_err(problems::of_database)?;
    Ok(StatusCode::NO_CONTENT)
}
