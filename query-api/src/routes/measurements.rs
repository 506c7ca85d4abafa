//! `GET /v1/me/measurements`: the caller's own measurements, newest day first, page by page.
use axum::extract::State;
use axum::response::Response;
use chrono::NaiveDate;
use fittrack_domain::measurement::MeasurementKind;
use fittrack_runtime::auth::Caller;
use fittrack_runtime::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::ask::{Ask, Page, Whose};
use crate::cursor::{Place, Reader};
use crate::params::{Day, Limit};
use crate::problems::of_database;
use crate::queries::measurements::{self, Filter, Measurement, MeasurementRow};
use crate::read_model::ReadModel;

/// Which measurements.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// Of this kind.
    #[param(schema_with = crate::queries::units::measurement_kind_schema)]
    kind: Option<MeasurementKind>,
    /// Not before this local day (`YYYY-MM-DD`).
    #[param(value_type = Option<String>, format = Date, example = "2026-11-01")]
    from: Option<Day>,
    /// Up to and including this local day.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-30")]
    to: Option<Day>,
    /// How many items, 1 to 200.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit<50, 200>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// My measurements
///
/// Newest day first; of each kind and day the value that was recorded last.
#[utoipa::path(
    get,
    path = "/v1/me/measurements",
    tag = "profile",
    params(Parameters),
    responses((status = 200, description = "A page of measurements.", body = Page<Measurement>,
        example = json!({ "items": [{ "kind": "mass_kg", "measured_on": "2026-10-31", "value": 71.5, "version": 1,
            "recorded_at": "2026-10-31T07:00:00Z" }], "next": null })))
)]
pub async fn list_measurements(State(app): State<App>, caller: Caller, ask: Ask) -> Result<Response, Problem> {
    let me = caller.athlete_id;
    let load = || async {
        let asked: Parameters = ask.parameters()?;
        let key = app.cursor_key().await?;
        let list = format!("measurements {me} {:?} {:?} {:?}", asked.kind, asked.from, asked.to);
        let filter = Filter {
            kind: asked.kind,
            from: asked.from.map(|day| day.0),
            to: asked.to.map(|day| day.0),
            after: asked.cursor.as_deref().map(|cursor| after(Place::from_cursor(key, &list, cursor)?)).transpose()?,
        };
        let stamp = app.stamp_of(ReadModel::Measurements, me);
        let rows =
            measurements::list(&app.read_models, me, filter, asked.limit.rows() + 1).await.map_err(of_database)?;
        Page::of(rows, asked.limit.items(), |last| end_of(last).to_cursor(key, &list), Measurement::from)
            .answer(&ask, stamp)
    };
    ask.answer(&app, Whose::Callers(me), &[ReadModel::Measurements], load).await
}

/// The day, and the kind as its place among all.
fn end_of(row: &MeasurementRow) -> Place {
    let kind = MeasurementKind::ALL.iter().position(|kind| kind.as_str() == row.kind);
    Place::default().day(row.measured_on).number(kind.and_then(|place| i64::try_from(place).ok()).unwrap_or(0))
}

fn after(mut place: Reader) -> Result<(NaiveDate, MeasurementKind), Problem> {
    let (day, kind) = (place.day()?, place.number()?);
    let kind = usize::try_from(kind).ok().and_then(|kind| MeasurementKind::ALL.get(kind).copied());
    Ok((day, kind.ok_or_else(crate::cursor::refused)?))
}
