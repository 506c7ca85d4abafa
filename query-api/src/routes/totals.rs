//! `GET /v1/me/analytics/totals`: the caller's sums per day, ISO week, month or year.
use axum::extract::State;
use axum::response::Response;
use fittrack_domain::sport::Sport;
use fittrack_runtime::auth::Caller;
use fittrack_runtime::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::ask::{Ask, Page, Whose};
use crate::cursor::Place;
use crate::params::{Day, Limit};
use crate::period::Grouping;
use crate::problems::of_database;
use crate::queries::totals::{self, PeriodTotals, Span};
use crate::read_model::ReadModel;

/// Which sums.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// What a sum is of.
    #[param(inline)]
    by: Grouping,
    /// First local day counted.
    #[param(value_type = Option<String>, format = Date, example = "2026-01-01")]
    from: Option<Day>,
    /// Last local day counted.
    #[param(value_type = Option<String>, format = Date, example = "2026-12-31")]
    to: Option<Day>,
    /// Of this sport only.
    #[param(schema_with = crate::queries::units::sport_schema)]
    sport: Option<Sport>,
    /// How many periods, 1 to 1,000: a calendar of one year, or nearly three, is one page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 400)]
    limit: Limit<400, 1000>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// My totals
///
/// Latest period first; periods without a workout are left out. A workout counts on the local day it began. Sums of a period that
/// `from` or `to` cuts hold the days inside.
#[utoipa::path(
    get,
    path = "/v1/me/analytics/totals",
    tag = "analytics",
    params(Parameters),
    responses((status = 200, description = "A page of sums.", body = Page<PeriodTotals>,
        example = json!({ "items": [{ "period": "2026-W48", "starts_on": "2026-11-23", "sport": "all",
            "workouts": 3, "distance_m": 31250.5, "duration_s": 9800.0, "moving_s": 9512.0,
            "elevation_gain_m": 240.0, "energy_kcal": 2100, "by_sport": [{ "sport": "run", "workouts": 3,
            "distance_m": 31250.5, "duration_s": 9800.0, "moving_s": 9512.0, "elevation_gain_m": 240.0,
            "energy_kcal": 2100 }] }], "next": null })))
)]
pub async fn get_totals(State(app): State<App>, caller: Caller, ask: Ask) -> Result<Response, Problem> {
    let me = caller.athlete_id;
    let load = || async {
        let asked: Parameters = ask.parameters()?;
        let key = app.cursor_key().await?;
        let list = format!("totals {me} {:?} {:?} {:?} {:?}", asked.by, asked.from, asked.to, asked.sport);
        let before = match &asked.cursor {
            None => None,
            Some(cursor) => Some(Place::from_cursor(key, &list, cursor)?.day()?),
        };
        let (from, to) = (asked.from.map(|day| day.0), asked.to.map(|day| day.0));
        let span = Span { from, to, sport: asked.sport, before };
        let stamp = app.stamp_of(ReadModel::Totals, me);
        let rows = totals::totals(&app.read_models, me, asked.by, &span, asked.limit.rows() + 1).await;
        let periods = totals::periods(asked.by, asked.sport, &rows.map_err(of_database)?);
        Page::of(periods, asked.limit.items(), |last| end_of(last).to_cursor(key, &list), |period| period)
            .answer(&ask, stamp)
    };
    ask.answer(&app, Whose::Callers(me), &[ReadModel::Totals], load).await
}

fn end_of(period: &PeriodTotals) -> Place {
    Place::default().day(period.starts_on)
}
