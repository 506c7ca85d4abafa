//! Pages of other origins that may call these APIs from a browser (the Fetch standard's CORS): an exact list, by default empty.
//! Callers are known by a token they send, never by a cookie, so credentials are not allowed to anybody and no origin is `*`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, Uri};

/// Which of them a path has, it says itself.
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,POST,PUT,PATCH,DELETE");
/// What a page may send besides what it always may.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization,content-type,if-match,if-none-match,idempotency-key,consistency-token,traceparent",
);
/// What a page may read besides what it always may.
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "etag,location,link,consistency-token,freshness,idempotency-replayed,retry-after,ratelimit,ratelimit-policy,\
     www-authenticate,traceparent,deprecation,sunset",
);
/// Seconds for which a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const BY_ORIGIN: HeaderValue = HeaderValue::from_static("origin");

/// The origins, such as `https://app.example.org`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsOrigins(Arc<[HeaderValue]>);

/// Text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin such as https://app.example.org (scheme, host and port, nothing behind it; `*` is not taken)"
)]
pub struct NoOrigin(String);

/// What a request needs in its answer.
#[derive(Debug)]
pub(crate) struct Crossing {
    /// Its origin, where that is on the list.
    allowed: Option<HeaderValue>,
    /// Whether the browser asks before it sends the request itself.
    is_preflight: bool,
}

impl FromStr for CorsOrigins {
    type Err = NoOrigin;

    fn from_str(list: &str) -> Result<Self, NoOrigin> {
        let named = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        named.map(origin).collect::<Result<Vec<_>, _>>().map(|origins| Self(origins.into()))
    }
}

impl fmt::Display for CorsOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().filter_map(|origin| origin.to_str().ok()).collect();
        f.write_str(&names.join(","))
    }
}

impl CorsOrigins {
    /// What the request needs; nothing where no origin is on the list.
    pub(crate) fn crossing(&self, method: &Method, headers: &HeaderMap) -> Option<Crossing> {
        if self.0.is_empty() {
            return None;
        }
        let allowed = headers.get(ORIGIN).filter(|origin| self.0.contains(origin)).cloned();
        let is_preflight = *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Some(Crossing { allowed, is_preflight })
    }
}

impl Crossing {
    /// Completes an answer.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        // Also where the origin is not allowed: a shared cache must not give that answer to one that is.
        headers.append(VARY, BY_ORIGIN);
        let Some(origin) = self.allowed else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if !self.is_preflight {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
            return;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    }
}

/// Browsers send an origin in exactly this form, so it is compared as it is.
fn origin(name: &str) -> Result<HeaderValue, NoOrigin> {
    let refused = || NoOrigin(name.to_owned());
    let uri: Uri = name.parse().map_err(|_| refused())?;
    let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or_else(refused)?;
    let is_whole = matches!(scheme, "http" | "https")
        && !authority.as_str().contains(['@', '*'])
        && name == format!("{scheme}://{authority}")
        && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    let value = HeaderValue::try_from(name).ok().filter(|_| is_whole);
    value.ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        let list = " https://app.example.org, http://localhost:5173 ";
        let origins: CorsOrigins = list.parse().unwrap();
        assert_eq!(origins.to_string(), "https://app.example.org,http://localhost:5173");
        assert_eq!("".parse(), Ok(CorsOrigins::default()));
        for bad in [
            "*",
            "null",
            "app.example.org",
            "https://app.example.org/",
            "https://app.example.org/path",
            "https://*.example.org",
            "https://APP.example.org",
            "ftp://app.example.org",
            "https://ann@app.example.org",
        ] {
            assert!(bad.parse::<CorsOrigins>().unwrap_err().to_string().contains(&format!("`{bad}`")), "{bad}");
        }
    }
}
