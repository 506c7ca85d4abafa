//! `GET /v1/imports/{id}`: how far the import of a zip is, and what became of each file, page by page. Not kept in the cache: it
//! changes with every file, and its writer gives no notice.
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::RETRY_AFTER;
use axum::response::Response;
use fittrack_runtime::auth::Caller;
use fittrack_runtime::json::Path;
use fittrack_runtime::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::app::App;
use crate::ask::{Ask, Page, json_body};
use crate::cursor::Place;
use crate::params::Limit;
use crate::problems::of_database;
use crate::queries::imports::{self, Import, ImportedFile};

/// When a client should ask again, in seconds.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("1");

/// Which of the files.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// How many items, 1 to 200.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit<50, 200>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// An import of a zip
///
/// While it is not done, `Retry-After` says when to ask again. 404 where there is no such import of the caller's; it is
/// forgotten seven days after it has ended.
#[utoipa::path(
    get,
    path = "/v1/imports/{id}",
    tag = "workouts",
    params(("id" = Uuid, Path, description = "The import."), Parameters),
    responses((status = 200, description = "The import and a page of its files.", body = Import, headers(
        ("Retry-After" = i64, description = "While it is not done: when to ask again, in seconds."),
    )))
)]
pub async fn get_import(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    ask: Ask,
) -> Result<Response, Problem> {
    let asked: Parameters = ask.parameters()?;
    let (key, list) = (app.cursor_key().await?, format!("files of import {id}"));
    let after = match asked.cursor.as_deref() {
        None => -1,
        Some(cursor) => Place::from_cursor(key, &list, cursor)?.number()?,
    };
    let import = imports::import(&app.recordings, id, caller.athlete_id).await.map_err(of_database)?;
    let import = import.ok_or_else(|| Problem::not_found("there is no such import"))?;
    let rows = imports::files(&app.recordings, id, after, asked.limit.rows() + 1).await.map_err(of_database)?;
    let cursor = |last: &imports::FileRow| Place::default().number(last.number.into()).to_cursor(key, &list);
    let Page { items, next } = Page::of(rows, asked.limit.items(), cursor, ImportedFile::from);
    let is_done = matches!(import.state.as_str(), "succeeded" | "failed");
    let mut answer = json_body(&Import::of(import, app.token_key().await?, items, next.clone()))?;
    answer.link = ask.links(next.as_deref());
    let mut response = ask.respond(&app, &[], &answer, None);
    if !is_done {
        response.headers_mut().insert(RETRY_AFTER, ASK_AGAIN);
    }
    Ok(response)
}
