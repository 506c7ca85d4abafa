//! What a service that keeps a record hears of the requests that were refused: who asked too much, or what they may not.
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use uuid::Uuid;

use crate::auth::Verifier;
use crate::rate_limit::{Allowance, Asker};
use crate::trace::TraceContext;

/// Told of each of them while its answer waits: it must not.
pub type Record = Arc<dyn Fn(Refused<'_>) + Send + Sync>;

/// One refused request.
#[derive(Debug)]
pub struct Refused<'a> {
    /// What its sender lacks.
    pub lack: Lack,
    /// Its method.
    pub method: &'a Method,
    /// What its sender calls itself.
    pub user_agent: Option<&'a HeaderValue>,
    /// Finds its log lines.
    pub trace: TraceContext,
}

/// For want of what a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// This caller's allowance is used up.
    Allowance(Asker),
    /// This athlete may not do it with the token they have.
    Scope(Uuid),
}

/// What is kept of a request until its answer is known.
pub(super) struct Asking {
    authorization: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
}

impl Asking {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self { authorization: headers.get(AUTHORIZATION).cloned(), user_agent: headers.get(USER_AGENT).cloned() }
    }

    /// The refusal in this answer, where it is one that is recorded.
    pub(super) fn refused<'a>(
        &'a self,
        status: StatusCode,
        allowance: Option<&Allowance>,
        verifier: Option<&Verifier>,
        method: &'a Method,
        trace: TraceContext,
    ) -> Option<Refused<'a>> {
        let lack = match allowance.filter(|allowance| allowance.is_refused()) {
            Some(refused) => Lack::Allowance(refused.asker()),
            None if status == StatusCode::FORBIDDEN => Lack::Scope(self.athlete(verifier?)?),
            None => return None,
        };
        Some(Refused { lack, method, user_agent: self.user_agent.as_ref(), trace })
    }

    /// The athlete of a token that was checked to answer this.
    fn athlete(&self, verifier: &Verifier) -> Option<Uuid> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, self.authorization.clone()?)]);
        verifier.remembered(&headers).map(|caller| caller.athlete_id)
    }
}
