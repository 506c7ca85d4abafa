//! `GET /v1/me/privacy-zones`: near which places the ends of the caller's tracks are not shown to others.
use axum::extract::State;
use axum::response::Response;
use fittrack_runtime::auth::Caller;
use fittrack_runtime::problem::Problem;

use crate::app::App;
use crate::ask::{Ask, Whose, versioned_answer};
use crate::problems::of_database;
use crate::queries::privacy_zones::{self, PrivacyZones};
use crate::read_model::ReadModel;

/// My privacy zones
///
/// Nobody else sees them. Its `ETag` is what `If-Match` of `PUT /v1/me/privacy-zones` expects.
#[utoipa::path(
    get,
    path = "/v1/me/privacy-zones",
    tag = "profile",
    responses((status = 200, description = "The caller's own zones; none where they were never set.", body = PrivacyZones))
)]
pub async fn get_privacy_zones(State(app): State<App>, caller: Caller, ask: Ask) -> Result<Response, Problem> {
    let me = caller.athlete_id;
    let load = || async {
        ask.parameters::<super::NoParameters>()?;
        let stamp = app.stamp_of(ReadModel::PrivacyZones, me);
        let row = privacy_zones::own(&app.read_models, me).await.map_err(of_database)?;
        let zones = row.map(PrivacyZones::from).unwrap_or_default();
        versioned_answer(stamp, zones.version, &zones)
    };
    ask.answer(&app, Whose::Callers(me), &[ReadModel::PrivacyZones], load).await
}
