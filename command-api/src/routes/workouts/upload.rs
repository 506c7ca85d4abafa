//! An uploaded file out of a request: the body itself, or the one part of a form. Who sends it and how many are being read
//! at once are checked before the first byte is.
use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRequest, FromRequestParts, Multipart, Request, multipart::MultipartError},
    http::{HeaderName, HeaderValue},
};
use bytes::Bytes;
use fittrack_domain::{ids::AthleteId, recording::Format};
use fittrack_runtime::{
    auth::Caller,
    json::{media_type, read_body},
    problem::Problem,
};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use crate::{
    app::App,
    routes::{
        command::{fingerprint, keyed_command, route},
        problems::{FILE_REFUSED, RETRY_AFTER},
    },
};

/// The longest file, in bytes.
pub const MAX_BYTES: usize = 25 * 1024 * 1024;
/// How long an upload may take to arrive.
const READ: Duration = Duration::from_secs(60);
/// How a zip archive begins.
const ZIP: &[u8] = b"PK\x03\x04";
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// A file from a signed-in athlete.
#[derive(Debug)]
pub struct FileUpload {
    /// Who sends it.
    pub athlete_id: AthleteId,
    /// The file.
    pub file: Bytes,
    /// Its form: what the request says, else what its first bytes say.
    pub format: Format,
    /// The command id of the client's key, where it gave one.
    pub keyed: Option<Uuid>,
    /// Identifies the request: the file, its form and the query; not how it was wrapped.
    pub fingerprint: String,
    /// Held while the file is in memory.
    pub turn: OwnedSemaphorePermit,
}

impl FromRequest<App> for FileUpload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let athlete_id = AthleteId(Caller::from_request_parts(&mut parts, app).await?.athlete_id);
        app.gate.pass()?;
        let keyed = keyed_command(&parts.headers, athlete_id, parts.method.as_str(), route(&parts)?)?;
        let turn = Arc::clone(&app.uploads)
            .try_acquire_owned()
            .map_err(|_| Problem::unavailable("too many files are being taken in at this moment", RETRY_AFTER))?;
        let media_type = media_type(&parts.headers);
        let target = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let request = Request::from_parts(parts, body);
        let (declared, file) = match media_type.as_deref() {
            Some("multipart/form-data") => in_time(only_part(request, app)).await?,
            declared => {
                let declared = Declared::by(declared)?;
                (declared, read_body(request, READ).await?)
            }
        };
        let format = declared.format(&file)?;
        let fingerprint = fingerprint(format.as_str(), &target, &axum::http::HeaderMap::new(), &file);
        Ok(Self { athlete_id, file, format, keyed, fingerprint, turn })
    }
}

/// What a media type says of a file's form.
enum Declared {
    Is(Format),
    /// Says nothing; the first bytes may.
    LookInside,
}

impl Declared {
    fn by(media_type: Option<&str>) -> Result<Self, Problem> {
        match media_type {
            Some("application/octet-stream" | "application/xml" | "text/xml") => Ok(Self::LookInside),
            Some("application/zip" | "application/x-zip-compressed") => Err(no_zip()),
            Some(named) => Format::from_content_type(named).map(Self::Is).ok_or_else(unsupported),
            None => Err(unsupported()),
        }
    }

    fn format(&self, file: &[u8]) -> Result<Format, Problem> {
        match self {
            Self::Is(format) => Ok(*format),
            Self::LookInside if file.starts_with(ZIP) => Err(no_zip()),
            Self::LookInside => Format::sniff(file).ok_or_else(|| {
                let detail = "the file is none that FitTrack reads";
                let reason = "it begins neither like a FIT, nor like a GPX, nor like a TCX file";
                Problem::new(&FILE_REFUSED, detail).error("", "wrong_format", reason)
            }),
        }
    }
}

/// The file of a form with exactly one part.
async fn only_part(request: Request, app: &App) -> Result<(Declared, Bytes), Problem> {
    let mut form =
        Multipart::from_request(request, app).await.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let part = form.next_field().await.map_err(of_form)?;
    let part = part.ok_or_else(|| Problem::bad_request("the form has no part; send the file as its only one"))?;
    let media_type = part.content_type().map(|value| value.split(';').next().unwrap_or_default().trim().to_lowercase());
    // Apps name all sorts of types in forms; what the file itself says decides where the name says nothing.
    let declared = match media_type.as_deref() {
        Some("application/zip" | "application/x-zip-compressed") => return Err(no_zip()),
        Some(named) => Format::from_content_type(named).map_or(Declared::LookInside, Declared::Is),
        None => Declared::LookInside,
    };
    let file = part.bytes().await.map_err(of_form)?;
    match form.next_field().await.map_err(of_form)? {
        None => Ok((declared, file)),
        Some(_) => Err(Problem::bad_request("the form has more than one part; send one file at a time")),
    }
}

async fn in_time<T>(reading: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let late = |_| Problem::bad_request(format!("the body did not arrive within {} s", READ.as_secs()));
    tokio::time::timeout(READ, reading).await.map_err(late)?
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn of_form(error: MultipartError) -> Problem {
    match error.status().as_u16() {
        413 => Problem::payload_too_large("the file is longer than 25 MiB"),
        _ => Problem::bad_request("the form cannot be read; it broke off or is not multipart/form-data"),
    }
}

fn no_zip() -> Problem {
    with_accepted(Problem::unsupported_media_type("archives are not taken in; send the activity files one by one"))
}

fn unsupported() -> Problem {
    with_accepted(Problem::unsupported_media_type(
        "send the file as application/vnd.ant.fit, application/gpx+xml or application/vnd.garmin.tcx+xml, \
         or as the only part of multipart/form-data",
    ))
}

fn with_accepted(problem: Problem) -> Problem {
    const ACCEPTED: HeaderValue = HeaderValue::from_static(
        "application/vnd.ant.fit, application/gpx+xml, application/vnd.garmin.tcx+xml, multipart/form-data",
    );
    problem.header(ACCEPT_POST, ACCEPTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_names_a_format_or_asks_to_look_inside() {
        let format = |media_type: &str, file: &[u8]| {
            Declared::by(Some(media_type)).and_then(|declared| declared.format(file)).map_err(|p| p.status().as_u16())
        };
        assert_eq!(format("application/vnd.ant.fit", b"whatever"), Ok(Format::Fit));
        assert_eq!(format("application/octet-stream", b"<gpx >"), Ok(Format::Gpx));
        assert_eq!(format("application/octet-stream", b"hello"), Err(422));
        assert_eq!(format("application/octet-stream", b"PK\x03\x04"), Err(415));
        assert_eq!(format("application/zip", b"PK\x03\x04"), Err(415));
        assert_eq!(format("application/json", b"{}"), Err(415));
    }
}
