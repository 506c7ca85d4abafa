//! The few questions of the `WebDriver` protocol (<https://www.w3.org/TR/webdriver2/>) that the browser is asked, and two of chromedriver's own.
//! Written out, because the crates for it turn on features of `serde_json` that would change what the services under test answer.

use fittrack_journeys::{Failure, Result};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// The name of an element's id in answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A session: one window.
pub struct WebDriver {
    http: Client,
    /// `http://127.0.0.1:PORT/session/ID`.
    session: String,
}

/// A line of one of the browser's logs.
pub struct LogLine {
    pub level: String,
    pub message: String,
}

impl WebDriver {
    /// Opens a window with these capabilities.
    pub async fn begin(port: u16, capabilities: Value) -> Result<Self> {
        let (http, driver) = (Client::builder().no_proxy().build()?, format!("http://127.0.0.1:{port}"));
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let begun = ask(&http, Method::POST, &format!("{driver}/session"), Some(body)).await?;
        let id = begun["sessionId"].as_str().ok_or_else(|| Failure::new(format!("no session in {begun}")))?;
        Ok(Self { session: format!("{driver}/session/{id}"), http })
    }

    pub async fn go_to(&self, url: &str) -> Result<()> {
        self.post("url", json!({ "url": url })).await.map(drop)
    }

    /// What a script returns.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.post("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// The ids of what a CSS selector finds now.
    pub async fn find(&self, selector: &str) -> Result<Vec<String>> {
        let found = self.post("elements", json!({ "using": "css selector", "value": selector })).await?;
        let ids = found.as_array().into_iter().flatten().filter_map(|element| element[ELEMENT].as_str());
        Ok(ids.map(str::to_owned).collect())
    }

    pub async fn click(&self, element: &str) -> Result<()> {
        self.post(&format!("element/{element}/click"), json!({})).await.map(drop)
    }

    pub async fn type_into(&self, element: &str, text: &str) -> Result<()> {
        self.post(&format!("element/{element}/value"), json!({ "text": text })).await.map(drop)
    }

    pub async fn text(&self, element: &str) -> Result<String> {
        let text = self.get(&format!("element/{element}/text")).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// The window as a PNG, in base64.
    pub async fn screenshot(&self) -> Result<String> {
        Ok(self.get("screenshot").await?.as_str().unwrap_or_default().to_owned())
    }

    /// What has come to a log (`browser`, `performance`) since it was last asked for.
    pub async fn log(&self, kind: &str) -> Result<Vec<LogLine>> {
        let lines = self.post("se/log", json!({ "type": kind })).await?;
        let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let read = |line: &Value| LogLine { level: text(line, "level"), message: text(line, "message") };
        Ok(lines.as_array().into_iter().flatten().map(read).collect())
    }

    /// A command of the browser's own protocol.
    pub async fn command(&self, name: &str, parameters: Value) -> Result<()> {
        self.post("goog/cdp/execute", json!({ "cmd": name, "params": parameters })).await.map(drop)
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        ask(&self.http, Method::POST, &format!("{}/{path}", self.session), Some(body)).await
    }

    async fn get(&self, path: &str) -> Result<Value> {
        ask(&self.http, Method::GET, &format!("{}/{path}", self.session), None).await
    }
}

/// The value of an answer.
async fn ask(http: &Client, method: Method, url: &str, body: Option<Value>) -> Result<Value> {
    let request = http.request(method, url);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let answer = request.send().await?;
    let (status, mut said) = (answer.status(), answer.json::<Value>().await?);
    if status.is_success() { Ok(said["value"].take()) } else { Err(Failure::new(format!("{url}: {said}"))) }
}
