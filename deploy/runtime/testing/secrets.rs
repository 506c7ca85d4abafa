//! No problem document repeats a secret of the request it answers (S-62). For the tests of the services, which include this file
//! and hold every answer against it.

use axum::http::{HeaderMap, header};
use serde_json::Value;

/// What a caller keeps to themselves, by its name in a body of JSON.
const FIELDS: [&str; 7] =
    ["email", "password", "current_password", "new_password", "one_time_secret", "refresh_token", "key"];
/// Shorter ones would be found where nobody showed them.
const SHORTEST: usize = 12;

/// The secrets a request carries: what it is authorised with, and those fields of its body.
pub fn of_request(headers: &HeaderMap, body: &[u8]) -> Vec<String> {
    let credentials = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| value.to_str().ok());
    let credentials = credentials.map(|value| value.split_once(' ').map_or(value, |(_, credentials)| credentials));
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let fields = FIELDS.iter().filter_map(|field| document.get(field)?.as_str());
    let secrets = credentials.chain(fields).filter(|secret| secret.len() >= SHORTEST);
    secrets.map(str::to_owned).collect()
}

/// Fails where a problem document, or the head it comes with, shows one of these.
pub fn assert_kept(secrets: &[String], what: &str, headers: &HeaderMap, body: &[u8]) {
    if headers.get(header::CONTENT_TYPE).is_none_or(|value| value != "application/problem+json") {
        return;
    }
    let text = format!("{headers:?} {}", String::from_utf8_lossy(body));
    assert!(secrets.iter().all(|secret| !text.contains(secret.as_str())), "{what} repeats a secret: {text}");
}

#[test]
fn a_problem_that_repeats_a_secret_is_found() {
    let mut asked = HeaderMap::new();
    asked.insert(header::AUTHORIZATION, "Bearer a-token-that-is-long".parse().unwrap());
    let secrets = of_request(&asked, br#"{"password": "a long password", "display_name": "a long display name"}"#);
    assert_eq!(secrets, ["a-token-that-is-long", "a long password"]);
    let mut answered = HeaderMap::new();
    answered.insert(header::CONTENT_TYPE, "application/problem+json".parse().unwrap());
    assert_kept(&secrets, "a good answer", &answered, b"a long display name is taken");
    for body in ["a-token-that-is-long has expired", "a long password is too short"] {
        std::panic::catch_unwind(|| assert_kept(&secrets, "a leak", &answered, body.as_bytes())).unwrap_err();
    }
}
