//! `GET /.well-known/revoked-sessions`: which sessions have ended while access tokens of theirs may still be good.
use axum::{
    extract::State,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse, Response},
};
use fittrack_runtime::problem::{Problem, ProblemDocument};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{app::App, routes::problems::RETRY_AFTER};

const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Sessions whose access tokens are to be refused.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the runtime's `RevokedSessions` is")]
#[schema(example = json!({"sessions": ["5f0c2f0e-8f0b-4c1b-9d52-2f1a5ad3c001"]}))]
pub struct RevokedSessionList {
    /// Their ids, as in the claim `sid`; random, so they tell nobody anything.
    sessions: Vec<Uuid>,
}

/// List the sessions that have ended lately
///
/// For whoever checks access tokens: refuse those whose `sid` is listed, and ask again each second, with `If-None-Match`.
/// A session is listed for as long as a token of it may be good.
#[utoipa::path(
    get, path = "/.well-known/revoked-sessions", operation_id = "list_revoked_sessions", tag = "account", security(()),
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the list the client has")),
    responses(
        (status = 200, description = "The list", body = RevokedSessionList,
         headers(("ETag" = String, description = "Names this list"))),
        (status = 304, description = "The list is the one the client has"),
        (status = 503, description = "The list is not known here at the moment; keep the one last had",
         body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub async fn list_revoked_sessions(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let announced =
        app.ended.announced().ok_or_else(|| Problem::unavailable("the ended sessions are not known", RETRY_AFTER))?;
    let is_known = headers.get_all(IF_NONE_MATCH).iter().any(|tag| *tag == announced.etag);
    let caching = [(CACHE_CONTROL, ASK_EACH_TIME), (ETAG, announced.etag)];
    Ok(if is_known {
        (StatusCode::NOT_MODIFIED, caching).into_response()
    } else {
        (caching, [(CONTENT_TYPE, JSON)], announced.body).into_response()
    })
}
