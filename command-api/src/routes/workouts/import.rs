//! `POST /v1/workouts/imports`: workouts out of a device's file.
use axum::extract::State;
use fittrack_domain::values::Visibility;
use fittrack_runtime::{json::Query, problem::Problem, trace};
use fittrack_schemas::consistency::ConsistencyToken;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::upload::FileUpload;
use crate::{
    app::App,
    imports::{Imported, Keyed, Upload},
    routes::{accepted::Accepted, documentation::CommandProblems, words},
};

/// What is said about an upload besides the file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// `private`, `followers` or `public`; the profile's default when absent.
    #[param(schema_with = words::visibility, required = false)]
    visibility: Option<String>,
    /// The shoes or the bike.
    #[param(format = Uuid)]
    gear_id: Option<String>,
}

/// What became of a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "workouts": [{"id": "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f", "version": 1, "status": "stored"}],
    "consistency_token": "1.1f-12d688.5b2a"
}))]
pub struct ImportedFile {
    /// One for each activity, in the file's order; a multisport file has one for each leg.
    workouts: Vec<ImportedWorkout>,
    /// Send it to the query API as `Consistency-Token` to read what you have written.
    consistency_token: String,
}

/// What became of one activity.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportedWorkout {
    /// The workout.
    id: Uuid,
    /// Its version.
    version: i64,
    /// Whether it was stored now or was there before.
    status: Status,
}

/// Whether an activity was stored now or was there before.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// Stored by this request.
    Stored,
    /// There before, from this file or another recording of the same activity; nothing was stored.
    Duplicate,
}

/// Import a recording
///
/// The file as the body, its form named by the content type, or as the only part of a form; up to 25 MiB. The same file
/// again, or another recording of the same activity, is answered with the workout that is there. Recordings are of the
/// same activity when at least 0.9 of the time either covers is common to both and their distances differ by at most
/// 100 m or 5 %; or when they begin within 2 s of each other and at least 0.8 of the time is common.
#[utoipa::path(
    post, path = "/v1/workouts/imports", operation_id = "import_recording", tag = "workouts",
    params(
        ImportQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request, 1 to 255 characters"),
    ),
    request_body(
        description = "A FIT, GPX or TCX file",
        content(
            (Vec<u8> = "application/vnd.ant.fit"),
            (Vec<u8> = "application/gpx+xml"),
            (Vec<u8> = "application/vnd.garmin.tcx+xml"),
            (Vec<u8> = "application/octet-stream"),
            (UploadForm = "multipart/form-data"),
        ),
    ),
    responses(
        (status = 202, description = "Taken in", body = ImportedFile, headers(
            ("Location" = String, description = "Where the query API shows the first workout"),
            ("Consistency-Token" = String, description = "As in the body"),
            ("Idempotency-Replayed" = String, description = "`true` on a repeated answer"),
        )),
        CommandProblems,
    ),
)]
pub async fn import_recording(
    State(app): State<App>,
    Query(query): Query<ImportQuery>,
    upload: FileUpload,
) -> Result<Accepted<ImportedFile>, Problem> {
    let visibility = query.visibility.as_deref().map(Visibility::parse).transpose();
    let visibility =
        visibility.map_err(|reason| Problem::bad_request(format!("query parameter `visibility` {reason}")))?;
    let gear_id = query.gear_id.as_deref().map(Uuid::try_parse).transpose();
    let gear_id = gear_id.map_err(|reason| Problem::bad_request(format!("query parameter `gear_id`: {reason}")))?;
    let underway = upload.keyed.map(|command_id| app.running.begin(command_id)).transpose()?;
    let FileUpload { athlete_id, file, format, keyed, fingerprint, turn } = upload;
    let keyed = keyed.map(|command_id| Keyed { command_id, fingerprint });
    let has_key = keyed.is_some();
    let context = app.context(athlete_id).await?;
    let traceparent = trace::current().map(trace::TraceContext::to_traceparent);
    let upload = Upload { file, format, context, visibility, gear_id, keyed, traceparent };
    let importer = app.importer.clone();
    let work = async move {
        let outcome = importer.import(upload).await;
        drop((underway, turn));
        outcome
    };
    let workouts = app.tasks.run_to_end(work).await??;
    Ok(accepted(&workouts, has_key))
}

/// For the documentation: a form with a file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form")]
struct UploadForm {
    /// The file.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
}

fn accepted(imported: &[Imported], has_key: bool) -> Accepted<ImportedFile> {
    let token = imported
        .iter()
        .fold(ConsistencyToken::default(), |token, one| token.and(one.receipt.partition, one.receipt.position))
        .to_string();
    let first = imported.first().map_or_else(Uuid::nil, |one| one.receipt.stream_id);
    let workouts = imported
        .iter()
        .map(|one| ImportedWorkout {
            id: one.receipt.stream_id,
            version: one.receipt.version,
            status: if one.is_new { Status::Stored } else { Status::Duplicate },
        })
        .collect();
    Accepted {
        body: ImportedFile { workouts, consistency_token: token.clone() },
        location: format!("/v1/workouts/{first}"),
        version: None,
        token,
        replayed: has_key && imported.iter().any(|one| one.receipt.replayed),
    }
}
