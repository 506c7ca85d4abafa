//! The answer to a stored command: 202 with id, version and consistency token, in body and headers alike.
use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION},
    },
    response::{IntoResponse, Response},
};
use fittrack_runtime::problem::Problem;
use fittrack_schemas::consistency::{ConsistencyToken, TokenKey};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{idempotency::IDEMPOTENCY_REPLAYED, if_match::etag};
use crate::dispatch::Receipt;

/// Carries the token; a query that sends it back waits until its read model has come as far.
pub const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// About so many headers are on the answer when it leaves, all layers' together.
const HEADERS: usize = 16;

/// What a stored command answers.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f", "version": 1, "consistency_token": "2.1f-12d687.Zq8c0TfLr4Yh"
}))]
pub struct StoredCommand {
    /// What was changed.
    pub id: Uuid,
    /// Its version now, also in `ETag`.
    pub version: i64,
    /// Send it to the query API as `Consistency-Token` to read what you have written.
    pub consistency_token: String,
}

/// A stored command on its way to the client.
#[derive(Debug)]
pub struct Accepted<B> {
    /// The body.
    pub body: B,
    /// Where the query API serves what was changed.
    pub location: String,
    /// Its version, where the answer is about one thing.
    pub version: Option<i64>,
    /// The token.
    pub token: String,
    /// Whether the same request had been answered before.
    pub replayed: bool,
}

impl Accepted<StoredCommand> {
    /// The answer for one stream, its token signed with this key.
    pub fn of(receipt: &Receipt, key: &TokenKey, location: String) -> Self {
        let token = token_of(receipt, key);
        Self {
            body: StoredCommand { id: receipt.stream_id, version: receipt.version, consistency_token: token.clone() },
            location,
            version: Some(receipt.version),
            token,
            replayed: receipt.replayed,
        }
    }

    /// The answer for a workout.
    pub fn workout(receipt: &Receipt, key: &TokenKey) -> Self {
        Self::of(receipt, key, format!("/v1/workouts/{}", receipt.stream_id))
    }
}

/// The token of one command.
pub fn token_of(receipt: &Receipt, key: &TokenKey) -> String {
    ConsistencyToken::of(receipt.partition, receipt.position).signed(key)
}

impl<B: Serialize> IntoResponse for Accepted<B> {
    fn into_response(self) -> Response {
        let body = match serde_json::to_vec(&self.body) {
            Ok(body) => body,
            Err(error) => return Problem::internal(error).into_response(),
        };
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(version) = self.version {
            headers.insert(ETAG, etag(version));
        }
        // Both are ASCII of our own making.
        for (name, value) in [(LOCATION, self.location), (CONSISTENCY_TOKEN, self.token)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        if self.replayed {
            headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::ACCEPTED;
        *response.headers_mut() = headers;
        response
    }
}
