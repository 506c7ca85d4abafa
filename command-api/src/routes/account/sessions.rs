//! `POST /v1/account/sessions`: signing in.
use axum::{
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderName},
    },
};
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::{clock, json::Json, problem::Problem};
use metrics::counter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::App,
    identity::{
        accounts::{self, Account},
        email::Email,
        passwords::Verdict,
        tokens::LIFETIME_S,
    },
    routes::{documentation::AccountProblems, problems},
};

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ann@example.org", "password": "correct horse battery"}))]
pub struct Credentials {
    /// The account's address; upper and lower case are the same.
    #[schema(format = Email)]
    email: String,
    /// The password, exactly as it was set.
    #[schema(format = Password)]
    password: String,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"access_token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2ln", "token_type": "Bearer", "expires_in": 600}))]
pub struct Session {
    /// Send it as `Authorization: Bearer <token>`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// How long the token is good for, in seconds.
    expires_in: i64,
}

/// Sign in
///
/// Answers with an access token. An unknown address, a wrong password and an account that may not sign in get the same
/// answer after the same work.
#[utoipa::path(
    post, path = "/v1/account/sessions", operation_id = "log_in", tag = "account", security(()),
    request_body = Credentials,
    responses((status = 201, description = "Signed in", body = Session), AccountProblems),
)]
pub async fn log_in(
    State(app): State<App>,
    Json(credentials): Json<Credentials>,
) -> Result<(StatusCode, [(HeaderName, &'static str); 1], Json<Session>), Problem> {
    let account = match Email::parse(credentials.email) {
        Ok(email) => accounts::by_email(app.registration.accounts(), &email).await.map_err(problems::of_database)?,
        Err(_) => None,
    };
    let account = account.filter(Account::is_active);
    let stored = account.as_ref().map(|account| account.password_hash.clone());
    let verdict = app.passwords.verify(credentials.password, stored).await?;
    let (Some(account), Verdict::Right { rehashed }) = (account, verdict) else {
        counter!("fittrack_sign_ins_total", "outcome" => "refused").increment(1);
        return Err(Problem::unauthenticated("the e-mail address or the password is wrong"));
    };
    if let Some(stronger) = rehashed
        && let Err(error) = accounts::rehash(app.registration.accounts(), &account, &stronger).await
    {
        tracing::warn!(%error, "a password hash was not renewed; the next sign-in tries again");
    }
    counter!("fittrack_sign_ins_total", "outcome" => "signed_in").increment(1);
    let access_token =
        app.tokens.issue(AthleteId(account.athlete_id), clock::now()).map_err(|error| Problem::internal(&error))?;
    let session = Session { access_token, token_type: "Bearer", expires_in: LIFETIME_S };
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(session)))
}
