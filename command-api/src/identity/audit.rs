//! The audit log: who did what to accounts and sessions, in the words of OWASP's logging vocabulary. An entry is a row that
//! nobody can change (`schemas/identity/0004_audit_log.sql`), written in the transaction of what it says where there is one.
use std::net::IpAddr;

use fittrack_runtime::trace;
use serde_json::{Value, json};
use sqlx::PgExecutor;
use uuid::Uuid;

/// The longest user agent that is kept.
pub const MAX_USER_AGENT: usize = 200;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditEvent {
    /// An account was made.
    UserCreated,
    /// Somebody tried to register an address that has an account.
    UserCreateFail,
    /// An account was closed for good; its erasure is on its way.
    UserDeleted,
    /// Somebody tried to close it without knowing its password.
    UserDeleteFail,
    /// Somebody signed in.
    LoginSuccess,
    /// Somebody tried to.
    LoginFail,
    /// Tries were too many, and further ones wait.
    LoginLock,
    /// A session was ended.
    SessionEnded,
    /// A spent refresh token was used again; its session was ended.
    TokenReuse,
    /// A password was changed.
    PasswordChange,
    /// Somebody tried to change it without knowing it.
    PasswordChangeFail,
    /// A key for programs was made.
    TokenCreated,
    /// A key for programs was ended.
    TokenRevoked,
    /// An administrator did something.
    AdminActivity,
    /// Everything of somebody was asked for, or given out.
    SensitiveRead,
    /// Somebody signed in asked for what is not theirs, or with a token too narrow.
    AuthzFail,
    /// Somebody asked more than they may.
    RateLimitExceeded,
}

impl AuditEvent {
    /// Its name in the vocabulary.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserCreated => "user_created",
            Self::UserCreateFail => "user_create_fail",
            Self::UserDeleted => "user_deleted",
            Self::UserDeleteFail => "user_delete_fail",
            Self::LoginSuccess => "authn_login_success",
            Self::LoginFail => "authn_login_fail",
            Self::LoginLock => "authn_login_lock",
            Self::SessionEnded => "session_ended",
            Self::TokenReuse => "authn_token_reuse",
            Self::PasswordChange => "authn_password_change",
            Self::PasswordChangeFail => "authn_password_change_fail",
            Self::TokenCreated => "authn_token_created",
            Self::TokenRevoked => "authn_token_revoked",
            Self::AdminActivity => "authz_admin",
            Self::SensitiveRead => "sensitive_read",
            Self::AuthzFail => "authz_fail",
            Self::RateLimitExceeded => "excess_rate_limit_exceeded",
        }
    }
}

/// Where a request came from, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// What it calls itself: printable, at most [`MAX_USER_AGENT`] characters.
    pub user_agent: Option<String>,
}

/// One entry.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    event: AuditEvent,
    actor: String,
    athlete_id: Option<Uuid>,
    session_id: Option<Uuid>,
    origin: &'a Origin,
    details: Value,
    trace_id: Option<String>,
}

impl<'a> Entry<'a> {
    /// What a signed-in athlete did to their own account.
    pub fn by_athlete(event: AuditEvent, athlete_id: Uuid, origin: &'a Origin) -> Self {
        Self { actor: athlete_id.to_string(), athlete_id: Some(athlete_id), ..Self::anonymous(event, origin) }
    }

    /// What somebody did whom we do not know.
    pub fn anonymous(event: AuditEvent, origin: &'a Origin) -> Self {
        let trace_id = trace::current().map(trace::TraceContext::trace_id);
        Self {
            event,
            actor: "anonymous".to_owned(),
            athlete_id: None,
            session_id: None,
            origin,
            details: json!({}),
            trace_id,
        }
    }

    /// What was done at the command line.
    pub fn by_operator(event: AuditEvent, origin: &'a Origin) -> Self {
        Self { actor: "operator".to_owned(), ..Self::anonymous(event, origin) }
    }

    /// Whose account it is about.
    #[must_use]
    pub fn about(self, athlete_id: Option<Uuid>) -> Self {
        Self { athlete_id, ..self }
    }

    /// The session it is about.
    #[must_use]
    pub fn session(self, session_id: Uuid) -> Self {
        Self { session_id: Some(session_id), ..self }
    }

    /// The request's trace, where the entry is written outside it.
    #[must_use]
    pub fn trace(self, trace_id: Option<String>) -> Self {
        Self { trace_id, ..self }
    }

    /// What else is worth knowing; never an address, a password or a token.
    #[must_use]
    pub fn details(self, details: Value) -> Self {
        Self { details, ..self }
    }
}

const RECORD: &str = "
    INSERT INTO audit_log (event, actor, athlete_id, session_id, address, user_agent, trace_id, details)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

/// Writes an entry, and a log line that says the same.
pub async fn record(executor: impl PgExecutor<'_>, entry: Entry<'_>) -> Result<(), sqlx::Error> {
    let Entry { event, actor, athlete_id, session_id, origin, details, trace_id } = entry;
    let (athlete, session) = (athlete_id.map(tracing::field::display), session_id.map(tracing::field::display));
    tracing::info!(target: "audit", event = event.name(), actor, athlete_id = athlete, session_id = session, %details, "audit");
    sqlx::query(RECORD)
        .bind(event.name())
        .bind(actor)
        .bind(athlete_id)
        .bind(session_id)
        .bind(origin.address.map(|address| address.to_string()))
        .bind(&origin.user_agent)
        .bind(trace_id)
        .bind(details)
        .execute(executor)
        .await
        .map(|_| ())
}

/// Writes an entry of something that has no transaction; that it cannot be written is said and changes nothing.
pub async fn note(executor: impl PgExecutor<'_>, entry: Entry<'_>) {
    let event = entry.event.name();
    if let Err(error) = record(executor, entry).await {
        tracing::error!(%error, event, "an audit entry was not written");
    }
}

/// Takes network address and user agent from entries of more than ninety days ago, some at a time; what was done stays.
pub async fn forget_origins(executor: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT forget_origins()").fetch_one(executor).await
}

/// A text from outside as it may be kept: control characters escaped, cut to so many characters.
pub fn printable(text: &str, max_characters: usize) -> String {
    let mut kept = String::new();
    let mut left = max_characters;
    for character in text.chars() {
        let shown: Vec<char> =
            if character.is_control() { character.escape_unicode().collect() } else { vec![character] };
        if shown.len() > left {
            break;
        }
        left -= shown.len();
        kept.extend(shown);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_breaks_a_line_or_is_longer_than_its_column() {
        assert_eq!(printable("curl/8\r\nX: y\u{0}\u{85}", 200), "curl/8\\u{d}\\u{a}X: y\\u{0}\\u{85}");
        assert_eq!(printable("ab\ncd", 5), "ab");
        assert_eq!(printable(&"é".repeat(300), 200).chars().count(), 200);
    }
}
