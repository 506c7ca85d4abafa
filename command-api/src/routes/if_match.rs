//! `If-Match`: which version of a thing a change is meant for (RFC 9110, 13.1.1). A version's tag is `"v<n>"`, always strong.
use axum::http::{HeaderMap, HeaderValue, header::IF_MATCH};
use fittrack_domain::aggregate::Decider;
use fittrack_runtime::problem::Problem;

use crate::dispatch::{DispatchError, Dispatcher, Precondition, Receipt, Request};

/// More tags than this in one header are no honest question.
const MAX_TAGS: usize = 32;
/// What may be between two tags: places of a list may be empty (RFC 9110, 5.6.1).
const BETWEEN: [char; 3] = [',', ' ', '\t'];
/// A version no stream has.
const NO_VERSION: i64 = -1;

/// What the client believes the current version to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: any, as long as there is one.
    Any,
    /// One of these. Tags that are weak or not ours match nothing, so the list may be empty.
    OneOf(Vec<i64>),
}

impl IfMatch {
    /// Reads the header; several are one list.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let values: Vec<&str> = headers.get_all(IF_MATCH).iter().filter_map(|value| value.to_str().ok()).collect();
        if !headers.contains_key(IF_MATCH) {
            return Ok(None);
        }
        parse(&values.join(",")).map(Some).ok_or_else(|| {
            Problem::bad_request("`If-Match` must be `*` or entity tags in double quotes, such as \"v3\"")
        })
    }
}

/// The tag of a version.
pub fn etag(version: i64) -> HeaderValue {
    // Digits and quotes are always a valid value.
    HeaderValue::try_from(format!("\"v{version}\"")).unwrap_or(HeaderValue::from_static("\"v0\""))
}

fn parse(header: &str) -> Option<IfMatch> {
    let header = header.trim();
    if header == "*" {
        return Some(IfMatch::Any);
    }
    let (mut versions, mut tags, mut rest) = (Vec::new(), 0, header.trim_start_matches(BETWEEN));
    while !rest.is_empty() {
        let (is_weak, opened) = match rest.strip_prefix("W/") {
            Some(weak) => (true, weak),
            None => (false, rest),
        };
        let (tag, after) = opened.strip_prefix('"')?.split_once('"')?;
        if !is_weak && let Some(version) = version_of(tag) {
            versions.push(version);
        }
        tags += 1;
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start_matches(BETWEEN),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    (1..=MAX_TAGS).contains(&tags).then_some(IfMatch::OneOf(versions))
}

/// 0 is the version of what was never set and yet is shown, such as a list that is empty.
fn version_of(tag: &str) -> Option<i64> {
    let digits = tag.strip_prefix('v')?;
    let canonical = digits.bytes().all(|digit| digit.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if canonical { digits.parse().ok() } else { None }
}

/// Dispatches a command under what `If-Match` asks for: the version that is current must be one of those named.
pub async fn dispatch_if_match<A>(
    dispatcher: &Dispatcher,
    request: Request<A>,
    if_match: Option<&IfMatch>,
) -> Result<Receipt, DispatchError<A::Error>>
where
    A: Decider + 'static,
    A::Command: Clone + Send + Sync + 'static,
    A::Event: 'static,
    A::Error: Send + 'static,
{
    let dispatch = |precondition| dispatcher.dispatch(Request { precondition, ..request.clone() });
    let versions = match if_match {
        None => return dispatch(None).await,
        Some(IfMatch::Any) => return dispatch(Some(Precondition::AnyVersion)).await,
        Some(IfMatch::OneOf(versions)) => versions,
    };
    let first = versions.first().copied().unwrap_or(NO_VERSION);
    match dispatch(Some(Precondition::Version(first))).await {
        // The store says which version is current; it may be a later one of the list.
        Err(DispatchError::VersionMismatch { current }) if versions.contains(&current) => {
            dispatch(Some(Precondition::Version(current))).await
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::headers::TAGS;

    /// And as the document describes them: what its pattern takes is taken, and nothing else.
    #[test]
    fn tags_are_read_as_the_standard_writes_them() {
        let one_of = |versions: &[i64]| Some(IfMatch::OneOf(versions.to_vec()));
        let described = jsonschema::validator_for(&serde_json::json!({ "pattern": TAGS })).unwrap();
        let times = |times: usize| vec!["\"v3\""; times].join(",");
        for (header, expected) in [
            ("*", Some(IfMatch::Any)),
            ("\"v3\"", one_of(&[3])),
            ("\"v3\", \"v4\"", one_of(&[3, 4])),
            ("\"v3\",,\"v4\"", one_of(&[3, 4])),
            ("\"v3\"\t,\t, \"v4\" ,,", one_of(&[3, 4])),
            ("\"a\tb\",", one_of(&[])),
            (&times(32), one_of(&[3; 32])),
            (&times(33), None),
            (",\"v3\"", one_of(&[3])),
            (", ,\t\"v3\",", one_of(&[3])),
            (",", None),
            (", *", None),
            ("*,\"v3\"", None),
            ("\"v3\"W/\"v4\"", None),
            ("W/\"v3\"", one_of(&[])),
            ("W/\"v3\", \"v4\"", one_of(&[4])),
            ("\"abc, def\"", one_of(&[])),
            ("\"v0\"", one_of(&[0])),
            ("\"v03\"", one_of(&[])),
            ("\"v99999999999999999999\"", one_of(&[])),
            ("", None),
            ("v3", None),
            ("\"v3", None),
            ("\"v3\" \"v4\"", None),
        ] {
            assert_eq!(parse(header), expected, "{header}");
            assert_eq!(described.is_valid(&header.into()), expected.is_some(), "{header}");
        }
    }

    #[test]
    fn a_version_s_tag_reads_back() {
        assert_eq!(parse(etag(42).to_str().unwrap()), Some(IfMatch::OneOf(vec![42])));
    }
}
