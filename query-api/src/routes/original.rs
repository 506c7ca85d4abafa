//! `GET /v1/workouts/{id}/original`: the file as it was uploaded, byte for byte, for its owner alone: it holds the whole track,
//! also what the owner's privacy zones hide from others.
//! Not kept in the cache: files are large, and asked for once. They are sent as [`crate::transfers`].
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH};
use axum::response::Response;
use bytes::Bytes;
use fittrack_runtime::auth::Caller;
use fittrack_runtime::binary::FileBytes;
use fittrack_runtime::json::Path;
use fittrack_runtime::problem::Problem;
use uuid::Uuid;

use crate::app::App;
use crate::ask::{Ask, quoted};
use crate::cache::Answer;
use crate::coded::Coded;
use crate::problems::of_database;
use crate::queries::{recordings, workouts};
use crate::read_model::ReadModel;

/// The uploaded file
///
/// 404 where the workout is not the caller's, or was logged by hand. All legs of a multisport file have the same original.
///
/// Of files and long recordings a caller may have four on their way at once: one more waits for its turn, then is 429. What is read
/// more slowly than a MiB a minute breaks off.
#[utoipa::path(
    get,
    path = "/v1/workouts/{id}/original",
    tag = "workouts",
    params(("id" = Uuid, Path, description = "The workout.")),
    responses((status = 200, description = "The file.", content(
        (inline(FileBytes) = "application/vnd.ant.fit"),
        (inline(FileBytes) = "application/gpx+xml"),
        (inline(FileBytes) = "application/vnd.garmin.tcx+xml"),
    )))
)]
pub async fn get_original(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    ask: Ask,
) -> Result<Response, Problem> {
    const READS: &[ReadModel] = &[ReadModel::Workouts];
    ask.parameters::<super::NoParameters>()?;
    let me = caller.athlete_id;
    ask.wait_for_token(&app, me, READS).await?;
    let row = workouts::original(&app.read_models, id, me).await.map_err(of_database)?;
    let place = row.ok_or_else(super::no_such_workout)?.recording.ok_or_else(super::no_recording)?.0;
    let content_type = HeaderValue::from_static(place.format.content_type());
    let etag = quoted(place.original_sha256.as_str())?;
    let mut answer = Answer { body: Bytes::new(), content_type, etag, link: None, coded: Coded::default() };
    let missing = || Problem::internal(format!("blob {} is missing", place.original_sha256));
    let (mut transfer, mut length) = (None, None);
    let is_held = ask.holds(&answer.etag);
    if ask.is_head() && !is_held {
        let known = recordings::length(&app.recordings, &place.original_sha256).await.map_err(of_database)?;
        length = Some(known.ok_or_else(missing)?);
    } else if !is_held {
        let turn = app.transfers.turn(me).await?;
        let _permit = app.blob_permit().await?;
        let blob = recordings::content(&app.recordings, &place.original_sha256).await.map_err(of_database)?;
        answer.body = blob.ok_or_else(missing)?.into();
        transfer = Some(app.transfers.begin(turn, answer.body.len())?);
    }
    let mut response = ask.respond(&app, READS, &answer, transfer);
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let file = format!("attachment; filename=\"{id}.{}\"", place.format);
    response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::try_from(file).map_err(Problem::internal)?);
    Ok(response)
}
