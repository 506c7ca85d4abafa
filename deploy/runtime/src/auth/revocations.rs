//! Sessions that have ended while access tokens of theirs are still good by themselves: a verifier refuses those tokens.
//! The issuer puts ids in as it ends sessions; every other process asks the issuer's `/.well-known/revoked-sessions` each second.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::jwks::JwksError;

/// Between two looks at the issuer's list.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the issuer may take; with the pause it stays far below the five seconds in which an ended session must be refused.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// An id is kept this long after it was last named: replicas of the issuer differ by a second in what they know.
const KEPT: Duration = Duration::from_secs(60);
/// A third of a million ids.
const MAX_LIST_BYTES: usize = 16 * 1024 * 1024;

type Ended = HashMap<Uuid, Instant>;

/// The ended sessions this process knows of; clones share them. As many as ended within the life of one access token.
#[derive(Debug, Clone)]
pub struct Revocations {
    /// None until they are known for the first time.
    ended: Arc<RwLock<Option<Arc<Ended>>>>,
}

/// The list as the issuer gives it out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedSessions {
    /// Ids of sessions that have ended and whose last access token may not have expired.
    pub sessions: Vec<Uuid>,
}

impl Revocations {
    /// Nothing is known yet: no token of a session can be judged.
    pub fn unknown() -> Self {
        Self { ended: Arc::default() }
    }

    /// It is known that none has ended.
    pub fn none() -> Self {
        Self { ended: Arc::new(RwLock::new(Some(Arc::default()))) }
    }

    /// Whether they are known at all.
    pub fn is_known(&self) -> bool {
        self.snapshot().is_some()
    }

    /// Whether a session has ended; `None` while that is not known.
    pub fn has_ended(&self, session_id: Uuid) -> Option<bool> {
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        ended.as_ref().map(|ended| ended.contains_key(&session_id))
    }

    /// All of them, in order.
    pub fn list(&self) -> RevokedSessions {
        let mut sessions: Vec<Uuid> = self.snapshot().map(|ended| ended.keys().copied().collect()).unwrap_or_default();
        sessions.sort_unstable();
        RevokedSessions { sessions }
    }

    /// Takes in the whole list as it is known somewhere; an id it no longer names is kept for another minute.
    pub fn learn(&self, sessions: impl IntoIterator<Item = Uuid>) {
        let now = Instant::now();
        let named: Vec<Uuid> = sessions.into_iter().collect();
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        let mut next: Ended = ended.as_deref().cloned().unwrap_or_default();
        next.retain(|_, named_at| now.saturating_duration_since(*named_at) < KEPT);
        next.extend(named.into_iter().map(|id| (id, now)));
        *ended = Some(Arc::new(next));
    }

    /// Adds sessions that have ended this moment, whatever else is known.
    pub fn add(&self, sessions: impl IntoIterator<Item = Uuid>) {
        let now = Instant::now();
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(ended) = ended.as_mut() {
            Arc::make_mut(ended).extend(sessions.into_iter().map(|id| (id, now)));
        }
    }

    fn snapshot(&self) -> Option<Arc<Ended>> {
        self.ended.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The issuer's list, asked for again and again.
pub(crate) struct Issuer {
    url: reqwest::Url,
    client: reqwest::Client,
}

impl Issuer {
    /// The list beside the key set at this URL.
    pub(crate) fn beside(jwks_url: &str) -> Result<Self, JwksError> {
        let url = reqwest::Url::parse(jwks_url).and_then(|url| url.join("revoked-sessions"));
        let client = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { url: url.map_err(|_| JwksError::NotAUrl)?, client })
    }

    /// Asks each second until cancelled; `learnt` is called whenever the list was had. A failure leaves what is known in use.
    pub(crate) async fn follow(&self, revocations: &Revocations, token: &CancellationToken, learnt: impl Fn()) {
        let mut etag = None;
        let mut is_failing = false;
        loop {
            match token.run_until_cancelled(self.fetch(&mut etag)).await {
                None => return,
                Some(Ok(list)) => {
                    if let Some(list) = list {
                        revocations.learn(list.sessions);
                    }
                    learnt();
                    is_failing = false;
                }
                Some(Err(error)) => {
                    if !is_failing {
                        tracing::warn!(%error, "the issuer's ended sessions cannot be fetched; keeping those last known");
                    }
                    is_failing = true;
                }
            }
            if token.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return;
            }
        }
    }

    /// The list; none where it is the one with this tag.
    async fn fetch(&self, etag: &mut Option<HeaderValue>) -> Result<Option<RevokedSessions>, JwksError> {
        let mut request = self.client.get(self.url.clone());
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag.clone());
        }
        let mut response = request.send().await?.error_for_status()?;
        if response.status() == StatusCode::NOT_MODIFIED && etag.is_some() {
            return Ok(None);
        }
        let new_etag = response.headers().get(ETAG).cloned();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_LIST_BYTES {
                return Err(JwksError::TooLong);
            }
        }
        let list = serde_json::from_slice(&body)?;
        *etag = new_etag;
        Ok(Some(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_of_a_session_until_something_is_known() {
        let revocations = Revocations::unknown();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        revocations.add([one]);
        assert_eq!((revocations.is_known(), revocations.has_ended(one)), (false, None));
        revocations.learn([one]);
        assert_eq!((revocations.has_ended(one), revocations.has_ended(other)), (Some(true), Some(false)));
    }

    #[test]
    fn a_list_that_lags_takes_nothing_away() {
        let revocations = Revocations::none();
        let (here, there) = (Uuid::from_u128(1), Uuid::from_u128(2));
        revocations.add([here]);
        revocations.learn([there]);
        revocations.learn([]);
        assert_eq!(revocations.list().sessions, [here, there]);
    }
}
