//! `/v1/account/api-keys`: keys for an athlete's programs, and their exchange for access tokens.
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Months, Utc};
use fittrack_domain::values::ValueError;
use fittrack_runtime::{
    auth::Caller,
    clock,
    json::{Json, Path},
    problem::Problem,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::sessions::{NOT_KEPT, NotKept};
use crate::{
    app::App,
    identity::{
        api_keys::{ApiKey, Created, NewKey, Scope},
        audit::Origin,
    },
    routes::{
        documentation::{OwnAccountProblems, SignInProblems},
        fields::Fields,
        problems, refusals, words,
    },
};

/// How long a key is good for at most that ends by itself.
const TEN_YEARS: Months = Months::new(120);

/// A key somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "nightly export", "scopes": ["read"], "expires_at": "2027-10-31T00:00:00Z"}))]
pub struct ApiKeyBody {
    /// What it is for; 1 to 80 characters.
    #[schema(
        min_length = 1,
        max_length = 80,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s][^\x00-\x1f\x7f-\x9f]*$"
    )]
    name: String,
    /// What it allows: `read` every query, `write` every command. Nothing under `/v1/account` either way.
    #[schema(schema_with = words::scopes)]
    scopes: Vec<String>,
    /// When it ends by itself, at most ten years from now; never when absent.
    expires_at: Option<DateTime<Utc>>,
}

/// A key without the key itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnApiKey {
    /// To end it by.
    id: Uuid,
    /// What it is for.
    name: String,
    /// What it allows.
    scopes: Vec<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When an access token was last issued for it.
    last_used_at: Option<DateTime<Utc>>,
    /// When it ends by itself.
    expires_at: Option<DateTime<Utc>>,
}

/// A key that has just been made. No `Debug`: it is for its athlete alone.
#[derive(Serialize, ToSchema)]
pub struct NewApiKey {
    /// All that can be read again later.
    #[serde(flatten)]
    key_data: OwnApiKey,
    /// The key, this once: it cannot be shown again.
    #[schema(example = "ftk_pmTLFw1Vd1Wwm2fQ7hKcE8JtCNoZ6x2A0eHq5rYsUiA")]
    key: String,
}

/// The caller's keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnApiKeys {
    /// The newest first; there are at most fifty.
    items: Vec<OwnApiKey>,
    /// Always null: this is all of them.
    next: Option<String>,
}

/// What a program has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"api_key": "ftk_pmTLFw1Vd1Wwm2fQ7hKcE8JtCNoZ6x2A0eHq5rYsUiA"}))]
pub struct ExchangeBody {
    /// The key.
    api_key: String,
}

/// An access token for a program. No `Debug`: it is for its program alone.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "access_token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2ln", "token_type": "Bearer", "expires_in": 600, "scope": "read"
}))]
pub struct KeyToken {
    /// Send it as `Authorization: Bearer <token>`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// How long it is good for, in seconds; less where the key ends before.
    expires_in: i64,
    /// What it allows, separated by blanks.
    scope: String,
}

impl From<ApiKey> for OwnApiKey {
    fn from(key: ApiKey) -> Self {
        let ApiKey { key_id, name, scopes, created_at, last_used_at, expires_at } = key;
        Self { id: key_id, name, scopes, created_at, last_used_at, expires_at }
    }
}

/// Make an API key
///
/// The key is in this answer and nowhere else. Ended keys are refused as ended sessions are; a change of the password leaves
/// them as they are.
///
/// `Idempotency-Key` is not looked at, because the key is not kept: a request that is sent again makes another key. After an answer
/// that was lost, list the keys and end the one nobody has.
#[utoipa::path(
    post, path = "/v1/account/api-keys", operation_id = "create_api_key", tag = "account",
    request_body = ApiKeyBody,
    responses((status = 201, description = "Made", body = NewApiKey, links(
        ("end" = (operation_id = "end_api_key", parameters(("key_id" = "$response.body#/id")))),
        ("exchange" = (operation_id = "exchange_api_key", request_body = json!({"api_key": "$response.body#/key"}))),
    ),
        example = json!({ "id": "5f0c2f0e-8f0b-4c1b-9d52-2f1a5ad3c002", "name": "nightly export",
            "scopes": ["read"], "created_at": "2026-10-31T07:00:00Z", "last_used_at": null,
            "expires_at": "2027-10-31T00:00:00Z", "key": "ftk_pmTLFw1Vd1Wwm2fQ7hKcE8JtCNoZ6x2A0eHq5rYsUiA" })),
            OwnAccountProblems),
)]
pub async fn create_api_key(
    State(app): State<App>,
    caller: Caller,
    origin: Origin,
    Json(body): Json<ApiKeyBody>,
) -> Result<(StatusCode, NotKept, Json<NewApiKey>), Problem> {
    let new = new_key(body)?;
    let created = app.api_keys.create(caller.athlete_id, caller.session_id, new, &origin).await;
    match created.map_err(problems::of_database)? {
        Created::Key(key, secret) => {
            let made = NewApiKey { key_data: key.into(), key: secret.expose().to_owned() };
            Ok((StatusCode::CREATED, NOT_KEPT, Json(made)))
        }
        Created::Full => Err(Problem::conflict("there are fifty keys already; end one first")),
        Created::SignedOut => Err(Problem::invalid_token("the session of this token has ended")),
    }
}

/// List one's own API keys
#[utoipa::path(
    get, path = "/v1/account/api-keys", operation_id = "list_api_keys", tag = "account",
    responses((status = 200, description = "The keys", body = OwnApiKeys,
        example = json!({ "items": [{ "id": "5f0c2f0e-8f0b-4c1b-9d52-2f1a5ad3c002", "name": "nightly export",
            "scopes": ["read"], "created_at": "2026-10-31T07:00:00Z", "last_used_at": null,
            "expires_at": "2027-10-31T00:00:00Z" }], "next": null })), OwnAccountProblems),
)]
pub async fn list_api_keys(State(app): State<App>, caller: Caller) -> Result<(NotKept, Json<OwnApiKeys>), Problem> {
    let keys = app.api_keys.list(caller.athlete_id).await.map_err(problems::of_database)?;
    Ok((NOT_KEPT, Json(OwnApiKeys { items: keys.into_iter().map(OwnApiKey::from).collect(), next: None })))
}

/// End an API key
///
/// It gives no more access tokens at once; those it gave are refused by every service within five seconds.
#[utoipa::path(
    delete, path = "/v1/account/api-keys/{key_id}", operation_id = "end_api_key", tag = "account",
    params(("key_id" = Uuid, Path, description = "One of the caller's own keys")),
    responses((status = 204, description = "Ended"), OwnAccountProblems),
)]
pub async fn end_api_key(
    State(app): State<App>,
    caller: Caller,
    origin: Origin,
    Path(key_id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    if app.api_keys.end(caller.athlete_id, key_id, &origin).await.map_err(problems::of_database)? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        if app.api_keys.is_another_s(caller.athlete_id, key_id).await.map_err(problems::of_database)? {
            refusals::another_s(&app, caller.athlete_id, &origin, "api_key", key_id);
        }
        Err(Problem::not_found("there is no such key"))
    }
}

/// Exchange an API key for an access token
///
/// Both APIs take the token as they take one of a session, within the key's scopes. Ask for the next one before it expires.
#[utoipa::path(
    post, path = "/v1/account/api-keys/token", operation_id = "exchange_api_key", tag = "account", security(()),
    request_body = ExchangeBody,
    responses((status = 200, description = "An access token", body = KeyToken), SignInProblems),
)]
pub async fn exchange_api_key(
    State(app): State<App>,
    Json(body): Json<ExchangeBody>,
) -> Result<(NotKept, Json<KeyToken>), Problem> {
    let refused = || Problem::unauthenticated("the API key is none, or is not good any more");
    let exchanged = app.api_keys.exchange(&body.api_key).await?.ok_or_else(refused)?;
    let token = KeyToken {
        access_token: exchanged.access_token.expose().to_owned(),
        token_type: "Bearer",
        expires_in: exchanged.expires_in,
        scope: exchanged.scope,
    };
    Ok((NOT_KEPT, Json(token)))
}

fn new_key(body: ApiKeyBody) -> Result<NewKey, Problem> {
    let mut fields = Fields::default();
    let name = fields.take("/name", body.name, name);
    let scopes = fields.take("/scopes", body.scopes, scopes);
    let expires_at = fields.optional("/expires_at", body.expires_at, within_ten_years);
    let converted = match (name, scopes) {
        (Some(name), Some(scopes)) => Some(NewKey { name, scopes, expires_at }),
        _ => None,
    };
    fields.finish(converted)
}

fn name(text: String) -> Result<String, ValueError> {
    let is_named = (1..=80).contains(&text.chars().count()) && !text.trim().is_empty();
    if is_named && !text.chars().any(char::is_control) {
        Ok(text)
    } else {
        Err(ValueError("must be 1 to 80 characters, not all blank and none of control".to_owned()))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of a field's parse")]
fn scopes(names: Vec<String>) -> Result<Vec<Scope>, ValueError> {
    let refused = || ValueError("must name one or both of read and write".to_owned());
    let scope = |name: &String| match name.as_str() {
        "read" => Some(Scope::Read),
        "write" => Some(Scope::Write),
        _ => None,
    };
    let scopes: Option<Vec<Scope>> = names.iter().take(3).map(scope).collect();
    scopes.filter(|scopes| (1..=2).contains(&scopes.len())).ok_or_else(refused)
}

fn within_ten_years(instant: DateTime<Utc>) -> Result<DateTime<Utc>, ValueError> {
    let now = clock::now();
    let refused = || ValueError("must be in the future, and at most ten years from now".to_owned());
    let is_within = instant > now && now.checked_add_months(TEN_YEARS).is_some_and(|latest| instant <= latest);
    is_within.then_some(instant).ok_or_else(refused)
}
