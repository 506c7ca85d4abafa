//! Answers a `GET` from the cache before it is routed: a known token, a kept answer that is still good, nothing else to consider.
//! Whatever is not that goes to the router, which alone refuses, loads and waits; so this can only ever save time.
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::http::header::IF_NONE_MATCH;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use fittrack_runtime::edge::Edge;
use futures::future::Either;
use tower::Service;

use crate::app::App;
use crate::ask::{CONSISTENCY_TOKEN, TOKEN_PARAMETER, respond};
use crate::cache::Key;
use crate::transfers::LONG;

/// The router with ready answers in front of it.
#[derive(Clone)]
pub struct ReadyFirst {
    app: App,
    edge: Edge,
    router: Router,
}

impl ReadyFirst {
    /// Puts the app's ready answers in front of its router, behind the same edge.
    pub fn new(app: App, edge: Edge, router: Router) -> Self {
        Self { app, edge, router }
    }

    fn ready(&self, request: &Request) -> Option<Response> {
        let started = Instant::now();
        let (uri, headers) = (request.uri(), request.headers());
        let waits =
            headers.contains_key(CONSISTENCY_TOKEN) || uri.query().is_some_and(|query| query.contains(TOKEN_PARAMETER));
        if request.method() != Method::GET || waits {
            return None;
        }
        let mut none_match = headers.get_all(IF_NONE_MATCH).iter();
        let (none_match, None) = (none_match.next(), none_match.next()) else { return None };
        let caller = self.app.verifier.remembered_reader(headers)?.athlete_id;
        let target = uri.path_and_query()?.as_str();
        let kept_for = |caller| self.app.cache.ready(Key { caller, target });
        let kept = kept_for(Some(caller)).or_else(|| kept_for(None))?;
        let answer = &kept.loaded.answer;
        let coding = answer.coded.coding_for(headers);
        let is_slow = coding.is_some_and(|coding| !answer.coded.is_quick(coding, &answer.body));
        if is_slow || answer.body.len() > LONG {
            return None;
        }
        let answer = || respond(&self.app, kept.models, answer, coding, none_match, None);
        self.edge.ready(request, &kept.route, caller, started, answer)
    }
}

impl Service<Request> for ReadyFirst {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // as the router always is
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.ready(&request) {
            Some(response) => Either::Left(ready(Ok(response))),
            None => Either::Right(self.router.call(request)),
        }
    }
}
