//! Refresh tokens, API keys and one-time secrets: what is read is shown as the very text that was sent.

use command_api::identity::secrets::OpaqueSecret;

pub fn accepts(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let read = OpaqueSecret::parse(text);
    if let Some(secret) = &read {
        assert_eq!(secret.expose(), text, "one secret has one text");
    }
    read.is_some()
}
