//! `PUT /v1/me/privacy-zones`: near which places the ends of the athlete's tracks are not shown to others.
use axum::extract::State;
use fittrack_domain::{
    privacy::{Degrees, PrivacyZone, PrivacyZones, PrivacyZonesCommand, SetPrivacyZones, ZoneId, ZoneName, ZoneRadius},
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
    if_match::{IfMatch, dispatch_if_match},
    problems,
};
use crate::app::App;

/// The whole list, which stands instead of the one before; empty where there is to be none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"zones": [
    {"name": "Home", "latitude_deg": 52.0973, "longitude_deg": 6.6417, "radius_m": 400}
]}))]
pub struct PrivacyZonesBody {
    /// At most 5.
    #[schema(max_items = 5)]
    zones: Vec<ZoneBody>,
}

/// One place.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ZoneBody {
    /// What the athlete calls it; 1 to 80 characters.
    #[schema(
        min_length = 1,
        max_length = 80,
        pattern = r"^[^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*[^\x00-\x08\x0e-\x1f\x7f-\x9f\s][^\x00-\x08\v\f\x0e-\x1f\x7f-\x9f]*$"
    )]
    name: Option<String>,
    /// -90 to 90, north is positive.
    #[schema(minimum = -90, maximum = 90)]
    latitude_deg: f64,
    /// -180 to 180, east is positive.
    #[schema(minimum = -180, maximum = 180)]
    longitude_deg: f64,
    /// How far around the place, in whole metres.
    #[schema(value_type = u32, minimum = 200, maximum = 2000)]
    radius_m: f64,
}

/// Set the privacy zones
///
/// What of a track lies within a zone at its start or its end is not shown to others, in no column, of workouts past and to
/// come. Somewhat more is hidden than the zone, around another centre, so that many tracks together do not point at the place.
#[utoipa::path(
    put, path = "/v1/me/privacy-zones", operation_id = "set_privacy_zones", tag = "profile",
    params(
        KeyHeader,
        IfMatchHeader,
    ),
    request_body = PrivacyZonesBody,
    responses(
        (status = 202, description = "Set", body = StoredCommand, headers(
            ("ETag" = String, description = "The list's version"),
            ("Location" = String, description = "Where the query API shows the zones to their athlete"),
            ("Consistency-Token" = String, description = "As in the body"),
            ("Idempotency-Replayed" = String, description = "`true` on a repeated answer"),
        )),
        CommandProblems,
    ),
)]
pub async fn set_privacy_zones(
    State(app): State<App>,
    command: Command<Json<PrivacyZonesBody>>,
) -> Result<Accepted<StoredCommand>, Problem> {
    let Command { body: Json(body), envelope } = command;
    let set = set(body)?;
    let context = app.context(envelope.athlete_id).await?;
    let begun = envelope.begin(&app, None)?;
    let stream_id = PrivacyZones::stream_id(envelope.athlete_id);
    let command = PrivacyZonesCommand::SetPrivacyZones(set);
    let request = envelope.request::<PrivacyZones>(stream_id, command, context, &begun);
    // The list is always there, if empty: `*` asks for nothing more.
    let if_match = envelope.if_match.as_ref().filter(|if_match| **if_match != IfMatch::Any);
    let receipt = dispatch_if_match(&app.dispatcher, request, if_match).await.map_err(problems::of_dispatch)?;
    Ok(Accepted::of(&receipt, &envelope.token_key, "/v1/me/privacy-zones".to_owned()))
}

fn set(body: PrivacyZonesBody) -> Result<SetPrivacyZones, Problem> {
    let mut fields = Fields::default();
    let zones = body.zones.into_iter().enumerate().filter_map(|(index, body)| zone(&mut fields, index, body)).collect();
    fields.finish(Some(SetPrivacyZones { zones }))
}

fn zone(fields: &mut Fields, index: usize, body: ZoneBody) -> Option<PrivacyZone> {
    let at = |field: &str| format!("/zones/{index}/{field}");
    let name = fields.optional(at("name"), body.name, ZoneName::parse);
    let latitude_deg = fields.take(at("latitude_deg"), body.latitude_deg, Degrees::latitude);
    let longitude_deg = fields.take(at("longitude_deg"), body.longitude_deg, Degrees::longitude);
    let radius_m = fields.take::<_, _, ValueError>(at("radius_m"), body.radius_m, ZoneRadius::from_metres);
    let (latitude_deg, longitude_deg, radius_m) = (latitude_deg?, longitude_deg?, radius_m?);
    Some(PrivacyZone { zone_id: ZoneId::unguessable(rand::random()), name, latitude_deg, longitude_deg, radius_m })
}
