//! The calls of the demonstration to both APIs, with the answers' shapes as an app would write them down.
//! Any answer that is not a success becomes an error with the problem document's words.

use std::time::{Duration, Instant};

use fittrack_local::{Error, Result};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::PATIENCE;
use super::recordings::Upload;

/// One athlete's app.
pub struct Client {
    http: reqwest::Client,
    command_api: String,
    query_api: String,
    access_token: Option<String>,
    athlete_id: String,
    /// Of the last command: reads that send it see everything written so far.
    consistency_token: Option<String>,
}

/// A page of anything.
#[derive(Deserialize)]
pub struct List<T> {
    pub items: Vec<T>,
}

/// What became of an uploaded file.
#[derive(Deserialize)]
pub struct Imported {
    pub workouts: Vec<ImportedWorkout>,
    consistency_token: String,
}

/// One activity of the file.
#[derive(Deserialize)]
pub struct ImportedWorkout {
    pub id: String,
    /// `stored` or `duplicate`.
    pub status: String,
}

impl Client {
    pub fn new(command_api: &str, query_api: &str) -> Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build().map_err(Error::failed)?,
            command_api: command_api.to_owned(),
            query_api: query_api.to_owned(),
            access_token: None,
            athlete_id: String::new(),
            consistency_token: None,
        })
    }

    pub fn athlete_id(&self) -> &str {
        &self.athlete_id
    }

    /// Sends a command as JSON and keeps its consistency token and athlete id, where the answer has them.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.command_api)).json(body);
        let answer: Value = answer(path, self.authorised(request)).await?;
        let text = |key| answer.get(key).and_then(Value::as_str).map(str::to_owned);
        self.consistency_token = text("consistency_token").or(self.consistency_token.take());
        self.athlete_id = text("athlete_id").unwrap_or(std::mem::take(&mut self.athlete_id));
        Ok(answer)
    }

    pub async fn log_in(&mut self, email: &str, password: &str) -> Result<()> {
        let session = self.post("/v1/account/sessions", &json!({ "email": email, "password": password })).await?;
        let token = session.get("access_token").and_then(Value::as_str);
        self.access_token = Some(token.ok_or_else(|| Error::failed("the session has no access token"))?.to_owned());
        Ok(())
    }

    pub async fn import(&mut self, upload: Upload) -> Result<Imported> {
        let path = "/v1/workouts/imports?visibility=public";
        let request = self.http.post(format!("{}{path}", self.command_api));
        let request = request.header("Content-Type", upload.format.content_type()).body(upload.bytes);
        let imported: Imported = answer(path, self.authorised(request)).await?;
        self.consistency_token = Some(imported.consistency_token.clone());
        Ok(imported)
    }

    /// Whether the query API has a workout already, asked without a consistency token.
    pub async fn is_readable(&self, workout_id: &str) -> Result<bool> {
        let path = format!("/v1/workouts/{workout_id}");
        let request = self.authorised(self.http.get(format!("{}{path}", self.query_api)));
        let response = send(&path, request).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(refusal(&path, response).await),
        }
    }

    /// Reads something that has to show everything written so far; a read model that is behind is asked again.
    pub async fn get_consistent<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let began = Instant::now();
        loop {
            let mut request = self.authorised(self.http.get(format!("{}{path}", self.query_api)));
            if let Some(token) = &self.consistency_token {
                request = request.header("Consistency-Token", token);
            }
            let response = send(path, request).await?;
            if response.status() != StatusCode::SERVICE_UNAVAILABLE || began.elapsed() > PATIENCE {
                return read(path, response).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.access_token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

async fn send(path: &str, request: RequestBuilder) -> Result<Response> {
    request.send().await.map_err(|cause| {
        Error::failed(format!("{path}: no answer: {cause}")).advise("see deploy/fittrack status and the logs")
    })
}

async fn answer<T: DeserializeOwned>(path: &str, request: RequestBuilder) -> Result<T> {
    read(path, send(path, request).await?).await
}

async fn read<T: DeserializeOwned>(path: &str, response: Response) -> Result<T> {
    if !response.status().is_success() {
        return Err(refusal(path, response).await);
    }
    response.json().await.map_err(|cause| Error::failed(format!("{path}: an answer of another form: {cause}")))
}

/// The problem document in one sentence.
async fn refusal(path: &str, response: Response) -> Error {
    let status = response.status();
    let problem: Value = response.json().await.unwrap_or_default();
    let text = |key| problem.get(key).and_then(Value::as_str);
    let detail = text("detail").or_else(|| text("title")).unwrap_or("no reason given");
    Error::failed(format!("{path} answered {status}: {detail}"))
}
