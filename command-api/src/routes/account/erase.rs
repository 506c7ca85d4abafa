//! `DELETE /v1/account`: everything of an athlete is erased, for good.
use axum::{
    Json,
    extract::State,
    http::{
        HeaderValue, StatusCode,
        header::{LOCATION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::{auth::Caller, json, problem::Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    erasure::{self, receipt::Receipt},
    identity::audit::Origin,
    routes::{documentation::OwnAccountProblems, problems},
};

/// Proof that it is the athlete who asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"password": "correct horse battery"}))]
pub struct EraseBody {
    /// The password, exactly as it was set.
    #[schema(format = Password)]
    password: String,
}

/// Erase the account
///
/// At once nobody signs in any more, and every session and API key ends. Then everything of the athlete is removed: events lose
/// their content, recordings and files go, address and password, and what any read model has. It cannot be undone; export first.
/// `Location` is the receipt, readable by whoever has its address.
#[utoipa::path(
    delete, path = "/v1/account", operation_id = "erase_account", tag = "account",
    request_body = EraseBody,
    responses(
        (status = 202, description = "Closed; the rest is under way", body = Receipt, headers(
            ("Location" = String, description = "The receipt"),
            ("Retry-After" = u64, description = "When to look at it, in seconds"),
        )),
        OwnAccountProblems,
    ),
)]
pub async fn erase_account(
    State(app): State<App>,
    caller: Caller,
    origin: Origin,
    json::Json(body): json::Json<EraseBody>,
) -> Result<Response, Problem> {
    let (sign_in, athlete_id) = (app.sign_in.clone(), AthleteId(caller.athlete_id));
    // To its end, whoever hangs up: half of it would be sessions that ended and an account that did not.
    let work = async move { sign_in.erase_account(athlete_id, body.password, &origin).await };
    let Some(requested) = app.tasks.run_to_end(work).await?? else {
        return Err(Problem::invalid_body("the password is another").error(
            "/password",
            "wrong_password",
            "is not the account's password",
        ));
    };
    let found =
        erasure::by_id(app.registration.accounts(), requested.erasure_id).await.map_err(problems::of_database)?;
    let receipt = found.map(Receipt::from).ok_or_else(|| Problem::internal("the erasure is not there"))?;
    let location = format!("/v1/account/erasures/{}", requested.erasure_id);
    let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
    let headers = [(LOCATION, location), (RETRY_AFTER, super::erasure::LOOK_AGAIN_S)];
    Ok((StatusCode::ACCEPTED, headers, Json(receipt)).into_response())
}
