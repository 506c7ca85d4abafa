//! `POST /v1/me/measurements`: a dated fact about the athlete's body.
use axum::extract::State;
use chrono::NaiveDate;
use fittrack_domain::{
    measurement::{MeasuredValue, Measurement, MeasurementCommand, MeasurementKind, RecordMeasurement},
    values::ValueError,
};
use fittrack_runtime::{json::Json, problem::Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    accepted::{Accepted, StoredCommand},
    command::Command,
    documentation::CommandProblems,
    fields::Fields,
    headers::{IfMatchHeader, KeyHeader},
    if_match::dispatch_if_match,
    problems, words,
};
use crate::app::App;

/// What was measured.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "mass_kg", "value": 71.5, "measured_on": "2026-10-31"}))]
pub struct MeasurementBody {
    /// `mass_kg`, `resting_heart_rate_bpm`, `max_heart_rate_bpm`, `threshold_heart_rate_bpm`, `threshold_power_w` or
    /// `threshold_pace_s_per_km`.
    #[schema(schema_with = words::measurement_kind)]
    kind: String,
    /// In the unit of the kind, exact to the thousandth; within what a person can have.
    value: f64,
    /// The local day, `YYYY-MM-DD`: from 1900 to today in the athlete's time zone.
    #[schema(format = Date)]
    measured_on: String,
}

/// Record a measurement
///
/// It stands instead of an earlier one of the same kind and day. Formulas that look back take the newest one of a day or of
/// one before it.
#[utoipa::path(
    post, path = "/v1/me/measurements", operation_id = "record_measurement", tag = "profile",
    params(
        KeyHeader,
        IfMatchHeader,
    ),
    request_body = MeasurementBody,
    responses(
        (status = 202, description = "Recorded", body = StoredCommand, headers(
            ("ETag" = String, description = "The measurement's version"),
            ("Location" = String, description = "Where the query API lists measurements of this kind"),
            ("Consistency-Token" = String, description = "As in the body"),
            ("Idempotency-Replayed" = String, description = "`true` on a repeated answer"),
        )),
        CommandProblems,
    ),
)]
pub async fn record_measurement(
    State(app): State<App>,
    command: Command<Json<MeasurementBody>>,
) -> Result<Accepted<StoredCommand>, Problem> {
    let Command { body: Json(body), envelope } = command;
    let measured = measured(body)?;
    let context = app.context(envelope.athlete_id).await?;
    let begun = envelope.begin(&app, None)?;
    let stream_id = Measurement::stream_id(envelope.athlete_id, measured.kind, measured.measured_on);
    let command = MeasurementCommand::RecordMeasurement(measured);
    let request = envelope.request::<Measurement>(stream_id, command, context, &begun);
    let receipt =
        dispatch_if_match(&app.dispatcher, request, envelope.if_match.as_ref()).await.map_err(problems::of_dispatch)?;
    Ok(Accepted::of(&receipt, &envelope.token_key, format!("/v1/me/measurements?kind={}", measured.kind.as_str())))
}

fn measured(body: MeasurementBody) -> Result<RecordMeasurement, Problem> {
    let mut fields = Fields::default();
    let kind = fields.take("/kind", body.kind, |name| MeasurementKind::parse(&name));
    let value = kind.and_then(|kind| fields.take("/value", body.value, |value| MeasuredValue::parse(kind, value)));
    let measured_on = fields.take("/measured_on", body.measured_on, day);
    let converted = match (kind, value, measured_on) {
        (Some(kind), Some(value), Some(measured_on)) => Some(RecordMeasurement { kind, value, measured_on }),
        _ => None,
    };
    fields.finish(converted)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of a field's parse")]
fn day(text: String) -> Result<NaiveDate, ValueError> {
    let day = text.parse().ok().filter(|_| text.len() == "YYYY-MM-DD".len());
    day.ok_or_else(|| ValueError("must be a day, YYYY-MM-DD".to_owned()))
}
