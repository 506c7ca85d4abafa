//! `GET /v1/account/erasures/{erasure_id}`: the receipt of an erasure.
use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use fittrack_runtime::{json::Path, problem::Problem};
use uuid::Uuid;

use crate::{
    app::App,
    erasure::{self, receipt::Receipt},
    routes::{documentation::OwnAccountProblems, problems},
};

/// When to look again at one that is under way, in seconds.
pub const LOOK_AGAIN_S: HeaderValue = HeaderValue::from_static("2");

/// Show the receipt of an erasure
///
/// What was removed where, and what goes by itself until when. No access token is needed, because none is left by then: the id is
/// random and was told to the athlete alone, and the receipt names nobody.
#[utoipa::path(
    get, path = "/v1/account/erasures/{erasure_id}", operation_id = "show_erasure", tag = "account", security(()),
    params(("erasure_id" = Uuid, Path, description = "From the `Location` of the request")),
    responses(
        (status = 200, description = "The receipt; while it is `pending` it grows, and `Retry-After` says when to look again", body = Receipt),
        OwnAccountProblems,
    ),
)]
pub async fn show_erasure(State(app): State<App>, Path(erasure_id): Path<Uuid>) -> Result<Response, Problem> {
    let found = erasure::by_id(app.registration.accounts(), erasure_id).await.map_err(problems::of_database)?;
    let receipt = Receipt::from(found.ok_or_else(|| Problem::not_found("there is no such erasure"))?);
    let is_finished = receipt.is_finished();
    let mut response = Json(receipt).into_response();
    if !is_finished {
        response.headers_mut().insert(RETRY_AFTER, LOOK_AGAIN_S);
    }
    Ok(response)
}
