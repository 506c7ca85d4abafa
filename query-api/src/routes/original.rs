//! `GET /v1/workouts/{id}/original`: the file as it was uploaded, byte for byte, for its owner alone: it holds the whole track,
//! also what the owner's privacy zones hide from others.
//! Not kept in the cache: files are large, and asked for once.
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::Response;
use bytes::Bytes;
use fittrack_runtime::auth::Caller;
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
#[utoipa::path(
    get,
    path = "/v1/workouts/{id}/original",
    tag = "workouts",
    params(("id" = Uuid, Path, description = "The workout.")),
    responses((status = 200, description = "The file.", content(
        (Vec<u8> = "application/vnd.ant.fit"),
        (Vec<u8> = "application/gpx+xml"),
        (Vec<u8> = "application/vnd.garmin.tcx+xml"),
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
    ask.wait_for_token(&app, READS).await?;
    let row = workouts::original(&app.read_models, id, caller.athlete_id).await.map_err(of_database)?;
    let place = row.ok_or_else(super::no_such_workout)?.recording.ok_or_else(super::no_recording)?.0;
    let content_type = HeaderValue::from_static(place.format.content_type());
    let etag = quoted(place.original_sha256.as_str())?;
    let mut answer = Answer { body: Bytes::new(), content_type, etag, link: None, coded: Coded::default() };
    if !ask.holds(&answer.etag) {
        let _permit = app.blob_permit().await?;
        let blob = recordings::content(&app.recordings, &place.original_sha256).await.map_err(of_database)?;
        let missing = || Problem::internal(format!("blob {} is missing", place.original_sha256));
        answer.body = blob.ok_or_else(missing)?.into();
    }
    let mut response = ask.respond(&app, READS, &answer);
    let file = format!("attachment; filename=\"{id}.{}\"", place.format);
    response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::try_from(file).map_err(Problem::internal)?);
    Ok(response)
}
