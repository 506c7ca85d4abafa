//! An uploaded file out of a request: the body itself, or the one part of a form. Who sends it and how many are being read
//! at once are checked before the first byte is. One file is read into memory, a zip into the database.
use std::time::Duration;

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderName, HeaderValue},
};
use bytes::{Bytes, BytesMut};
use fittrack_domain::{ids::AthleteId, recording::Format, values::Visibility};
use fittrack_runtime::{auth::Caller, json::media_type, problem::Problem};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::{
    form::{Form, of_form},
    import::ImportQuery,
};
use crate::{
    app::App,
    imports::{
        turns::{FileTurn, NoTurn},
        zip::receive::{Accepted, Arriving, NotReceived},
    },
    routes::{
        command::{fingerprint, keyed_command, route},
        problems::{self, FILE_REFUSED, RETRY_AFTER},
    },
};

/// The longest file, in bytes.
const MAX_BYTES: usize = 25 * 1024 * 1024;
/// How long an upload may take to arrive.
const READ: Duration = Duration::from_secs(60);
/// How long what stands before or after the file in a form may take.
const READ_AROUND: Duration = Duration::from_secs(15);
/// How a zip archive begins.
const ZIP: &[u8] = b"PK\x03\x04";
/// How one begins that has nothing in it.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06";
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
    /// Who may see the workouts.
    pub visibility: Option<Visibility>,
    /// The shoes or the bike.
    pub gear_id: Option<Uuid>,
    /// The command id of the client's key, where it gave one.
    pub keyed: Option<Uuid>,
    /// Identifies the request: the file, its form and the query; not how it was wrapped.
    pub fingerprint: String,
    /// Held while the file is in memory.
    pub turn: FileTurn,
}

/// A zip from a signed-in athlete, received and waiting for its turn.
#[derive(Debug, Clone, Copy)]
pub struct ZipUpload {
    /// What became of it.
    pub accepted: Accepted,
}

/// What was uploaded.
#[derive(Debug)]
pub enum Uploaded {
    /// One file.
    File(FileUpload),
    /// Many.
    Zip(ZipUpload),
}

impl FromRequest<App> for Uploaded {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let athlete_id = AthleteId(Caller::from_request_parts(&mut parts, app).await?.athlete_id);
        app.gate.pass()?;
        let said = ImportQuery::said(parts.uri.query().unwrap_or_default())?;
        let upload = Upload {
            athlete_id,
            keyed: keyed_command(&parts.headers, athlete_id, parts.method.as_str(), route(&parts)?)?,
            target: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            said,
        };
        match media_type(&parts.headers).as_deref() {
            Some("multipart/form-data") => upload.only_part(app, Request::from_parts(parts, body)).await,
            declared => {
                let declared = Declared::by(declared)?;
                let frames = body.into_data_stream().map_err(|_| Problem::bad_request("the body broke off"));
                upload.take(app, declared, frames).await
            }
        }
    }
}

/// An upload before its first byte.
struct Upload {
    athlete_id: AthleteId,
    keyed: Option<Uuid>,
    target: String,
    said: ImportQuery,
}

impl Upload {
    /// The file of a form with exactly one part.
    async fn only_part(self, app: &App, request: Request) -> Result<Uploaded, Problem> {
        let mut form = Form::of(request).await?;
        let part = in_time(READ_AROUND, form.file()).await?;
        let named = part.content_type().map(|value| value.split(';').next().unwrap_or_default().trim().to_lowercase());
        // Apps name all sorts of types in forms; what the file itself says decides where the name says nothing.
        let declared =
            named.as_deref().and_then(|named| Declared::by(Some(named)).ok()).unwrap_or(Declared::LookInside);
        let uploaded = self.take(app, declared, part.map_err(of_form)).await?;
        if let Err(refusal) = in_time(READ_AROUND, form.end()).await {
            if let Uploaded::Zip(ZipUpload { accepted: Accepted { import_id, is_replayed: false } }) = uploaded {
                app.zip_imports.cancel(import_id).await.map_err(problems::of_database)?;
            }
            return Err(refusal);
        }
        Ok(uploaded)
    }

    /// A zip goes to the database as it comes; any other file into memory.
    async fn take(
        self,
        app: &App,
        declared: Declared,
        frames: impl Stream<Item = Result<Bytes, Problem>> + Unpin,
    ) -> Result<Uploaded, Problem> {
        let mut frames = frames;
        let first = in_time(READ, beginning(&mut frames)).await?;
        let frames = stream::iter([Ok(first.clone())]).chain(frames);
        match declared {
            Declared::Zip => self.zip(app, frames).await,
            Declared::LookInside if is_zip(&first) => self.zip(app, frames).await,
            declared => self.file(app, &declared, frames).await,
        }
    }

    async fn zip(
        self,
        app: &App,
        frames: impl Stream<Item = Result<Bytes, Problem>> + Unpin,
    ) -> Result<Uploaded, Problem> {
        let _underway = self.keyed.map(|command_id| app.running.begin(command_id)).transpose()?;
        let turn = app.zip_imports.uploads.take(self.athlete_id.0).await.ok_or_else(busy)?;
        let arriving = Arriving {
            athlete_id: self.athlete_id,
            import_id: self.keyed.unwrap_or_else(Uuid::now_v7),
            target: self.target,
            visibility: self.said.visibility()?,
            gear_id: self.said.gear_id()?,
        };
        let receiving = turn.unless_ended(app.zip_imports.receive(&arriving, frames));
        let accepted = receiving.await.unwrap_or(Err(NotReceived::Replaced))?;
        Ok(Uploaded::Zip(ZipUpload { accepted }))
    }

    async fn file(
        self,
        app: &App,
        declared: &Declared,
        frames: impl Stream<Item = Result<Bytes, Problem>> + Unpin,
    ) -> Result<Uploaded, Problem> {
        let turn = app.file_turns.take(self.athlete_id.0).await.map_err(no_turn)?;
        let file = in_time(READ, whole(frames)).await?;
        let format = declared.format(&file)?;
        let fingerprint = fingerprint([format.as_str().as_bytes(), self.target.as_bytes(), b"", b"", &file]);
        let Self { athlete_id, keyed, said, .. } = self;
        let (visibility, gear_id) = (said.visibility()?, said.gear_id()?);
        Ok(Uploaded::File(FileUpload { athlete_id, file, format, visibility, gear_id, keyed, fingerprint, turn }))
    }
}

/// The first bytes, enough to know a zip by.
async fn beginning(frames: &mut (impl Stream<Item = Result<Bytes, Problem>> + Unpin)) -> Result<Bytes, Problem> {
    let mut first = BytesMut::new();
    while first.len() < ZIP.len()
        && let Some(frame) = frames.next().await
    {
        first.extend_from_slice(&frame?);
    }
    Ok(first.freeze())
}

/// All of them, up to the limit of one file.
async fn whole(mut frames: impl Stream<Item = Result<Bytes, Problem>> + Unpin) -> Result<Bytes, Problem> {
    let mut file = BytesMut::new();
    while let Some(frame) = frames.next().await {
        let frame = frame?;
        if file.len() + frame.len() > MAX_BYTES {
            return Err(Problem::payload_too_large("the file is longer than 25 MiB"));
        }
        file.extend_from_slice(&frame);
    }
    Ok(file.freeze())
}

/// What a media type says of a file's form.
enum Declared {
    Is(Format),
    Zip,
    /// Says nothing; the first bytes may.
    LookInside,
}

impl Declared {
    fn by(media_type: Option<&str>) -> Result<Self, Problem> {
        match media_type {
            Some("application/octet-stream" | "application/xml" | "text/xml") => Ok(Self::LookInside),
            Some("application/zip" | "application/x-zip-compressed") => Ok(Self::Zip),
            Some(named) => Format::from_content_type(named).map(Self::Is).ok_or_else(unsupported),
            None => Err(unsupported()),
        }
    }

    fn format(&self, file: &[u8]) -> Result<Format, Problem> {
        match self {
            Self::Is(format) => Ok(*format),
            Self::Zip | Self::LookInside => Format::sniff(file).ok_or_else(|| {
                let detail = "the file is none that FitTrack reads";
                let reason =
                    "it begins neither like a FIT, nor like a GPX, nor like a TCX file, nor like a zip of them";
                Problem::new(&FILE_REFUSED, detail).error("", "wrong_format", reason)
            }),
        }
    }
}

fn is_zip(file: &[u8]) -> bool {
    file.starts_with(ZIP) || file.starts_with(EMPTY_ZIP)
}

async fn in_time<T>(limit: Duration, reading: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let late = |_| Problem::bad_request(format!("the body did not arrive within {} s", limit.as_secs()));
    tokio::time::timeout(limit, reading).await.map_err(late)?
}

fn no_turn(reason: NoTurn) -> Problem {
    match reason {
        NoTurn::OfAll => busy(),
        NoTurn::OfAthlete => Problem::too_many_requests(
            "as many files of yours as may be are being taken in; send this one after them",
            RETRY_AFTER,
        ),
    }
}

fn busy() -> Problem {
    Problem::unavailable("too many files are being taken in at this moment", RETRY_AFTER)
}

fn unsupported() -> Problem {
    const ACCEPTED: HeaderValue = HeaderValue::from_static(
        "application/vnd.ant.fit, application/gpx+xml, application/vnd.garmin.tcx+xml, application/zip, multipart/form-data",
    );
    Problem::unsupported_media_type(
        "send the file as application/vnd.ant.fit, application/gpx+xml, application/vnd.garmin.tcx+xml or application/zip, \
         or as the only part of multipart/form-data",
    )
    .header(ACCEPT_POST, ACCEPTED)
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
        assert!(matches!(Declared::by(Some("application/zip")), Ok(Declared::Zip)));
        assert_eq!(format("application/json", b"{}"), Err(415));
    }
}
