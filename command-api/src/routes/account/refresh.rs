//! `POST /v1/account/sessions/refresh`: the next pair of tokens.
use axum::extract::State;
use fittrack_runtime::{json::Json, problem::Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::sessions::{NOT_KEPT, NotKept, SessionTokens};
use crate::{
    app::App,
    identity::{audit::Origin, secrets::OpaqueSecret, sessions::refresh::Refreshed},
    routes::documentation::SignInProblems,
};

/// What a client has kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"refresh_token": "pmTLFw1Vd1Wwm2fQ7hKcE8JtCNoZ6x2A0eHq5rYsUiB"}))]
pub struct RefreshBody {
    /// The refresh token given out last.
    refresh_token: String,
}

/// Refresh a session
///
/// Spends the refresh token and answers with the next pair. A client whose answer was lost may ask again within ten seconds and
/// gets the same refresh token again. A spent token that is used later ends the session: somebody else has it too. A session
/// lasts 30 days, and 14 days without being refreshed.
#[utoipa::path(
    post, path = "/v1/account/sessions/refresh", operation_id = "refresh_session", tag = "account", security(()),
    request_body = RefreshBody,
    responses((status = 200, description = "Refreshed", body = SessionTokens), SignInProblems),
)]
pub async fn refresh_session(
    State(app): State<App>,
    origin: Origin,
    Json(body): Json<RefreshBody>,
) -> Result<(NotKept, Json<SessionTokens>), Problem> {
    let refused = || Problem::unauthenticated("the refresh token is not good any more; sign in again");
    let token = OpaqueSecret::parse(&body.refresh_token).ok_or_else(refused)?;
    match app.sessions.refresh(&token, &origin).await? {
        Refreshed::Pair(pair) => Ok((NOT_KEPT, Json(SessionTokens::of(&pair)))),
        Refreshed::Refused => Err(refused()),
    }
}
