//! Where a request came from, for the audit log and for throttling: an extractor that never refuses.
use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{header::USER_AGENT, request::Parts},
};
use fittrack_runtime::client_address::ClientAddress;

use crate::identity::audit::{MAX_USER_AGENT, Origin, printable};

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let user_agent = parts.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        Ok(Self {
            address: parts.extensions.get::<ClientAddress>().map(|address| address.ip()),
            user_agent: user_agent.map(|text| printable(&text, MAX_USER_AGENT)),
        })
    }
}
