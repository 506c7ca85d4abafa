//! The same request again has the same effect once: keys, the command ids made from them, and what is running right now.
//!
//! A command id goes into the event store with the command's first event, so "was this done already?" and "do it" are one
//! unique index, and nothing of it expires. Where nothing was stored, the answer is kept for two days (`answered_commands`).
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{HeaderMap, HeaderName};
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::problem::Problem;
use uuid::Uuid;

/// The header a client names its request with.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Set to `true` on an answer to a request that had been answered before.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const MAX_KEY_BYTES: usize = 255;
/// Where all derived ids come from (RFC 9562, version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x8f1c_0d5e_52a4_4d0b_9a37_6e1f_c2b0_4d71);

/// A client's name for its request: 1 to 255 visible characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads the header: a structured-field string in quotes, or the bare text most clients send.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(header) = given.next() else { return Ok(None) };
        if given.next().is_some() {
            return Err(Problem::bad_request("send one `Idempotency-Key`"));
        }
        let key = header.to_str().ok().and_then(parse).ok_or_else(|| {
            Problem::bad_request(
                "`Idempotency-Key` must be 1 to 255 visible ASCII characters, in double quotes or without any",
            )
        })?;
        Ok(Some(Self(key)))
    }

    /// The id of the command that `scope` (who asks) names with this key on this route.
    pub fn command_id(&self, scope: &str, method: &str, route: &str) -> Uuid {
        derive(&format!("key\n{scope}\n{method}\n{route}\n{}", self.0))
    }
}

/// The id of a command that is identified by what it is about, such as a workout id its client made.
pub fn command_about(athlete_id: AthleteId, what: &str, id: Uuid) -> Uuid {
    derive(&format!("about\n{athlete_id}\n{what}\n{id}"))
}

/// An id that follows from a text.
pub fn derive(text: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, text.as_bytes())
}

fn parse(header: &str) -> Option<String> {
    let header = header.trim_matches([' ', '\t']);
    let key = match header.strip_prefix('"') {
        Some(rest) => unescape(rest.strip_suffix('"')?)?,
        None if header.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') => header.to_owned(),
        None => return None,
    };
    (1..=MAX_KEY_BYTES).contains(&key.len()).then_some(key)
}

/// The inside of a structured-field string (RFC 9651, 3.3.3): printable ASCII, quote and backslash behind a backslash.
fn unescape(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            '"' => return None,
            ' '..='~' => text.push(character),
            _ => return None,
        }
    }
    Some(text)
}

/// The commands this process is working on, so that an impatient second copy is told to wait (409).
/// A courtesy of one process: between replicas the store's unique index decides.
#[derive(Debug, Clone, Default)]
pub struct Running {
    commands: Arc<Mutex<HashSet<Uuid>>>,
}

/// A command that is under way until this is dropped.
#[derive(Debug)]
pub struct Underway {
    running: Running,
    command_id: Uuid,
}

impl Running {
    /// More are not remembered; their second copies meet at the store.
    const MAX: usize = 100_000;

    /// Begins a command, unless the same one is under way.
    pub fn begin(&self, command_id: Uuid) -> Result<Option<Underway>, Problem> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if commands.len() >= Self::MAX {
            return Ok(None);
        }
        if !commands.insert(command_id) {
            return Err(Problem::conflict("the same request is still being worked on; try again in a moment"));
        }
        Ok(Some(Underway { running: self.clone(), command_id }))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.running.commands.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.command_id);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn key(value: &str) -> Result<Option<IdempotencyKey>, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap());
        IdempotencyKey::from_headers(&headers).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        assert_eq!(key("\"8e03978e-40d5\"").unwrap(), key("8e03978e-40d5").unwrap());
        assert_eq!(key(r#""a \"b\" \\ c""#).unwrap(), Some(IdempotencyKey(r#"a "b" \ c"#.to_owned())));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "x".repeat(256);
        for bad in ["", "\"\"", "\"open", "a b", "a\"b", r#""\x""#, "\"a\"b\"", &long] {
            assert_eq!(key(bad), Err(400), "{bad}");
        }
        assert!(key(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn a_command_id_follows_from_who_where_and_key() {
        let key = IdempotencyKey("k".to_owned());
        let id = key.command_id("ann", "POST", "/v1/workouts");
        assert_eq!(id, key.command_id("ann", "POST", "/v1/workouts"));
        for other in [
            key.command_id("bob", "POST", "/v1/workouts"),
            key.command_id("ann", "PATCH", "/v1/workouts"),
            key.command_id("ann", "POST", "/v1/workouts/imports"),
            IdempotencyKey("l".to_owned()).command_id("ann", "POST", "/v1/workouts"),
        ] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn a_second_copy_waits_for_the_first() {
        let running = Running::default();
        let first = running.begin(Uuid::from_u128(1)).unwrap();
        assert_eq!(running.begin(Uuid::from_u128(1)).unwrap_err().status(), 409);
        assert!(running.begin(Uuid::from_u128(2)).is_ok());
        drop(first);
        assert!(running.begin(Uuid::from_u128(1)).is_ok());
    }
}
