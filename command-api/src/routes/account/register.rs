//! `POST /v1/account`: a new athlete and their account.
use axum::{extract::State, http::HeaderMap};
use fittrack_domain::values::{DisplayName, TimeZone, ValueError};
use fittrack_runtime::{json::Json, problem::Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::App,
    identity::{audit::Origin, email::Email, passwords::NewPassword, registration::Newcomer},
    routes::{
        accepted::{Accepted, token_of},
        documentation::RegistrationProblems,
        fields::Fields,
        headers::KeyHeader,
        idempotency::IdempotencyKey,
    },
};

const ROUTE: &str = "/v1/account";

/// Who wants an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "email": "ann@example.org", "password": "correct horse battery", "display_name": "Ann", "time_zone": "Europe/Berlin"
}))]
pub struct RegisterBody {
    /// Their e-mail address; never shown to others.
    #[schema(format = Email, max_length = 254)]
    email: String,
    /// At least 8 characters (15 are recommended), at most 1,024 bytes, taken exactly as typed. The most common passwords are
    /// refused, and what follows from address or name.
    #[schema(format = Password, min_length = 8, max_length = 1024)]
    password: String,
    /// What they want to be called.
    #[schema(
        min_length = 1,
        max_length = 80,
        pattern = r"^[^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*[^\x00-\x08\x0e-\x1f\x7f-\x9f\s][^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*$"
    )]
    display_name: String,
    /// IANA time zone in which their days are counted; `UTC` when absent.
    #[schema(pattern = "^[A-Za-z0-9_+/-]+$", example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// Language for what FitTrack writes to them, as in `de-CH`; checked and, until FitTrack writes to anybody, not kept.
    #[schema(max_length = 35, pattern = "^[0-9A-Za-z]{1,8}(-[0-9A-Za-z]{1,8})*$")]
    locale: Option<String>,
}

/// A registered athlete.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f", "athlete_id": "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f",
    "version": 1, "consistency_token": "2.1f-1.b0WmK5sPeT9x"
}))]
pub struct Registered {
    /// The athlete.
    id: Uuid,
    /// The same, under the name other answers use.
    athlete_id: Uuid,
    /// The athlete's version.
    version: i64,
    /// Send it to the query API as `Consistency-Token` to read what you have written.
    consistency_token: String,
}

/// Register an athlete
///
/// Makes the account and the athlete. An address can have one account: a second registration of it is answered in the same form,
/// with the id of nobody, and changes nothing, so that the answer tells nobody who has an account. Send an `Idempotency-Key`, so
/// that a repetition after a lost answer gets the first answer again. After five registrations of an address within an hour
/// further ones have to wait.
#[utoipa::path(
    post, path = ROUTE, operation_id = "register_athlete", tag = "account", security(()),
    params(KeyHeader),
    request_body = RegisterBody,
    responses(
        (status = 202, description = "Registered; the athlete can sign in", body = Registered, headers(
            ("ETag" = String, description = "The athlete's version"),
            ("Location" = String, description = "Where the query API shows the athlete"),
            ("Consistency-Token" = String, description = "As in the body"),
            ("Idempotency-Replayed" = String, description = "`true` on a repeated answer"),
        )),
        RegistrationProblems,
    ),
)]
pub async fn register_athlete(
    State(app): State<App>,
    headers: HeaderMap,
    origin: Origin,
    Json(body): Json<RegisterBody>,
) -> Result<Accepted<Registered>, Problem> {
    let token_key = app.gate.pass()?;
    let key = IdempotencyKey::from_headers(&headers)?;
    let newcomer = newcomer(body, key.as_ref(), origin)?;
    let underway = newcomer.keyed.map(|command_id| app.running.begin(command_id)).transpose()?;
    let registration = app.registration.clone();
    let work = async move {
        let receipt = registration.register(newcomer).await;
        drop(underway);
        receipt
    };
    let receipt = app.tasks.run_to_end(work).await??;
    let token = token_of(&receipt, token_key);
    Ok(Accepted {
        body: Registered {
            id: receipt.stream_id,
            athlete_id: receipt.stream_id,
            version: receipt.version,
            consistency_token: token.clone(),
        },
        location: format!("/v1/athletes/{}", receipt.stream_id),
        version: Some(receipt.version),
        token,
        replayed: receipt.replayed,
    })
}

fn newcomer(body: RegisterBody, key: Option<&IdempotencyKey>, origin: Origin) -> Result<Newcomer, Problem> {
    let mut fields = Fields::default();
    // Nobody is signed in, so a key is good within the address that registers.
    let scope = body.email.to_lowercase();
    let (address, name) = (body.email.clone(), body.display_name.clone());
    let email = fields.take("/email", body.email, Email::parse);
    let password =
        fields.take("/password", body.password, |password| NewPassword::parse(password)?.unlike(&[&address, &name]));
    let display_name = fields.take("/display_name", body.display_name, DisplayName::parse);
    let time_zone = match body.time_zone {
        Some(name) => fields.take("/time_zone", name.as_str(), TimeZone::parse),
        None => Some(TimeZone::default()),
    };
    fields.optional("/locale", body.locale, locale);
    let converted = match (email, password, display_name, time_zone) {
        (Some(email), Some(password), Some(display_name), Some(time_zone)) => Some(Newcomer {
            email,
            password,
            display_name,
            time_zone,
            keyed: key.map(|key| key.command_id(&scope, "POST", ROUTE)),
            origin,
        }),
        _ => None,
    };
    fields.finish(converted)
}

/// The shape of a language tag (RFC 5646): letters and digits in groups of 1 to 8.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a field's parse")]
fn locale(tag: String) -> Result<(), ValueError> {
    let group = |group: &str| (1..=8).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if tag.len() <= 35 && tag.split('-').all(group) {
        Ok(())
    } else {
        Err(ValueError("must be a language tag, such as en or de-CH".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_is_a_language_tag() {
        for (tag, expected) in
            [("en", true), ("de-CH", true), ("zh-Hant-TW", true), ("", false), ("de_CH", false), ("e-", false)]
        {
            assert_eq!(locale(tag.to_owned()).is_ok(), expected, "{tag}");
        }
    }
}
