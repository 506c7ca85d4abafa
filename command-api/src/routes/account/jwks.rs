//! `GET /.well-known/jwks.json`: the public keys by which anybody checks our access tokens.
use axum::{
    extract::State,
    http::header::{CACHE_CONTROL, HeaderName},
};
use fittrack_runtime::json::Json;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;

/// A JSON Web Key Set (RFC 7517).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what jsonwebtoken serialises")]
#[schema(example = json!({"keys": [{
    "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
    "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
}]}))]
pub struct KeySet {
    /// The keys tokens may be signed with at present.
    keys: Vec<Value>,
}

/// List the signing keys
///
/// Public parts only; a key's id is its RFC 7638 thumbprint. A key is listed for longer than an answer may be kept before tokens are
/// signed with it, and until the last of them has expired.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "list_keys", tag = "account", security(()),
    responses((status = 200, description = "The keys", body = KeySet)),
)]
pub async fn list_keys(State(app): State<App>) -> ([(HeaderName, &'static str); 1], Json<Value>) {
    // Serialising public keys cannot fail; an empty set would only make verifiers ask again.
    let keys = serde_json::to_value(app.tokens.jwk_set()).unwrap_or_default();
    ([(CACHE_CONTROL, "public, max-age=300")], Json(keys))
}
