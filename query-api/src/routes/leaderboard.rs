//! `GET /v1/leaderboards/{metric}`: a board, best first, page by page.
use axum::extract::State;
use axum::response::Response;
use chrono::NaiveDate;
use fittrack_domain::sport::Sport;
use fittrack_runtime::auth::Caller;
use fittrack_runtime::clock;
use fittrack_runtime::json::Path;
use fittrack_runtime::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::ask::{Ask, Page, Whose, json_answer};
use crate::cursor::{self, CursorKey};
use crate::params::{Day, Limit};
use crate::period::BoardPeriod;
use crate::problems::of_database;
use crate::queries::leaderboards::{self, After, Board, Metric, Place, ScoreRow, places};
use crate::read_model::ReadModel;

/// The names of the rows come from the profiles.
pub(super) const READS: &[ReadModel] = &[ReadModel::Leaderboards, ReadModel::Profiles];

/// Which board, and which part of it.
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
    /// How many rows, 1 to 200.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit<50, 200>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

pub(super) fn this_week() -> BoardPeriod {
    BoardPeriod::Week
}

/// A sport, or all of them.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct BoardSport(Option<Sport>);

impl TryFrom<String> for BoardSport {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if name == "all" {
            return Ok(Self(None));
        }
        Sport::parse(&name).map(|sport| Self(Some(sport))).map_err(|unknown| format!("{unknown}, or all"))
    }
}

/// What a board is of; shown with every answer about it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BoardInfo {
    /// What is compared; its unit is in its name.
    #[schema(schema_with = crate::queries::leaderboards::metric_schema)]
    metric: Metric,
    /// A sport, or `all`.
    #[schema(schema_with = crate::queries::units::board_sport_schema)]
    sport: &'static str,
    /// `2026-W48`, `2026-11`, `2026` or `all`.
    #[schema(example = "2026-W48")]
    period: String,
    /// The period's first day, UTC; 1970-01-01 for `all`.
    starts_on: NaiveDate,
}

/// A page of a board.
#[derive(Debug, Serialize, ToSchema)]
pub struct BoardPage {
    #[serde(flatten)]
    board: BoardInfo,
    #[serde(flatten)]
    page: Page<Place>,
}

/// The board of these parameters; 404 where the path names no metric.
pub(super) fn board(metric: &str, sport: BoardSport, period: BoardPeriod, date: Option<Day>) -> Result<Board, Problem> {
    let metrics = || Metric::ALL.map(Metric::as_str).join(", ");
    let unknown = || Problem::not_found(format!("there is no such leaderboard; there are {}", metrics()));
    let metric = Metric::named(metric).ok_or_else(unknown)?;
    let day = date.map_or_else(|| clock::now().date_naive(), |day| day.0);
    Ok(Board { metric, period, starts_on: period.starts_on(day), sport: sport.0.map_or("all", Sport::as_str) })
}

impl From<&Board> for BoardInfo {
    fn from(board: &Board) -> Self {
        let period = board.period.label(board.starts_on);
        Self { metric: board.metric, sport: board.sport, period, starts_on: board.starts_on }
    }
}

/// A leaderboard
///
/// Public, plausible workouts count. Ranks are 1 2 2 4: one more than the number of better scores; among equals the earlier
/// score goes first, then the smaller id. Who has nothing is not ranked.
#[utoipa::path(
    get,
    path = "/v1/leaderboards/{metric}",
    tag = "leaderboards",
    params(("metric" = inline(Metric), Path, description = "What is compared."), Parameters),
    responses((status = 200, description = "A page of the board.", body = BoardPage, links(
        ("first" = (operation_id = "get_athlete", parameters(("id" = "$response.body#/items/0/athlete_id")))),
    ),
        example = json!({ "metric": "distance_m", "sport": "all", "period": "2026-W48", "starts_on": "2026-11-23",
            "items": [{
            "rank": 2, "athlete_id": "0198c0de-0001-7000-8000-000000000001", "display_name": "Anna", "value": 42195.0,
            "workouts": 3
        }], "next": null })))
)]
pub async fn get_leaderboard(
    State(app): State<App>,
    caller: Caller,
    Path(metric): Path<String>,
    ask: Ask,
) -> Result<Response, Problem> {
    let load = || async {
        let asked: Parameters = ask.parameters()?;
        let board = board(&metric, asked.sport, asked.period, asked.date)?;
        let (key, list) = (app.cursor_key().await?, format!("leaderboards {board:?}"));
        let after = asked.cursor.as_deref().map(|cursor| after(key, &list, cursor)).transpose()?;
        let stamp = app.cache.stamps().of_whole(READS);
        let limit = asked.limit.items();
        let mut rows =
            leaderboards::page(&app.read_models, &board, after, asked.limit.rows() + 1).await.map_err(of_database)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| end_of(row).to_cursor(key, &list));
        let link = ask.links(next.as_deref());
        let page = Page { items: places(board.metric, rows), next };
        let mut loaded = json_answer(stamp, &BoardPage { board: BoardInfo::from(&board), page })?;
        loaded.answer.link = link;
        Ok(loaded)
    };
    ask.answer(&app, Whose::Everybodys(caller.athlete_id), READS, load).await
}

fn after(key: &CursorKey, list: &str, cursor: &str) -> Result<After, Problem> {
    let mut place = cursor::Place::from_cursor(key, list, cursor)?;
    Ok(After { score: place.number()?, scored_at: place.instant()?, athlete_id: place.id()? })
}

fn end_of(row: &ScoreRow) -> cursor::Place {
    cursor::Place::default().number(row.score).instant(row.scored_at).id(row.athlete_id)
}
