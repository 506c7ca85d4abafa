//! `POST /v1/account/sessions`: signing in. `GET`: where one is signed in.
use axum::{
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderName},
    },
};
use chrono::{DateTime, Utc};
use fittrack_runtime::{auth::Caller, json::Json, problem::Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::App,
    identity::{
        audit::Origin,
        sessions::{Pair, Session},
        tokens::LIFETIME_S,
    },
    routes::{
        documentation::{OwnAccountProblems, SignInProblems},
        problems,
    },
};

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ann@example.org", "password": "correct horse battery"}))]
pub struct Credentials {
    /// The account's address; upper and lower case are the same.
    #[schema(format = Email)]
    email: String,
    /// The password, exactly as it was set.
    #[schema(format = Password)]
    password: String,
}

/// The tokens of a session. No `Debug`: they are for their client alone.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "access_token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2ln", "token_type": "Bearer", "expires_in": 600,
    "refresh_token": "pmTLFw1Vd1Wwm2fQ7hKcE8JtCNoZ6x2A0eHq5rYsUiB"
}))]
pub struct SessionTokens {
    /// Send it as `Authorization: Bearer <token>`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// How long the access token is good for, in seconds.
    expires_in: i64,
    /// Good once, for the next pair; keep it as you would a password.
    refresh_token: String,
}

impl SessionTokens {
    /// A pair as it is given out.
    pub fn of(pair: &Pair) -> Self {
        Self {
            access_token: pair.access_token.expose().to_owned(),
            token_type: "Bearer",
            expires_in: LIFETIME_S,
            refresh_token: pair.refresh_token.expose(),
        }
    }
}

/// A header that keeps an answer out of every cache.
pub type NotKept = [(HeaderName, &'static str); 1];

/// Of answers with tokens, or about oneself.
pub const NOT_KEPT: NotKept = [(CACHE_CONTROL, "no-store")];

/// Sign in
///
/// Answers with an access token and the refresh token of a new session. An unknown address, a wrong password and an account that may not sign in get the same
/// answer after the same work. After five wrong tries for an address from one network each further one has to wait, from one second
/// doubling to fifteen minutes (429, `Retry-After`); after twenty from an IPv6 /48 or a hundred from wherever, each from elsewhere than the
/// networks the account was signed in from lately. Whether the address has an account makes no
/// difference, nobody who is signed in is affected, and after an hour without a try all is as before.
#[utoipa::path(
    post, path = "/v1/account/sessions", operation_id = "log_in", tag = "account", security(()),
    request_body = Credentials,
    responses((status = 201, description = "Signed in", body = SessionTokens), SignInProblems),
)]
pub async fn log_in(
    State(app): State<App>,
    origin: Origin,
    Json(credentials): Json<Credentials>,
) -> Result<(StatusCode, NotKept, Json<SessionTokens>), Problem> {
    let refused = || Problem::unauthenticated("the e-mail address or the password is wrong");
    let pair = app.sign_in.sign_in(credentials.email, credentials.password, &origin).await?.ok_or_else(refused)?;
    Ok((StatusCode::CREATED, NOT_KEPT, Json(SessionTokens::of(&pair))))
}

/// A session of the caller's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "5f0c2f0e-8f0b-4c1b-9d52-2f1a5ad3c001", "created_at": "2026-10-31T07:00:00Z",
    "last_used_at": "2026-11-02T18:21:09Z", "expires_at": "2026-11-30T07:00:00Z",
    "user_agent": "FitTrack/3.1 (Android 16)", "current": true
}))]
pub struct OwnSession {
    /// To end it by.
    id: Uuid,
    /// When it began.
    created_at: DateTime<Utc>,
    /// When it was last refreshed.
    last_used_at: DateTime<Utc>,
    /// When it is over at the latest.
    expires_at: DateTime<Utc>,
    /// What its client called itself, up to 200 characters.
    user_agent: Option<String>,
    /// Whether this is asked with a token of it.
    current: bool,
}

/// The caller's sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnSessions {
    /// The one used last first; there are at most a hundred.
    items: Vec<OwnSession>,
    /// Always null: this is all of them.
    next: Option<String>,
}

/// List one's own sessions
#[utoipa::path(
    get, path = "/v1/account/sessions", operation_id = "list_sessions", tag = "account",
    responses((status = 200, description = "The sessions", body = OwnSessions, example = json!({ "items": [{
        "id": "5f0c2f0e-8f0b-4c1b-9d52-2f1a5ad3c001", "created_at": "2026-10-31T07:00:00Z",
        "last_used_at": "2026-11-02T18:21:09Z", "expires_at": "2026-11-30T07:00:00Z",
        "user_agent": "FitTrack/3.1 (Android 16)", "current": true }], "next": null })), OwnAccountProblems),
)]
pub async fn list_sessions(State(app): State<App>, caller: Caller) -> Result<(NotKept, Json<OwnSessions>), Problem> {
    let sessions = app.sessions.list(caller.athlete_id).await.map_err(problems::of_database)?;
    let own = |session: Session| OwnSession {
        id: session.session_id,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
        user_agent: session.user_agent,
        current: caller.session_id == session.session_id,
    };
    Ok((NOT_KEPT, Json(OwnSessions { items: sessions.into_iter().map(own).collect(), next: None })))
}
