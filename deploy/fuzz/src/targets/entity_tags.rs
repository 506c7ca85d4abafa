//! `If-Match`: any header is refused or read into few versions, and the tag of a version is that version.

use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, HeaderValue};
use command_api::routes::if_match::{IfMatch, etag};

pub fn accepts(input: &[u8]) -> bool {
    let Ok(value) = HeaderValue::from_bytes(input) else { return false };
    let read = IfMatch::from_headers(&HeaderMap::from_iter([(IF_MATCH, value)]));
    if let Ok(Some(IfMatch::OneOf(versions))) = &read {
        assert!(versions.len() <= 32);
        for version in versions {
            let printed = IfMatch::from_headers(&HeaderMap::from_iter([(IF_MATCH, etag(*version))]));
            assert_eq!(printed.ok().flatten(), Some(IfMatch::OneOf(vec![*version])));
        }
    }
    read.is_ok()
}
