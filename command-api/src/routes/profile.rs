//! `PATCH /v1/me/profile`: who the athlete is to others, and their defaults.
use axum::extract::State;
use fittrack_domain::{
    athlete::{Athlete, AthleteCommand, Sex, Units, UpdateProfile},
    patch::Patch,
    values::{DisplayName, Notes, TimeZone, ValueError, Visibility},
};
use fittrack_runtime::{json::MergePatch, problem::Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    accepted::{Accepted, StoredCommand},
    command::Command,
    documentation::CommandProblems,
    fields::{Fields, whole_number},
    headers::{IfMatchHeader, KeyHeader},
    if_match::dispatch_if_match,
    problems, words,
};
use crate::app::App;

/// A merge patch of the profile: absent fields stay, `null` clears those that may be empty.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"bio": "Runs before breakfast", "height_cm": 171, "default_visibility": "followers"}))]
pub struct ProfileBody {
    /// What they are called; 1 to 80 characters, never empty.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 80, pattern = r"^[^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*[^\x00-\x08\x0e-\x1f\x7f-\x9f\s][^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*$")]
    display_name: Patch<String>,
    /// In their own words; 1 to 4,000 characters, not all blank.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 4000, pattern = r"^[^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*[^\x00-\x08\x0e-\x1f\x7f-\x9f\s][^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*$")]
    bio: Patch<String>,
    /// Year of birth, from 1900.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1900)]
    birth_year: Patch<f64>,
    /// `female`, `male` or `unspecified`, for the formulas that ask for it.
    #[serde(default)]
    #[schema(schema_with = words::sex_or_null, required = false)]
    sex: Patch<String>,
    /// Height, 50 to 280 cm.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 50, maximum = 280)]
    height_cm: Patch<f64>,
    /// IANA time zone in which their days are counted, from the next workout on; never empty.
    #[serde(default)]
    #[schema(value_type = String, required = false, pattern = "^[A-Za-z0-9_+/-]+$", example = "Europe/Berlin")]
    time_zone: Patch<String>,
    /// `metric` or `imperial`; never empty.
    #[serde(default)]
    #[schema(schema_with = words::units, required = false)]
    units: Patch<String>,
    /// What a new workout's visibility is when nothing is said: `private`, `followers` or `public`; never empty.
    #[serde(default)]
    #[schema(schema_with = words::visibility, required = false)]
    default_visibility: Patch<String>,
}

/// Update the profile
///
/// A JSON merge patch (RFC 7396). `If-Match` is optional here and honoured.
#[utoipa::path(
    patch, path = "/v1/me/profile", operation_id = "update_profile", tag = "profile",
    params(
        KeyHeader,
        IfMatchHeader,
    ),
    request_body(content = ProfileBody, content_type = "application/merge-patch+json"),
    responses(
        (status = 202, description = "Updated", body = StoredCommand, headers(
            ("ETag" = String, description = "The athlete's version"),
            ("Location" = String, description = "Where the query API shows the profile"),
            ("Consistency-Token" = String, description = "As in the body"),
            ("Idempotency-Replayed" = String, description = "`true` on a repeated answer"),
        )),
        CommandProblems,
    ),
)]
pub async fn update_profile(
    State(app): State<App>,
    command: Command<MergePatch<ProfileBody>>,
) -> Result<Accepted<StoredCommand>, Problem> {
    let Command { body: MergePatch(body), envelope } = command;
    let update = update(body)?;
    let context = app.context(envelope.athlete_id).await?;
    let begun = envelope.begin(&app, None)?;
    let command = AthleteCommand::UpdateProfile(Box::new(update));
    let request = envelope.request::<Athlete>(envelope.athlete_id.0, command, context, &begun);
    let receipt =
        dispatch_if_match(&app.dispatcher, request, envelope.if_match.as_ref()).await.map_err(problems::of_dispatch)?;
    Ok(Accepted::of(&receipt, &envelope.token_key, "/v1/me".to_owned()))
}

fn update(body: ProfileBody) -> Result<UpdateProfile, Problem> {
    let mut fields = Fields::default();
    let update = UpdateProfile {
        display_name: fields.patch("/display_name", body.display_name, DisplayName::parse),
        bio: fields.patch("/bio", body.bio, Notes::parse),
        birth_year: fields.patch("/birth_year", body.birth_year, whole_number(0, 9999)),
        sex: fields.patch("/sex", body.sex, sex),
        height_cm: fields.patch("/height_cm", body.height_cm, whole_number(0, 9999)),
        time_zone: fields.patch("/time_zone", body.time_zone, |name| TimeZone::parse(&name)),
        units: fields.patch("/units", body.units, units),
        default_visibility: fields
            .patch("/default_visibility", body.default_visibility, |name| Visibility::parse(&name)),
    };
    fields.finish(Some(update))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of a field's parse")]
fn sex(name: String) -> Result<Sex, ValueError> {
    match name.as_str() {
        "female" => Ok(Sex::Female),
        "male" => Ok(Sex::Male),
        "unspecified" => Ok(Sex::Unspecified),
        _ => Err(ValueError("must be female, male or unspecified".to_owned())),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of a field's parse")]
fn units(name: String) -> Result<Units, ValueError> {
    match name.as_str() {
        "metric" => Ok(Units::Metric),
        "imperial" => Ok(Units::Imperial),
        _ => Err(ValueError("must be metric or imperial".to_owned())),
    }
}
