//! Every secret this program's tests have sent, got or given to a stack, so that nothing FitTrack writes may show one (S-62).
//! The client and the stacks note them here by themselves; [`crate::leaks`] looks for them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fittrack_local::Stack;
use fittrack_local::databases::{READ_MODELS, RECORDINGS};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use crate::client::Call;
use crate::failure::Result;

/// Shorter ones would be found where nobody showed them.
const SHORTEST: usize = 12;
/// Far more than any program of tests has.
const MOST: usize = 50_000;
/// What an athlete keeps to themselves, by its name in a body of JSON.
const FIELDS: [(&str, &str); 9] = [
    ("email", "an e-mail address"),
    ("password", "a password"),
    ("current_password", "a password"),
    ("new_password", "a password"),
    ("one_time_secret", "a one-time secret"),
    ("access_token", "an access token"),
    ("refresh_token", "a refresh token"),
    ("api_key", "an API key"),
    ("key", "an API key"),
];

static KNOWN: RwLock<BTreeMap<String, String>> = RwLock::new(BTreeMap::new());

/// Notes a secret; what it is, is shown where it is found.
pub fn know(what: &str, secret: &str) {
    let secret = characteristic(secret);
    if secret.len() < SHORTEST || KNOWN.read().unwrap_or_else(PoisonError::into_inner).contains_key(secret) {
        return;
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if known.len() < MOST {
        known.insert(secret.to_owned(), what.to_owned());
    }
}

/// All of them: the secret, and what it is.
pub fn known() -> Vec<(String, String)> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.iter().map(|(secret, what)| (secret.clone(), what.clone())).collect()
}

/// What of them a short text shows.
pub fn shown_in(text: &str) -> Option<String> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.iter().find(|(secret, _)| text.contains(secret.as_str())).map(|(_, what)| what.clone())
}

/// The signature of an access token, without which the rest of it is no secret; everything of anything else.
fn characteristic(secret: &str) -> &str {
    let parts: Vec<&str> = secret.split('.').collect();
    match parts.as_slice() {
        [header, _, signature] if header.starts_with("eyJ") && signature.len() >= SHORTEST => signature,
        _ => secret,
    }
}

/// Notes what a call about an account shows of its athlete, and the token it is made with.
pub(crate) fn know_call(call: &Call, access_token: Option<&str>) {
    if let Some(token) = access_token {
        know("an access token", token);
    }
    for (_, value) in call.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        know("an access token", value.strip_prefix("Bearer ").unwrap_or(value));
    }
    if let Some(body) = call.body.as_ref().filter(|_| call.path.starts_with("/v1/account")) {
        know_body(body);
    }
}

/// Notes what a body of JSON about an account has of secrets.
pub(crate) fn know_body(body: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(body) else { return };
    for (field, what) in FIELDS {
        if let Some(secret) = document.get(field).and_then(Value::as_str)
            && (field != "email" || secret.contains('@'))
        {
            know(what, secret);
        }
    }
}

/// Notes what a stack was made with: everything in its `secrets.json`, its signing keys, the passwords in the settings of its
/// processes, and the keys its databases made for themselves.
///
/// # Errors
/// When a file or a database of it cannot be read.
pub async fn know_stack(stack: &Stack) -> Result<()> {
    let made: Value = serde_json::from_slice(&std::fs::read(stack.dir().join("secrets.json"))?)?;
    know_texts("secrets.json", &made);
    know_pem(&stack.dir().join("signing-key.pem"))?;
    for service in ["command-api", "projectors", "query-api"] {
        for (setting, value) in stack.settings(service)? {
            know_setting(&setting, &value);
        }
    }
    for (database, table) in [(READ_MODELS, "cursor_key"), (RECORDINGS, "token_key")] {
        let mut connection = PgConnection::connect(&stack.database_url(database)?).await?;
        let keys: Vec<Vec<u8>> =
            sqlx::query_scalar(&format!("SELECT secret FROM {table}")).fetch_all(&mut connection).await?;
        for key in keys {
            for text in [hex::encode(&key), STANDARD.encode(&key), URL_SAFE_NO_PAD.encode(&key)] {
                know(table, text.trim_end_matches('='));
            }
        }
        connection.close().await?;
    }
    Ok(())
}

/// Notes every text of a document of secrets.
fn know_texts(what: &str, document: &Value) {
    match document {
        Value::String(secret) => know(what, secret),
        Value::Array(items) => items.iter().for_each(|item| know_texts(what, item)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| know_texts(&format!("{what}: {name}"), value)),
        _ => {}
    }
}

/// Notes the key material of a PEM file, line by line.
fn know_pem(path: &Path) -> Result<()> {
    for line in std::fs::read_to_string(path)?.lines().filter(|line| !line.starts_with("-----")) {
        know("a signing key", line);
    }
    Ok(())
}

/// Notes a setting that is a secret, or the password in one that is a URL.
pub fn know_setting(setting: &str, value: &str) {
    if let Some(password) = password_of(value) {
        know(&format!("the password in {setting}"), password);
    } else if ["PASSWORD", "SECRET"].iter().any(|mark| setting.ends_with(mark)) {
        know(setting, value);
    }
}

/// The password of a URL like `postgres://user:password@host/database`.
fn password_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (credentials, _) = rest.rsplit_once('@')?;
    credentials.split_once(':').map(|(_, password)| password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(secret: &str) -> bool {
        known().iter().any(|(known, _)| known == secret)
    }

    #[test]
    fn a_call_about_an_account_gives_away_what_it_must_not_be_seen_in() {
        let body = serde_json::json!({
            "email": "noted-2d1f@example.org", "password": "noted password 77aa", "display_name": "noted display name",
        });
        let call = Call::post("/v1/account").json(&body).header("authorization", "Bearer noted-bearer-token");
        know_call(&call, Some("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJub3RlZCJ9.c2lnbmF0dXJlLW5vdGVk"));
        for secret in ["noted-2d1f@example.org", "noted password 77aa", "noted-bearer-token", "c2lnbmF0dXJlLW5vdGVk"] {
            assert!(knows(secret), "{secret}");
        }
        assert!(!knows("noted display name"));
        assert_eq!(shown_in("{\"detail\": \"noted password 77aa is too short\"}").as_deref(), Some("a password"));
        assert_eq!(shown_in("{\"detail\": \"it is too short\"}"), None);
    }

    #[test]
    fn what_is_short_or_no_address_would_be_found_everywhere() {
        know_body(br#"{"email": "no address at all", "password": "short"}"#);
        assert!(!knows("no address at all") && !knows("short"));
    }

    #[test]
    fn passwords_are_found_in_settings() {
        know_setting("FITTRACK_X_URL", "postgres://me:setting-password-1@db.example/x");
        know_setting("FITTRACK_Y_PASSWORD", "setting-password-2");
        know_setting("FITTRACK_JWKS_URL", "http://127.0.0.1:8400/.well-known/jwks.json");
        assert!(knows("setting-password-1") && knows("setting-password-2"));
        assert!(!known().iter().any(|(secret, _)| secret.contains("jwks")));
    }
}
