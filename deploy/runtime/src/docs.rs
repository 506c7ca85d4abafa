//! Interactive documentation of a service: `GET /docs` is a page that shows its `OpenAPI` document and makes requests of it.
//! Swagger UI is compiled in, and the page asks nobody but this service: its policy allows no other origin and nothing inline.

use std::sync::OnceLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::coding::{Coding, SHORTEST};
use crate::json::Path;
use crate::problem::{Problem, ProblemDocument};

/// What the page may do: run the script and style of this service, and ask this service. Its icons are data in its style.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");
/// Relative, so that it works behind a prefix too.
const PAGE: &str = include_str!("docs/page.html");

/// A file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum DocsFile {
    /// Swagger UI.
    #[serde(rename = "swagger-ui-bundle.js")]
    Script,
    /// Its style.
    #[serde(rename = "swagger-ui.css")]
    Style,
    /// What starts it on this service's document.
    #[serde(rename = "start.js")]
    Start,
}

impl DocsFile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Script, Self::Style, Self::Start];

    /// Its name in the path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Script => "swagger-ui-bundle.js",
            Self::Style => "swagger-ui.css",
            Self::Start => "start.js",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Script | Self::Start => "text/javascript; charset=utf-8",
            Self::Style => "text/css; charset=utf-8",
        }
    }

    fn content(self) -> &'static [u8] {
        match self {
            Self::Script => include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js")),
            Self::Style => include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css")),
            Self::Start => include_bytes!("docs/start.js"),
        }
    }

    /// The content as it is sent: made once in each coding somebody likes, and kept.
    fn coded(self, coding: Option<Coding>) -> Bytes {
        static CODED: [[OnceLock<Bytes>; Coding::ALL.len()]; DocsFile::ALL.len()] =
            [const { [const { OnceLock::new() }; Coding::ALL.len()] }; DocsFile::ALL.len()];
        let plain = Bytes::from_static(self.content());
        let Some(coding) = coding else { return plain };
        let place = CODED.get(self as usize).and_then(|codings| codings.get(coding as usize));
        let encode = || coding.encode(&plain).unwrap_or_else(|_| plain.clone());
        place.map_or_else(|| plain.clone(), |place| place.get_or_init(encode).clone())
    }
}

/// Interactive documentation
///
/// A page for people: every operation of this service, with a form to try it.
#[utoipa::path(
    get, path = "/docs", operation_id = "show_docs", tag = "documentation", security(()),
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
#[expect(clippy::unused_async, reason = "handlers are async")]
pub async fn show_docs() -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, KEPT),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, PAGE).into_response()
}

/// A file of the interactive documentation
#[utoipa::path(
    get, path = "/docs/{file}", operation_id = "show_docs_file", tag = "documentation", security(()),
    params(("file" = inline(DocsFile), Path, description = "Which", example = "start.js")),
    responses(
        (status = 200, description = "The file", content((String = "text/javascript"), (String = "text/css"))),
        (status = 404, description = "There is no such file", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub async fn show_docs_file(Path(name): Path<String>, asked: HeaderMap) -> Result<Response, Problem> {
    let file = DocsFile::ALL.into_iter().find(|file| file.name() == name);
    let file = file.ok_or_else(|| Problem::not_found("the documentation has no such file"))?;
    let coding = Coding::liked(&asked).filter(|_| file.content().len() >= SHORTEST);
    // The first request in a coding waits for a megabyte to be coded.
    let body = tokio::task::spawn_blocking(move || file.coded(coding)).await.map_err(Problem::internal)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(file.content_type())),
        (CACHE_CONTROL, KEPT),
        (VARY, HeaderValue::from_static("accept-encoding")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    let mut response = (headers, body).into_response();
    if let Some(coding) = coding {
        coding.tell(response.headers_mut());
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

    use super::*;

    /// What stands between quotes behind `name=`.
    fn values<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
        let attribute = format!("{name}=\"");
        let after = text.split(&attribute).skip(1);
        after.filter_map(|rest| rest.split('"').next()).collect()
    }

    #[tokio::test]
    async fn the_page_names_files_of_this_service_and_no_others() {
        let mut named = [values(PAGE, "src"), values(PAGE, "href")].concat();
        named.retain(|url| !url.starts_with("data:"));
        assert_eq!(named.len(), DocsFile::ALL.len());
        for url in named {
            let name = url.strip_prefix("docs/").unwrap_or_else(|| panic!("{url} is elsewhere"));
            let answer = show_docs_file(Path(name.to_owned()), HeaderMap::new()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{url}");
        }
    }

    #[test]
    fn nothing_is_inline_and_the_policy_allows_nothing_else() {
        assert_eq!(PAGE.matches("<script").count(), PAGE.matches("<script src=").count());
        for inline in ["<style", "style=", "onload", "onclick", "javascript:", "http"] {
            assert!(!PAGE.contains(inline), "{inline}");
        }
        for allowed in ["unsafe", "http", "*"] {
            assert!(!POLICY.contains(allowed), "{allowed}");
        }
        assert!(POLICY.starts_with("default-src 'none';"));
    }

    #[test]
    fn the_style_loads_nothing_and_the_checker_of_others_is_off() {
        let style = std::str::from_utf8(DocsFile::Style.content()).unwrap();
        for loaded in style.split("url(").skip(1) {
            assert!(loaded.trim_start_matches(['"', '\'']).starts_with("data:"), "{}", &loaded[..40]);
        }
        assert!(!style.contains("@import"));
        let start = std::str::from_utf8(DocsFile::Start.content()).unwrap();
        assert!(start.contains("validatorUrl: null"), "it would send the document to a checker elsewhere");
        assert!(start.contains("url: \"openapi.json\"") && !start.contains("http"));
    }

    #[tokio::test]
    async fn a_file_comes_in_the_coding_the_client_likes() {
        let asked = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
        let script = || Path("swagger-ui-bundle.js".to_owned());
        let coded = show_docs_file(script(), asked).await.unwrap();
        assert_eq!(coded.headers()[CONTENT_ENCODING], "gzip");
        let plain = show_docs_file(script(), HeaderMap::new()).await.unwrap();
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        let length = async |answer: Response| axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap().len();
        let (coded, plain) = (length(coded).await, length(plain).await);
        assert!(coded * 2 < plain && plain > 1_000_000, "{coded} of {plain}");
    }

    #[tokio::test]
    async fn there_is_no_other_file() {
        for name in ["", "page.html", "../docs.rs", "swagger-ui.js"] {
            assert!(show_docs_file(Path(name.to_owned()), HeaderMap::new()).await.is_err(), "{name}");
        }
    }
}
