//! `GET /v1/workouts`: the caller's own workouts, newest first, page by page.
use axum::extract::State;
use axum::response::Response;
use fittrack_domain::sport::Sport;
use fittrack_runtime::auth::Caller;
use fittrack_runtime::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::ask::{Ask, Page, Whose};
use crate::cursor::{CursorKey, Place};
use crate::params::{Bound, Limit, SearchText};
use crate::problems::of_database;
use crate::queries::units;
use crate::queries::workouts::{self, Filter, ItemRow, WorkoutItem};
use crate::read_model::ReadModel;

/// Which workouts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// Not before this local day (`YYYY-MM-DD`) or instant (RFC 3339).
    #[param(value_type = Option<String>, pattern = r"^\d{4}-\d\d-\d\d([Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[ +-]\d\d:\d\d))?$", example = "2026-11-01")]
    from: Option<Bound>,
    /// Up to and including this local day, or before this instant.
    #[param(value_type = Option<String>, pattern = r"^\d{4}-\d\d-\d\d([Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[ +-]\d\d:\d\d))?$", example = "2026-11-30")]
    to: Option<Bound>,
    /// Of this sport.
    #[param(schema_with = units::sport_schema)]
    sport: Option<Sport>,
    /// With this text in title or notes, whatever its case; 1 to 200 characters.
    #[param(value_type = Option<String>, min_length = 1, max_length = 200, pattern = r"^[^\x00]*$", example = "intervals")]
    text: Option<SearchText>,
    /// How many items, 1 to 200.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit<50, 200>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// My workouts
///
/// Newest first by `started_at`, then `id`. Workouts that come or go while one pages are neither repeated nor make others be left out.
#[utoipa::path(
    get,
    path = "/v1/workouts",
    tag = "workouts",
    params(Parameters),
    responses((status = 200, description = "A page of workouts.", body = Page<WorkoutItem>, links(
        ("workout" = (operation_id = "get_workout", parameters(("id" = "$response.body#/items/0/id")))),
        ("recording" = (operation_id = "get_recording", parameters(("id" = "$response.body#/items/0/id")))),
        ("original" = (operation_id = "get_original", parameters(("id" = "$response.body#/items/0/id")))),
    ),
        example = json!({ "items": [{
            "id": "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f", "version": 1, "sport": "run", "title": "Morning run",
            "started_at": "2026-11-24T06:30:00Z", "time_zone": "Europe/Berlin", "local_date": "2026-11-24",
            "duration_s": 2730.5, "moving_s": 2700.0, "distance_m": 10012.4, "elevation_gain_m": 84.0, "energy_kcal": 640,
            "average_heart_rate_bpm": 148, "max_heart_rate_bpm": 171, "average_power_w": null, "visibility": "public",
            "has_recording": true
        }], "next": null })))
)]
pub async fn list_workouts(State(app): State<App>, caller: Caller, ask: Ask) -> Result<Response, Problem> {
    let me = caller.athlete_id;
    let load = || async {
        let asked: Parameters = ask.parameters()?;
        let (key, list) = (app.cursor_key().await?, asked.list(me));
        let filter = asked.filter(key, &list)?;
        let stamp = app.stamp_of(ReadModel::Workouts, me);
        let rows = workouts::list(&app.read_models, me, &filter, asked.limit.rows() + 1).await.map_err(of_database)?;
        Page::of(rows, asked.limit.items(), |last| end_of(last).to_cursor(key, &list), WorkoutItem::from)
            .answer(&ask, stamp)
    };
    ask.answer(&app, Whose::Callers(me), &[ReadModel::Workouts], load).await
}

impl Parameters {
    /// What a cursor of this list belongs to.
    fn list(&self, caller: uuid::Uuid) -> String {
        format!("workouts {caller} {:?} {:?} {:?} {:?}", self.from, self.to, self.sport, self.text)
    }

    fn filter(&self, key: &CursorKey, list: &str) -> Result<Filter<'_>, Problem> {
        let after = match &self.cursor {
            None => None,
            Some(cursor) => {
                let mut place = Place::from_cursor(key, list, cursor)?;
                Some((place.instant()?, place.id()?))
            }
        };
        Ok(Filter {
            from_day: self.from.and_then(Bound::day),
            to_day: self.to.and_then(Bound::day),
            from: self.from.and_then(Bound::instant),
            to: self.to.and_then(Bound::instant),
            sport: self.sport,
            text: self.text.as_ref().map(|text| text.0.as_str()),
            after,
        })
    }
}

fn end_of(row: &ItemRow) -> Place {
    Place::default().instant(row.started_at).id(row.workout_id)
}
