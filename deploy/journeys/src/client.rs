//! An athlete's app: both APIs behind one client that routes as a gateway does, signs in again when its token has
//! expired, and gives back status, headers and body as they came.

mod answer;
mod athlete;
mod call;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

pub use answer::Answer;
pub use athlete::Athlete;
pub use call::Call;

use crate::failure::{Failure, Result};
use crate::patience::DEADLINE;
use crate::{leaks, secrets};

/// Longer than any answer may take.
const TIMEOUT: Duration = Duration::from_secs(6);
/// Between two tries where the answer is to come back later.
const BUSY: Duration = Duration::from_millis(50);

/// Where the APIs are. Several addresses of one service are taken in turn.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    commands: Arc<[String]>,
    queries: Arc<[String]>,
    turn: Arc<AtomicUsize>,
}

impl Api {
    /// A client of these addresses (`http://host:port`, at least one of each).
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(commands: Vec<String>, queries: Vec<String>) -> Result<Self> {
        Self::with_timeout(commands, queries, TIMEOUT)
    }

    /// The same, giving up on an answer after this long; for processes that may be frozen.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn with_timeout(commands: Vec<String>, queries: Vec<String>, timeout: Duration) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(timeout).build()?;
        Ok(Self { http, commands: commands.into(), queries: queries.into(), turn: Arc::default() })
    }

    /// The address a call goes to: reads to the query API, the rest and everything about accounts to the command API.
    pub fn address_of(&self, method: &Method, path: &str) -> &str {
        let of_commands = path.starts_with("/v1/account") || path.starts_with("/.well-known/");
        let reads = (*method == Method::GET || *method == Method::HEAD) && !of_commands;
        let addresses = if reads { &self.queries } else { &self.commands };
        let turn = if addresses.len() > 1 { self.turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
        addresses.get(turn % addresses.len().max(1)).map_or("", String::as_str)
    }

    /// Makes a call as nobody in particular.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn send(&self, call: &Call) -> Result<Answer> {
        self.send_as(call, None).await
    }

    /// Makes a call with an access token.
    ///
    /// # Errors
    /// When no answer came, or a problem that shows a secret.
    pub async fn send_as(&self, call: &Call, access_token: Option<&str>) -> Result<Answer> {
        secrets::know_call(call, access_token);
        let url = format!("{}{}", self.address_of(&call.method, &call.path), call.path);
        let mut request = self.http.request(call.method.clone(), url);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(token) = access_token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await?;
        if call.path.starts_with("/v1/account") {
            secrets::know_body(&body);
        }
        let answer = Answer { call: format!("{} {}", call.method, call.path), status, headers, body };
        leaks::check_problem(&answer)?;
        Ok(answer)
    }

    /// Makes a call, again and again while the answer is to come back later: only so many passwords are hashed at once.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn send_when_not_busy(&self, call: &Call) -> Result<Answer> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = self.send(call).await?;
            if answer.status != 503 || Instant::now() >= deadline {
                return Ok(answer);
            }
            tokio::time::sleep(BUSY).await;
        }
    }

    /// Registers an athlete of this name, with an address and a password nobody else has, and signs in.
    ///
    /// # Errors
    /// When either is refused.
    pub async fn register(&self, name: &str) -> Result<Athlete> {
        self.register_in(name, "UTC").await
    }

    /// The same in a time zone.
    ///
    /// # Errors
    /// When either is refused.
    pub async fn register_in(&self, name: &str, time_zone: &str) -> Result<Athlete> {
        let (email, password) = credentials();
        let call = Self::registration(&email, &password, name, time_zone).key(email.clone());
        let answer = self.send_when_not_busy(&call).await?.expecting(202)?;
        let id = answer.id().ok_or_else(|| Failure::new(format!("a registration without an id: {answer}")))?;
        let athlete = Athlete::new(self.clone(), id, name, &email, &password, answer.token());
        athlete.sign_in().await?;
        Ok(athlete)
    }

    /// The call that registers an athlete.
    pub fn registration(email: &str, password: &str, name: &str, time_zone: &str) -> Call {
        Call::post("/v1/account").json(&json!({
            "email": email, "password": password, "display_name": name, "time_zone": time_zone,
        }))
    }
}

/// An address and a password that no log may ever show.
pub fn credentials() -> (String, String) {
    let email = format!("athlete-{:032x}@example.org", rand::random::<u128>());
    let password = format!("password {:032x}", rand::random::<u128>());
    secrets::know("an e-mail address", &email);
    secrets::know("a password", &password);
    (email, password)
}
