//! `Idempotency-Key`: what is taken bare is the same key in quotes, so a client that learns to quote repeats its requests still.

use axum::http::{HeaderMap, HeaderValue};
use command_api::routes::idempotency::{IDEMPOTENCY_KEY, IdempotencyKey};
use uuid::Uuid;

#[expect(clippy::expect_used, reason = "a rule that does not hold fails loudly")]
pub fn accepts(input: &[u8]) -> bool {
    let Ok(value) = HeaderValue::from_bytes(input) else { return false };
    let Some(id) = id_of(&value) else { return false };
    assert_eq!(id_of(&value), Some(id), "the same key is the same command");
    let text = String::from_utf8_lossy(input);
    let bare = text.trim_matches([' ', '\t']);
    assert!((1..=2 * 255 + 2).contains(&bare.len()), "{} bytes", bare.len());
    if !bare.starts_with('"') {
        let quoted = format!("\"{}\"", bare.replace('\\', "\\\\"));
        let quoted = HeaderValue::try_from(quoted).expect("it is visible ASCII");
        assert_eq!(id_of(&quoted), Some(id), "{quoted:?}");
    }
    true
}

/// Which command a header names; nothing where it is refused.
fn id_of(value: &HeaderValue) -> Option<Uuid> {
    let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, value.clone())]);
    let key = IdempotencyKey::from_headers(&headers).ok()?;
    key.map(|key| key.command_id("somebody", "POST", "/v1/workouts"))
}
