//! A signed-in athlete. Signs in again by itself when the API no longer takes its token.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, Api, Call};
use crate::failure::{Failure, Result};
use crate::patience::until;

/// Tokens are good for ten minutes.
const RENEW_AFTER: Duration = Duration::from_secs(540);

/// An athlete with an account. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Athlete(Arc<Account>);

/// See [`Athlete`].
#[derive(Debug)]
pub struct Account {
    pub id: Uuid,
    pub name: String,
    pub email: String,
    pub password: String,
    /// What a query must be sent to see the registration.
    pub registered: String,
    api: Api,
    session: Mutex<Session>,
}

#[derive(Debug, Default)]
struct Session {
    token: String,
    since: Option<Instant>,
    /// Every token there ever was, of both kinds: none may be in a log.
    all: Vec<String>,
}

impl std::ops::Deref for Athlete {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.0
    }
}

impl Athlete {
    /// An athlete who is registered and not signed in yet.
    pub fn new(api: Api, id: Uuid, name: &str, email: &str, password: &str, registered: String) -> Self {
        let (name, email, password) = (name.to_owned(), email.to_owned(), password.to_owned());
        Self(Arc::new(Account { id, name, email, password, registered, api, session: Mutex::default() }))
    }

    /// Signs in with address and password.
    ///
    /// # Errors
    /// When that is refused.
    pub async fn sign_in(&self) -> Result<()> {
        let body = json!({"email": self.email, "password": self.password});
        let answer = self.api.send_when_not_busy(&Call::post("/v1/account/sessions").json(&body)).await?;
        let answer = answer.expecting(201)?;
        let token = answer.json()["access_token"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            return Err(Failure::new("a session without an access token"));
        }
        let refresh_token = answer.json()["refresh_token"].as_str().unwrap_or_default().to_owned();
        if refresh_token.is_empty() {
            return Err(Failure::new("a session without a refresh token"));
        }
        self.session(|session| {
            session.all.extend([token.clone(), refresh_token]);
            session.token = token;
            session.since = Some(Instant::now());
        });
        Ok(())
    }

    /// The present access token.
    pub fn access_token(&self) -> String {
        self.session(|session| session.token.clone())
    }

    /// An access token that is good for a while; signs in first where the present one is about to expire.
    ///
    /// # Errors
    /// When signing in is refused.
    pub async fn renewed(&self) -> Result<String> {
        if self.session(|session| session.since.is_none_or(|since| since.elapsed() > RENEW_AFTER)) {
            self.sign_in().await?;
        }
        Ok(self.access_token())
    }

    /// Every access and refresh token this athlete ever had.
    pub fn access_tokens(&self) -> Vec<String> {
        self.session(|session| session.all.clone())
    }

    /// The client this athlete uses.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Makes a call; signs in first where the token is about to expire.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn send(&self, call: &Call) -> Result<Answer> {
        let token = self.renewed().await?;
        let answer = self.api.send_as(call, Some(&token)).await?;
        if answer.status == 401 {
            // The next call signs in; this answer is the caller's to judge.
            self.session(|session| session.since = None);
        }
        Ok(answer)
    }

    /// Reads something that is there.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(&Call::get(path)).await?.expecting(200)
    }

    /// Reads something as it is after a command.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn get_seeing(&self, path: &str, consistency_token: &str) -> Result<Answer> {
        self.send(&Call::get(path).seeing(consistency_token)).await?.expecting(200)
    }

    /// Asks about a job (an export, an import, an erasure) until it has succeeded.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn until_done(&self, location: &str) -> Result<Answer> {
        until(&format!("{location} has succeeded"), async || {
            let answer = self.get(location).await.map_err(|error| error.to_string())?;
            if answer.json()["state"] == "succeeded" { Ok(answer) } else { Err(answer.to_string()) }
        })
        .await
    }

    /// Logs a workout.
    ///
    /// # Errors
    /// When it is not stored.
    pub async fn log(&self, workout: &Value) -> Result<Answer> {
        self.send(&Call::post("/v1/workouts").json(workout)).await?.expecting(202)
    }

    /// Edits the version of a workout that was seen.
    ///
    /// # Errors
    /// When it is not stored.
    pub async fn edit(&self, id: Uuid, version: i64, patch: &Value) -> Result<Answer> {
        let call = Call::patch(format!("/v1/workouts/{id}")).if_match(version).merge_patch(patch);
        self.send(&call).await?.expecting(202)
    }

    /// Deletes a workout.
    ///
    /// # Errors
    /// When it is not stored.
    pub async fn delete(&self, id: Uuid) -> Result<Answer> {
        self.send(&Call::delete(format!("/v1/workouts/{id}"))).await?.expecting(202)
    }

    /// Changes the profile.
    ///
    /// # Errors
    /// When it is not stored.
    pub async fn update_profile(&self, patch: &Value) -> Result<Answer> {
        self.send(&Call::patch("/v1/me/profile").merge_patch(patch)).await?.expecting(202)
    }

    /// Imports a file, visible as named.
    ///
    /// # Errors
    /// When it is not stored.
    pub async fn import(&self, content_type: &str, file: bytes::Bytes, visibility: &str) -> Result<Answer> {
        let call = Call::post(format!("/v1/workouts/imports?visibility={visibility}")).file(content_type, file);
        self.send(&call).await?.expecting(202)
    }

    /// All pages of a list, after a command where a token is given.
    ///
    /// # Errors
    /// When a page is not 200, or the list never ends.
    pub async fn all(&self, path: &str, consistency_token: Option<&str>) -> Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..10_000 {
            let join = if path.contains('?') { '&' } else { '?' };
            let page = cursor.map_or_else(|| path.to_owned(), |cursor| format!("{path}{join}cursor={cursor}"));
            let call = Call::get(page);
            let call = consistency_token.map_or(call.clone(), |token| call.seeing(token));
            let answer = self.send(&call).await?.expecting(200)?;
            items.extend(answer.items());
            match answer.json()["next"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
        Err(Failure::new(format!("{path} never ends")))
    }

    fn session<T>(&self, look: impl FnOnce(&mut Session) -> T) -> T {
        look(&mut self.session.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
