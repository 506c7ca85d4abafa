//! `GET /v1/leaderboards/{metric}/me`: the caller's own place on a board, and who is around.
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use fittrack_runtime::auth::Caller;
use fittrack_runtime::json::Path;
use fittrack_runtime::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::leaderboard::{BoardInfo, BoardSport, READS, board, this_week};
use crate::app::App;
use crate::ask::{Ask, Whose, json_answer};
use crate::params::{Day, Limit};
use crate::period::BoardPeriod;
use crate::problems::of_database;
use crate::queries::leaderboards::{self, AroundRow, Board, Metric, Place, places};

/// More than one change of the board between two statements is hardly ever seen, more than three never.
const MOST_LOOKS: usize = 3;

/// Which board, and how much around the caller.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// Of this sport, or `all`.
    #[serde(default)]
    #[param(schema_with = crate::queries::units::board_sport_schema)]
    sport: BoardSport,
    /// Of which UTC calendar period; weeks are ISO weeks.
    #[serde(default = "this_week")]
    #[param(inline, required = false)]
    period: BoardPeriod,
    /// A day of the period; today (UTC) where nothing is said.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-24")]
    date: Option<Day>,
    /// How many neighbours on each side, 1 to 50.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 50, default = 5)]
    around: Limit<5, 50>,
}

/// The caller's place.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyPlace {
    #[serde(flatten)]
    board: BoardInfo,
    /// 1 + the number of better scores; null where the caller is not ranked, and then so are value and percentile.
    #[schema(example = 12)]
    rank: Option<i64>,
    /// The caller's score, in the unit of the metric's name.
    #[schema(value_type = Option<f64>, example = 42_195.0)]
    value: Option<leaderboards::Value>,
    /// How many of a hundred ranked athletes do not have a better score; the best have 100.
    #[schema(example = 97.5)]
    percentile: Option<f64>,
    /// How many athletes are ranked.
    #[schema(example = 440)]
    ranked: i64,
    /// The caller's row with those around it, best first; empty where the caller is not ranked.
    neighbours: Vec<Place>,
}

/// My place on a leaderboard
#[utoipa::path(
    get,
    path = "/v1/leaderboards/{metric}/me",
    tag = "leaderboards",
    params(("metric" = inline(Metric), Path, description = "What is compared."), Parameters),
    responses((status = 200, description = "The caller's place and neighbours.", body = MyPlace, links(
        ("neighbour" = (operation_id = "get_athlete", parameters(("id" = "$response.body#/neighbours/0/athlete_id")))),
    ),
        example = json!({ "metric": "distance_m", "sport": "all", "period": "2026-W48", "starts_on": "2026-11-23",
            "rank": 2, "value": 42195.0, "percentile": 97.5, "ranked": 40, "neighbours": [{
            "rank": 2, "athlete_id": "0198c0de-0001-7000-8000-000000000001", "display_name": "Anna", "value": 42195.0,
            "workouts": 3
        }] })))
)]
pub async fn get_leaderboard_place(
    State(app): State<App>,
    caller: Caller,
    Path(metric): Path<String>,
    ask: Ask,
) -> Result<Response, Problem> {
    let me = caller.athlete_id;
    let load = || async {
        let asked: Parameters = ask.parameters()?;
        let board = board(&metric, asked.sport, asked.period, asked.date)?;
        let stamp = app.cache.stamps().of_whole(READS);
        let (rows, better, ranked) = around(&app, &board, me, asked.around.rows()).await?;
        let neighbours = places(board.metric, rows.into_iter().map(|around| around.row).collect());
        let mine = neighbours.iter().find(|place| place.athlete_id == me);
        let place = MyPlace {
            board: BoardInfo::from(&board),
            rank: mine.map(|mine| mine.rank),
            value: mine.map(|mine| mine.value),
            percentile: mine.map(|_| percentile(better, ranked)),
            ranked,
            neighbours,
        };
        json_answer(stamp, &place)
    };
    ask.answer(&app, Whose::Callers(me), READS, load).await
}

/// The rows around the caller, how many are better, and how many there are: all of one state of the board. Between the two
/// statements the caller may get onto it, or another build may be shown: then once more.
async fn around(app: &App, board: &Board, me: Uuid, around: i64) -> Result<(Vec<AroundRow>, i64, i64), Problem> {
    for _ in 0..MOST_LOOKS {
        let rows = leaderboards::around(&app.read_models, board, me, around).await.map_err(of_database)?;
        if let Some(row) = rows.first() {
            let (better, ranked) = (row.better_than_me, row.ranked);
            return Ok((rows, better, ranked));
        }
        if let Some(ranked) = leaderboards::ranked_without(&app.read_models, board, me).await.map_err(of_database)? {
            return Ok((vec![], 0, ranked));
        }
    }
    Err(Problem::unavailable("the board changes faster than it can be read", Duration::from_secs(1)))
}

/// To one decimal.
fn percentile(better: i64, ranked: i64) -> f64 {
    let share = (ranked - better) as f64 / ranked.max(1) as f64;
    (share * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_at_a_hundred_and_equals_are_level() {
        assert_eq!((percentile(0, 1), percentile(0, 440)), (100.0, 100.0));
        assert_eq!((percentile(1, 4), percentile(3, 4)), (75.0, 25.0));
    }
}
