//! `POST /v1/workouts/imports`: workouts out of a device's file, or out of a zip of many.
use axum::{
    Json,
    extract::State,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, LOCATION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use fittrack_domain::values::Visibility;
use fittrack_runtime::{binary::FileBytes, json::parse_query, problem::Problem, trace};
use fittrack_schemas::consistency::{ConsistencyToken, TokenKey};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::upload::{FileUpload, Uploaded};
use crate::{
    app::App,
    imports::{Imported, Keyed, Upload, zip::receive},
    routes::{
        accepted::Accepted, documentation::CommandProblems, fields::uuid, headers::KeyHeader,
        idempotency::IDEMPOTENCY_REPLAYED, words,
    },
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

impl ImportQuery {
    /// Reads it; both parameters can be understood.
    pub fn said(query: &str) -> Result<Self, Problem> {
        let said: Self = parse_query(query)?;
        said.visibility().and(said.gear_id())?;
        Ok(said)
    }

    /// Who may see the workouts.
    pub fn visibility(&self) -> Result<Option<Visibility>, Problem> {
        let visibility = self.visibility.as_deref().map(Visibility::parse).transpose();
        visibility.map_err(|reason| Problem::bad_request(format!("query parameter `visibility` {reason}")))
    }

    /// The shoes or the bike.
    pub fn gear_id(&self) -> Result<Option<Uuid>, Problem> {
        let gear_id = self.gear_id.as_deref().map(uuid).transpose();
        gear_id.map_err(|reason| Problem::bad_request(format!("query parameter `gear_id` {reason}")))
    }
}

/// What became of a file, or that a zip will be worked through.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is answered")]
pub enum ImportAnswer {
    /// Of one file.
    File(ImportedFile),
    /// Of a zip.
    Zip(ZipImport),
}

/// A zip that was received and will be worked through.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"id": "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f", "state": "pending"}))]
pub struct ZipImport {
    /// The import, which the query API shows at `/v1/imports/{id}`.
    id: Uuid,
    /// Always `pending`: ask there how far it is.
    state: &'static str,
}

/// What became of a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "workouts": [{"id": "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f", "version": 1, "status": "stored"}],
    "consistency_token": "2.1f-12d688.kJ3vQ0a7Xw2e"
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

/// Import a recording, or a zip of many
///
/// The file as the body, its form named by the content type, or as the only part of a form; up to 25 MiB. The same file
/// again, or another recording of the same activity, is answered with the workout that is there. Recordings are of the
/// same activity when at least 0.9 of the time either covers is common to both and their distances differ by at most
/// 100 m or 5 %; or when they begin within 2 s of each other and at least 0.8 of the time is common.
///
/// A zip (up to 2 GiB) is received whole and worked through afterwards: `Location` says where to ask what became of each file.
/// It is one of activity files (also packed by gzip each), or an export of FitTrack's: then the workouts keep their own
/// visibility and gear, the profile (but for the name) is taken over by an account whose own was never changed, and what is
/// there already stays as it is. An athlete has one zip under way at a time.
#[utoipa::path(
    post, path = "/v1/workouts/imports", operation_id = "import_recording", tag = "workouts",
    params(
        ImportQuery,
        KeyHeader,
    ),
    request_body(
        description = "A FIT, GPX or TCX file, or a zip",
        content(
            (inline(FileBytes) = "application/vnd.ant.fit"),
            (inline(FileBytes) = "application/gpx+xml"),
            (inline(FileBytes) = "application/vnd.garmin.tcx+xml"),
            (inline(FileBytes) = "application/zip"),
            (inline(FileBytes) = "application/octet-stream"),
            (UploadForm = "multipart/form-data"),
        ),
    ),
    responses(
        (status = 202, description = "Taken in; a zip: received", body = ImportAnswer, headers(
            ("Location" = String, description = "Where the query API shows the first workout, or the zip's import"),
            ("Consistency-Token" = String, description = "As in the body of one file"),
            ("Idempotency-Replayed" = String, description = "`true` on a repeated answer"),
            ("Retry-After" = i64, description = "Of a zip: when to ask, in seconds"),
        ), links(
            ("edit" = (operation_id = "edit_workout", parameters(
                ("workout_id" = "$response.body#/workouts/0/id"), ("If-Match" = "*"),
            ))),
            ("delete" = (operation_id = "delete_workout", parameters(("workout_id" = "$response.body#/workouts/0/id")))),
        )),
        CommandProblems,
    ),
)]
pub async fn import_recording(State(app): State<App>, uploaded: Uploaded) -> Result<Response, Problem> {
    let upload = match uploaded {
        Uploaded::Zip(zip) => return received(zip.accepted),
        Uploaded::File(upload) => upload,
    };
    let token_key = app.gate.pass()?;
    let underway = upload.keyed.map(|command_id| app.running.begin(command_id)).transpose()?;
    let FileUpload { athlete_id, file, format, visibility, gear_id, keyed, fingerprint, turn } = upload;
    let keyed = keyed.map(|command_id| Keyed { command_id, fingerprint, is_kept: true });
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
    Ok(accepted(&workouts, token_key, has_key).into_response())
}

fn received(accepted: receive::Accepted) -> Result<Response, Problem> {
    let receive::Accepted { import_id, is_replayed } = accepted;
    let location = HeaderValue::try_from(format!("/v1/imports/{import_id}")).map_err(Problem::internal)?;
    let headers = [
        (LOCATION, location),
        (RETRY_AFTER, HeaderValue::from_static("1")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let body = Json(ZipImport { id: import_id, state: "pending" });
    let mut response = (StatusCode::ACCEPTED, headers, body).into_response();
    if is_replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// For the documentation: a form with a file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form")]
struct UploadForm {
    /// The file.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
}

fn accepted(imported: &[Imported], key: &TokenKey, has_key: bool) -> Accepted<ImportedFile> {
    let token = imported
        .iter()
        .fold(ConsistencyToken::default(), |token, one| token.and(one.receipt.partition, one.receipt.position))
        .signed(key);
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
