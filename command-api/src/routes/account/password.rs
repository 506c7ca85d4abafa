//! `PUT /v1/account/password`: another password.
use axum::{extract::State, http::StatusCode};
use fittrack_domain::{athlete::Athlete, ids::AthleteId};
use fittrack_runtime::{auth::Caller, config::Secret, json::Json, problem::Problem};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::App,
    identity::{
        accounts,
        audit::Origin,
        password_change::{Changed, PasswordChange},
        passwords::NewPassword,
    },
    routes::{documentation::OwnAccountProblems, fields::Fields, problems},
};

/// The password as it is and as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "correct horse battery", "new_password": "a longer one than before"}))]
pub struct PasswordBody {
    /// The password, exactly as it was set.
    #[schema(format = Password)]
    current_password: String,
    /// At least 8 characters (15 are recommended), at most 1,024 bytes, taken exactly as typed. The most common passwords are
    /// refused, and what follows from address or name.
    #[schema(format = Password, min_length = 8, max_length = 1024)]
    new_password: String,
}

/// Change the password
///
/// Ends every other session of the athlete; this one stays.
#[utoipa::path(
    put, path = "/v1/account/password", operation_id = "change_password", tag = "account",
    request_body = PasswordBody,
    responses((status = 204, description = "Changed"), OwnAccountProblems),
)]
pub async fn change_password(
    State(app): State<App>,
    caller: Caller,
    origin: Origin,
    Json(body): Json<PasswordBody>,
) -> Result<StatusCode, Problem> {
    let (email, name) = who(&app, caller.athlete_id).await?;
    let mut fields = Fields::default();
    let new = fields.take("/new_password", body.new_password, |new| NewPassword::parse(new)?.unlike(&[&email, &name]));
    let change = PasswordChange {
        athlete_id: AthleteId(caller.athlete_id),
        session_id: caller.session_id,
        current: Secret::new(body.current_password),
        new: fields.finish(new)?,
        origin,
    };
    let sign_in = app.sign_in.clone();
    // To its end, whoever hangs up: half of it would be a password changed and sessions that live on.
    let work = async move { sign_in.change_password(change).await };
    match app.tasks.run_to_end(work).await?? {
        Changed::Done => Ok(StatusCode::NO_CONTENT),
        Changed::WrongPassword => Err(Problem::invalid_body("the current password is another").error(
            "/current_password",
            "wrong_password",
            "is not the current password",
        )),
        Changed::Conflict => Err(Problem::conflict("the account was changed at the same moment; try again")),
    }
}

/// The address and the name a password must not follow from.
async fn who(app: &App, athlete_id: Uuid) -> Result<(String, String), Problem> {
    let email = accounts::email_of(app.registration.accounts(), athlete_id).await.map_err(problems::of_database)?;
    let (athlete, _) = app.dispatcher.load::<Athlete>(athlete_id).await.map_err(problems::of_load)?;
    let name = athlete.profile.map(|profile| profile.display_name.as_str().to_owned());
    Ok((email.unwrap_or_default(), name.unwrap_or_default()))
}
