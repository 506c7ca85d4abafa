//! One query from its headers to its answer, the same for every route: wait for the consistency token, find or load the answer,
//! then 200 or 304 with the headers every answer has. A route only says what it reads and how.
use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use fittrack_runtime::coding::Coding;
use fittrack_runtime::problem::Problem;
use fittrack_runtime::{clock, json};
use fittrack_schemas::consistency::ConsistencyToken;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::cache::stamps::Stamp;
use crate::cache::{Answer, Kept, Key, Loaded};
use crate::coded::{Coded, tag_in};
use crate::conditional::none_match_names;
use crate::read_model::ReadModel;
use crate::transfers::{LONG, Transfer};

/// The header that names what the answer must contain.
pub const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
const FRESHNESS: HeaderName = HeaderName::from_static("freshness");
/// Kept by the client alone, asked about each time.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");
const BY_CALLER_AND_CODING: HeaderValue = HeaderValue::from_static("authorization, accept-encoding");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The same as a query parameter.
pub const TOKEN_PARAMETER: &str = "consistency_token=";

/// What a query asks, besides who.
#[derive(Debug)]
pub struct Ask {
    /// Whether nothing but the headers is sent.
    is_head: bool,
    uri: Uri,
    /// Path and query without the token, where the token was in the query.
    without_token: Option<String>,
    none_match: Option<HeaderValue>,
    /// The `Accept-Encoding` of the request and nothing else.
    accept_encoding: HeaderMap,
    token: Option<ConsistencyToken>,
    route: MatchedPath,
}

/// Whose answer it is, and who asks for it.
#[derive(Debug, Clone, Copy)]
pub enum Whose {
    /// It depends on who asks.
    Callers(Uuid),
    /// Everybody signed in gets the same.
    Everybodys(Uuid),
}

impl Ask {
    /// The answer to this query over these read models: a ready one, or what `load` reads.
    pub async fn answer<F>(
        &self,
        app: &App,
        whose: Whose,
        models: &'static [ReadModel],
        load: impl Fn() -> F,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Loaded, Problem>>,
    {
        self.answered(app, whose, models, false, load).await
    }

    /// The same where the answer is long more often than not: first waits for one of the caller's turns, so that no more is
    /// read than can be sent.
    pub async fn answer_in_turn<F>(
        &self,
        app: &App,
        whose: Whose,
        models: &'static [ReadModel],
        load: impl Fn() -> F,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Loaded, Problem>>,
    {
        self.answered(app, whose, models, true, load).await
    }

    async fn answered<F>(
        &self,
        app: &App,
        whose: Whose,
        models: &'static [ReadModel],
        in_turn: bool,
        load: impl Fn() -> F,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Loaded, Problem>>,
    {
        let (Whose::Callers(asking) | Whose::Everybodys(asking)) = whose;
        self.wait_for_token(app, asking, models).await?;
        let turn = if in_turn && !self.is_head { Some(app.transfers.turn(asking).await?) } else { None };
        let caller = match whose {
            Whose::Callers(caller) => Some(caller),
            Whose::Everybodys(_) => None,
        };
        let load = || async { Ok(Kept { loaded: load().await?, route: self.route.as_str().into(), models }) };
        let kept = app.cache.get_or_load(Key { caller, target: self.target() }, load).await?;
        let answer = &kept.loaded.answer;
        let coding = answer.coded.coding_for(&self.accept_encoding);
        let is_sent = !self.is_head && !self.holds(&tag_in(coding, &answer.etag));
        // Before anything else is waited for: what is in memory is counted.
        let transfer = if is_sent && answer.body.len() > LONG {
            let turn = turn.map_or_else(|| app.transfers.turn_now(asking), Ok)?;
            Some(app.transfers.begin(turn, answer.body.len())?)
        } else {
            None
        };
        let takes_long =
            |coding: &Coding| !answer.coded.is_quick(*coding, &answer.body) && !self.holds(&coding.tag(&answer.etag));
        if let Some(coding) = coding.filter(takes_long) {
            let (coded, body) = (answer.coded.clone(), answer.body.clone());
            tokio::task::spawn_blocking(move || coded.body(coding, &body)).await.map_err(Problem::internal)?;
        }
        Ok(respond(app, models, answer, coding, self.none_match.as_ref(), transfer))
    }

    /// Waits until these read models hold what this caller's token names, where the query has one.
    pub async fn wait_for_token(&self, app: &App, caller: Uuid, models: &[ReadModel]) -> Result<(), Problem> {
        match &self.token {
            None => Ok(()),
            Some(token) => app.waits.until(caller, token, models, &app.changes).await,
        }
    }

    /// Whether the client holds the version with this tag already.
    pub fn holds(&self, etag: &HeaderValue) -> bool {
        names(self.none_match.as_ref(), etag)
    }

    /// Whether nothing but the headers is sent.
    pub fn is_head(&self) -> bool {
        self.is_head
    }

    /// 200 with the plain answer, as a transfer where it is one, or 304 where the client holds it.
    pub fn respond(&self, app: &App, models: &[ReadModel], answer: &Answer, transfer: Option<Transfer>) -> Response {
        respond(app, models, answer, None, self.none_match.as_ref(), transfer)
    }

    /// The query's parameters; 400 that names an unknown, doubled or refused one.
    pub fn parameters<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        json::parse_query(self.query())
    }

    /// `Link` of a page: the same query from the cursor on as `next`, where the list goes on, and without one as `first`, where
    /// this is not the first page.
    pub fn links(&self, next: Option<&str>) -> Option<HeaderValue> {
        const CURSOR: &str = "cursor=";
        let query = || self.query().split('&').filter(|pair| !pair.is_empty());
        let kept: Vec<&str> = query().filter(|pair| !pair.starts_with(CURSOR)).collect();
        let link = |query: &[&str], rel: &str| {
            let mark = if query.is_empty() { "" } else { "?" };
            format!("<{}{mark}{}>; rel=\"{rel}\"", self.uri.path(), query.join("&"))
        };
        let next = next.map(|cursor| link(&[&kept[..], &[&format!("{CURSOR}{cursor}")]].concat(), "next"));
        let first = query().any(|pair| pair.starts_with(CURSOR)).then(|| link(&kept, "first"));
        let links: Vec<String> = next.into_iter().chain(first).collect();
        if links.is_empty() { None } else { HeaderValue::try_from(links.join(", ")).ok() }
    }

    fn target(&self) -> &str {
        let whole = || self.uri.path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
        self.without_token.as_deref().unwrap_or_else(whole)
    }

    fn query(&self) -> &str {
        self.target().split_once('?').map_or("", |(_, query)| query)
    }
}

/// Reads the headers; 400 where a consistency token is none of ours.
impl FromRequestParts<App> for Ask {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let mut token: Option<ConsistencyToken> = None;
        if let Some(header) = parts.headers.get(CONSISTENCY_TOKEN) {
            token = Some(token_in(header.to_str().unwrap_or_default().trim(), app).await?);
        }
        let (is_head, uri) = (parts.method == Method::HEAD, parts.uri.clone());
        let query = uri.query().unwrap_or_default();
        let mut without_token = None;
        if query.contains(TOKEN_PARAMETER) {
            let (given, kept): (Vec<&str>, Vec<&str>) =
                query.split('&').partition(|pair| pair.starts_with(TOKEN_PARAMETER));
            without_token = Some([uri.path(), "?", &kept.join("&")].concat());
            for text in given.iter().filter_map(|pair| pair.strip_prefix(TOKEN_PARAMETER)) {
                let more = token_in(text, app).await?;
                token =
                    Some(more.positions().fold(token.unwrap_or_default(), |all, (at, position)| all.and(at, position)));
            }
        }
        let mut names = parts.headers.get_all(IF_NONE_MATCH).iter();
        let none_match = match (names.next(), names.next()) {
            (first, None) => first.cloned(),
            // Several lines of a list header are one list.
            _ => joined(parts.headers.get_all(IF_NONE_MATCH).iter()),
        };
        let no_route = || Problem::internal("a query came by no route");
        let route = parts.extensions.get::<MatchedPath>().cloned().ok_or_else(no_route)?;
        let accepted = parts.headers.get_all(ACCEPT_ENCODING).iter();
        let accept_encoding = accepted.map(|line| (ACCEPT_ENCODING, line.clone())).collect();
        Ok(Self { is_head, uri, without_token, none_match, accept_encoding, token, route })
    }
}

async fn token_in(text: &str, app: &App) -> Result<ConsistencyToken, Problem> {
    let refused = "this consistency token is none that a command gave out, or what they are signed with has changed since: drop \
                   it and ask without one";
    ConsistencyToken::read(text, app.token_key().await?).map_err(|_| Problem::bad_request(refused))
}

/// 200 with the answer in this coding, or 304 where `If-None-Match` names that. What is long is sent as its transfer.
pub fn respond(
    app: &App,
    models: &[ReadModel],
    answer: &Answer,
    coding: Option<Coding>,
    none_match: Option<&HeaderValue>,
    transfer: Option<Transfer>,
) -> Response {
    let etag = tag_in(coding, &answer.etag);
    let unchanged = names(none_match, &etag);
    let body = match coding {
        _ if unchanged => Bytes::new(),
        None => answer.body.clone(),
        Some(coding) => answer.coded.body(coding, &answer.body),
    };
    let mut response = match transfer.filter(|_| body.len() > LONG) {
        None => Response::new(Body::from(body)),
        Some(transfer) => {
            let length = HeaderValue::from(body.len());
            let mut response = Response::new(transfer.body(body));
            response.headers_mut().insert(CONTENT_LENGTH, length);
            response
        }
    };
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.reserve(16);
    if !unchanged {
        headers.insert(CONTENT_TYPE, answer.content_type.clone());
        if let Some(coding) = coding {
            coding.tell(headers);
        }
    }
    headers.insert(ETAG, etag);
    headers.insert(CACHE_CONTROL, REVALIDATE);
    headers.insert(VARY, BY_CALLER_AND_CODING);
    if let Some(link) = &answer.link {
        headers.insert(LINK, link.clone());
    }
    if let Some(behind_ms) = app.changes.progress().behind_ms(models, clock::now()) {
        headers.insert(FRESHNESS, HeaderValue::from(behind_ms));
    }
    response
}

fn names(none_match: Option<&HeaderValue>, etag: &HeaderValue) -> bool {
    none_match.is_some_and(|names| none_match_names(names.as_bytes(), etag.as_bytes()))
}

fn joined<'a>(lines: impl Iterator<Item = &'a HeaderValue>) -> Option<HeaderValue> {
    let lines: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&lines.join(&b","[..])).ok()
}

/// A JSON answer; its tag is that of its bytes.
pub fn json_answer(stamp: Stamp, body: &impl Serialize) -> Result<Loaded, Problem> {
    Ok(Loaded { answer: json_body(body)?, stamp })
}

/// The same for what is not kept.
pub fn json_body(body: &impl Serialize) -> Result<Answer, Problem> {
    let body = Bytes::from(serde_json::to_vec(body).map_err(Problem::internal)?);
    let digest = Sha256::digest(&body);
    // Half of it, which nobody finds twice.
    let half = digest.iter().take(16).fold(0_u128, |half, byte| half << 8 | u128::from(*byte));
    let etag = quoted(format!("{half:032x}"))?;
    let coded = Coded::of(&body);
    Ok(Answer { body, content_type: JSON, etag, link: None, coded })
}

/// A JSON answer about one thing, whose tag is the version of its stream: what `If-Match` of a command expects.
pub fn versioned_answer(stamp: Stamp, version: i64, body: &impl Serialize) -> Result<Loaded, Problem> {
    let mut loaded = json_answer(stamp, body)?;
    loaded.answer.etag = quoted(format!("v{version}"))?;
    loaded.answer.coded = Coded::default();
    Ok(loaded)
}

/// An entity tag.
pub fn quoted<'a>(tag: impl Into<Cow<'a, str>>) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(format!("\"{}\"", tag.into())).map_err(Problem::internal)
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the list goes on: give it as `cursor`. Null on the last page.
    pub next: Option<String>,
}

impl<T: Serialize> Page<T> {
    /// A page of at most `limit` of these rows (one more was read to know whether the list goes on).
    pub fn of<R>(mut rows: Vec<R>, limit: usize, cursor: impl Fn(&R) -> String, item: impl FnMut(R) -> T) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(cursor);
        Self { items: rows.into_iter().map(item).collect(), next }
    }

    /// The page as an answer, with its `Link`.
    pub fn answer(&self, ask: &Ask, stamp: Stamp) -> Result<Loaded, Problem> {
        let mut loaded = json_answer(stamp, self)?;
        loaded.answer.link = ask.links(self.next.as_deref());
        Ok(loaded)
    }
}
