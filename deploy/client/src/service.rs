//! The connection to one service: sends a request, and holds the answer against what its document says of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;

use crate::answer::{Answer, Failure};
use crate::request::Request;

/// Longer than any answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
const PROBLEM: &str = "application/problem+json";

#[derive(Debug, Clone)]
pub(crate) struct Service {
    http: reqwest::Client,
    address: Arc<str>,
    access_token: Option<Arc<str>>,
    consistency_token: Option<Arc<str>>,
    succeeded: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Service {
    pub(crate) fn new(address: &str) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        let (address, succeeded) = (address.trim_end_matches('/').into(), Arc::default());
        Ok(Self { http, address, access_token: None, consistency_token: None, succeeded })
    }

    pub(crate) fn with_token(&self, access_token: &str) -> Self {
        Self { access_token: Some(access_token.into()), ..self.clone() }
    }

    pub(crate) fn seeing(&self, consistency_token: &str) -> Self {
        Self { consistency_token: Some(consistency_token.into()), ..self.clone() }
    }

    pub(crate) fn succeeded(&self) -> BTreeSet<&'static str> {
        self.succeeded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request; its answer has one of these statuses and, where it is a success, one of these media types.
    pub(crate) async fn ask<T, P: DeserializeOwned + std::fmt::Debug>(
        &self,
        request: Request,
        statuses: &[u16],
        media_types: &[&str],
        read: fn(&Bytes) -> Result<T, String>,
    ) -> Result<Answer<T>, Failure<P>> {
        let operation = request.operation;
        let (status, headers, body) = self.send(request).await?;
        let undocumented = |why: String| {
            let body = String::from_utf8_lossy(&body).chars().take(2_000).collect();
            Failure::Undocumented { operation, why, status, body }
        };
        let media_type = media_type(&headers);
        if !statuses.contains(&status) {
            return Err(undocumented("its status is not among those described".to_owned()));
        }
        if status == 304 {
            return Err(Failure::Unchanged(headers));
        }
        if status >= 400 {
            if media_type != PROBLEM {
                return Err(undocumented(format!("a problem that is {media_type}")));
            }
            let problem = serde_json::from_slice(&body).map_err(|error| undocumented(error.to_string()))?;
            return Err(Failure::Refused { status, headers, problem: Box::new(problem) });
        }
        if !media_types.is_empty() && !media_types.contains(&media_type.as_str()) {
            return Err(undocumented(format!("its form is {media_type}, not one of {media_types:?}")));
        }
        let value = read(&body).map_err(undocumented)?;
        self.succeeded.lock().unwrap_or_else(PoisonError::into_inner).insert(operation);
        Ok(Answer { status, headers, value })
    }

    async fn send(&self, request: Request) -> Result<(u16, HeaderMap, Bytes), reqwest::Error> {
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).unwrap_or_default();
        let is_query = method == reqwest::Method::GET;
        let mut call = self.http.request(method, format!("{}{}", self.address, request.path)).query(&request.query);
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        if let Some(token) = &self.access_token {
            call = call.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(token) = self.consistency_token.as_ref().filter(|_| is_query) {
            call = call.header("consistency-token", token.as_ref());
        }
        if let Some((media_type, body)) = request.body {
            call = call.header(CONTENT_TYPE, media_type).body(body);
        }
        let response = call.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok((status, headers, response.bytes().await?))
    }
}

/// Without its parameters.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_owned()
}
