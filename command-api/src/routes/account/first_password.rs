//! `POST /v1/account/password/first`: the password of an account that was made at the command line.
use axum::{extract::State, http::StatusCode};
use fittrack_runtime::{json::Json, problem::Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    identity::{audit::Origin, email::Email, passwords::NewPassword},
    routes::{documentation::SignInProblems, fields::Fields},
};

/// What `command-api admin create` printed, and the password it is exchanged for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "email": "ops@example.org", "one_time_secret": "pmTLFw1Vd1Wwm2fQ7hKcE8JtCNoZ6x2A0eHq5rYsUiA",
    "new_password": "correct horse battery"
}))]
pub struct FirstPasswordBody {
    /// The account's address.
    #[schema(format = Email, max_length = 254)]
    email: String,
    /// Good once, for a day.
    #[schema(format = Password)]
    one_time_secret: String,
    /// At least 8 characters (15 are recommended), at most 1,024 bytes, taken exactly as typed.
    #[schema(format = Password, min_length = 8, max_length = 1024)]
    new_password: String,
}

/// Set the first password
///
/// For an account that was made at the command line; its one-time secret signs nobody in.
#[utoipa::path(
    post, path = "/v1/account/password/first", operation_id = "set_first_password", tag = "account", security(()),
    request_body = FirstPasswordBody,
    responses((status = 204, description = "Set; the account can sign in"), SignInProblems),
)]
pub async fn set_first_password(
    State(app): State<App>,
    origin: Origin,
    Json(body): Json<FirstPasswordBody>,
) -> Result<StatusCode, Problem> {
    let mut fields = Fields::default();
    let new = fields.take("/new_password", body.new_password, |new| NewPassword::parse(new)?.unlike(&[&body.email]));
    let email = fields.take("/email", body.email, Email::parse);
    let (new, email) = fields.finish(new.zip(email))?;
    let (sign_in, secret) = (app.sign_in.clone(), body.one_time_secret);
    let work = async move { sign_in.set_first_password(email, secret, new, &origin).await };
    if app.tasks.run_to_end(work).await?? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::unauthenticated(
            "the address or its one-time secret is wrong, or the secret was used or is too old",
        ))
    }
}
