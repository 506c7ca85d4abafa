//! `POST /v1/account/export`, `GET /v1/account/exports/{export_id}` and `.../file`: everything an athlete has, as one zip.
use std::{io, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderName, HeaderValue, Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::{
    auth::Caller,
    binary::FileBytes,
    json::Path,
    problem::Problem,
    trace::{self, TraceContext},
};
use futures::{Stream, stream};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::App,
    exports::{Exports, jobs::Export},
    identity::{
        audit::{AuditEvent, Origin},
        notes::Note,
    },
    jobs::turns::Turn,
    routes::{
        documentation::{ExportFileProblems, OwnAccountProblems},
        problems, refusals,
    },
};

/// How long a client may take no piece of a download.
const STALL: Duration = Duration::from_secs(60);
/// How long a client should wait before it asks again, in seconds.
const ASK_AGAIN_S: u16 = 2;

/// An export.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f", "state": "succeeded", "requested_at": "2026-11-02T18:21:09Z",
    "finished_at": "2026-11-02T18:21:12Z", "expires_at": "2026-11-09T18:21:12Z", "size_bytes": 7_340_032,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "file": "/v1/account/exports/0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f/file", "reason": null
}))]
pub struct ExportJob {
    /// Its id.
    id: Uuid,
    /// `pending`, `running`, `succeeded` or `failed`.
    #[schema(schema_with = crate::routes::words::job_state)]
    state: String,
    /// When it was asked for.
    requested_at: DateTime<Utc>,
    /// When it ended.
    finished_at: Option<DateTime<Utc>>,
    /// When it goes, of one that has ended; the next export of the same athlete replaces it before.
    expires_at: Option<DateTime<Utc>>,
    /// How long the zip is.
    size_bytes: Option<i64>,
    /// SHA-256 of the zip, in hexadecimal.
    sha256: Option<String>,
    /// Where the zip is, once it is there.
    file: Option<String>,
    /// Why it failed.
    reason: Option<String>,
}

impl From<Export> for ExportJob {
    fn from(export: Export) -> Self {
        let location = location(export.export_id);
        Self {
            id: export.export_id,
            file: (export.state == "succeeded").then(|| format!("{location}/file")),
            state: export.state,
            requested_at: export.requested_at,
            finished_at: export.finished_at,
            expires_at: export.expires_at,
            size_bytes: export.size_bytes,
            sha256: export.sha256.map(hex::encode),
            reason: export.reason,
        }
    }
}

/// Ask for an export of everything
///
/// A zip of profile, measurements, workouts (JSON with a schema), uploaded files and samples, which `POST /v1/workouts/imports`
/// takes in again. While one is being made, the same one is answered. The newest is kept for seven days.
#[utoipa::path(
    post, path = "/v1/account/export", operation_id = "request_export", tag = "account",
    responses(
        (status = 202, description = "It will be made", body = ExportJob, headers(
            ("Location" = String, description = "Where to ask how far it is"),
            ("Retry-After" = i64, description = "When to ask, in seconds"),
        ), links(
            ("show" = (operation_id = "show_export", parameters(("export_id" = "$response.body#/id")))),
            ("download" = (operation_id = "download_export", parameters(("export_id" = "$response.body#/id")))),
        )),
        OwnAccountProblems,
    ),
)]
pub async fn request_export(State(app): State<App>, caller: Caller, origin: Origin) -> Result<Response, Problem> {
    let export = app.exports.request(AthleteId(caller.athlete_id)).await.map_err(problems::of_database)?;
    read(&app, &caller, origin, "export_requested", export.export_id);
    let location = HeaderValue::try_from(location(export.export_id)).map_err(Problem::internal)?;
    let mut response = shown(export);
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// How far an export is
#[utoipa::path(
    get, path = "/v1/account/exports/{export_id}", operation_id = "show_export", tag = "account",
    params(("export_id" = Uuid, Path, description = "One of the caller's own exports")),
    responses(
        (status = 200, description = "The export", body = ExportJob, headers(
            ("Retry-After" = i64, description = "While it is not done: when to ask again, in seconds"),
        ), links(
            ("download" = (operation_id = "download_export", parameters(("export_id" = "$response.body#/id")))),
        )),
        OwnAccountProblems,
    ),
)]
pub async fn show_export(
    State(app): State<App>,
    caller: Caller,
    origin: Origin,
    Path(export_id): Path<Uuid>,
) -> Result<Response, Problem> {
    own(&app, &caller, &origin, export_id).await.map(shown)
}

/// The zip of an export
///
/// 409 while it is not made yet, or where it failed.
#[utoipa::path(
    get, path = "/v1/account/exports/{export_id}/file", operation_id = "download_export", tag = "account",
    params(("export_id" = Uuid, Path, description = "One of the caller's own exports")),
    responses(
        (status = 200, description = "The zip", body = inline(FileBytes), content_type = "application/zip", headers(
            ("Content-Disposition" = String, description = "The name to save it under"),
        )),
        ExportFileProblems,
    ),
)]
pub async fn download_export(
    State(app): State<App>,
    method: Method,
    caller: Caller,
    origin: Origin,
    Path(export_id): Path<Uuid>,
) -> Result<Response, Problem> {
    let export = own(&app, &caller, &origin, export_id).await?;
    let (Some(size_bytes), "succeeded") = (export.size_bytes, export.state.as_str()) else {
        return Err(Problem::conflict("the export has no file: it is not made yet, or has failed")
            .retry_after(Duration::from_secs(ASK_AGAIN_S.into())));
    };
    let name = format!("attachment; filename=\"fittrack-{}.zip\"", export.requested_at.format("%Y-%m-%d"));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (CONTENT_DISPOSITION, HeaderValue::try_from(name).map_err(Problem::internal)?),
        (CONTENT_LENGTH, HeaderValue::from(size_bytes)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    // Who only asks about the file ends no download of theirs.
    if method == Method::HEAD {
        return Ok((headers, Body::empty()).into_response());
    }
    let busy = || Problem::unavailable("too many exports are being sent at this moment", problems::RETRY_AFTER);
    let turn = app.exports.downloads.take(caller.athlete_id).await.ok_or_else(busy)?;
    read(&app, &caller, origin, "export_downloaded", export_id);
    Ok((headers, Body::from_stream(sent(app.exports.clone(), export, turn))).into_response())
}

/// The pieces of a zip, each read when the client has taken the one before. Who takes none for a minute, or begins another
/// download, has lost the turn, and the answer breaks off.
fn sent(exports: Exports, export: Export, turn: Turn) -> impl Stream<Item = Result<Bytes, io::Error>> {
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let sending = async {
            for number in 0.. {
                let piece = exports.piece(&export, number).await.map_err(io::Error::other).transpose();
                let Some(piece) = piece else { return true };
                let is_last = piece.is_err();
                let taken = tokio::time::timeout(STALL, sender.send(piece)).await;
                if is_last || !matches!(taken, Ok(Ok(()))) {
                    return false;
                }
            }
            true
        };
        if turn.unless_ended(sending).await != Some(true) {
            tracing::info!(export_id = %export.export_id, "a download broke off");
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

async fn own(app: &App, caller: &Caller, origin: &Origin, export_id: Uuid) -> Result<Export, Problem> {
    let athlete_id = AthleteId(caller.athlete_id);
    if let Some(export) = app.exports.find(athlete_id, export_id).await.map_err(problems::of_database)? {
        return Ok(export);
    }
    if app.exports.is_another_s(athlete_id, export_id).await.map_err(problems::of_database)? {
        refusals::another_s(app, caller.athlete_id, origin, "export", export_id);
    }
    Err(Problem::not_found("there is no such export"))
}

/// Notes for the audit log that everything of somebody is on its way to whoever asks with their token.
fn read(app: &App, caller: &Caller, origin: Origin, what: &'static str, export_id: Uuid) {
    app.notes.take(Note {
        event: AuditEvent::SensitiveRead,
        what,
        athlete_id: Some(caller.athlete_id),
        origin,
        details: json!({"export_id": export_id}),
        trace_id: trace::current().map(TraceContext::trace_id),
    });
}

fn location(export_id: Uuid) -> String {
    format!("/v1/account/exports/{export_id}")
}

fn shown(export: Export) -> Response {
    const NOT_KEPT: [(HeaderName, HeaderValue); 1] = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let is_under_way = matches!(export.state.as_str(), "pending" | "running");
    let mut response = (NOT_KEPT, axum::Json(ExportJob::from(export))).into_response();
    if is_under_way {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ASK_AGAIN_S));
    }
    response
}
