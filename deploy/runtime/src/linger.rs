//! A request that is answered before its body has arrived, because it is refused: the rest is read and thrown away before the
//! answer goes out, within bounds. A server that closes at once makes the client's system drop the answer unread
//! (RFC 9112, 9.6), and an app then reports "connection reset" where it was told what to change.
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use hyper::body::{Frame, SizeHint};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// At most so much of an unwanted body is read: more than the longest that any path accepts.
const MOST_BYTES: usize = 32 << 20;
/// Who sends nothing for so long waits for the answer.
const SILENCE: Duration = Duration::from_secs(2);

/// What a handler has left of a body, and whether it still reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rest {
    left: Arc<Mutex<Option<Body>>>,
    ended: CancellationToken,
}

impl Rest {
    /// Follows the request's body; whatever its handler does not read can be discarded afterwards.
    pub(crate) fn of(request: &mut Request) -> Self {
        let rest = Self::default();
        let asks_first = request.headers().contains_key(EXPECT);
        let body = Some(std::mem::take(request.body_mut()));
        *request.body_mut() = Body::new(Watched { body, rest: rest.clone(), may_come_unasked: !asks_first });
        rest
    }

    /// Whether nothing more of the body is to come: it came whole, broke off, or its handler wants no more of it.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Waits for that.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Reads what is left, within the bounds, and forgets it.
    pub(crate) async fn discard(self, longest: Duration) {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(body) = left {
            discard(body.into_data_stream(), longest).await;
        }
    }
}

/// Reads what comes, to its end or one of the bounds, of which `longest` is one, and forgets it.
pub(crate) async fn discard<E>(chunks: impl Stream<Item = Result<Bytes, E>>, longest: Duration) {
    let mut chunks = pin!(chunks);
    let reading = async {
        let mut bytes = 0;
        while let Ok(Some(Ok(chunk))) = timeout(SILENCE, chunks.next()).await {
            bytes += chunk.len();
            if bytes > MOST_BYTES {
                return;
            }
        }
    };
    // Too late or too long: then the connection is closed on it.
    let _ = timeout(longest, reading).await;
}

/// A body that tells when it has ended, and gives what is left of it back when it is dropped.
struct Watched {
    body: Option<Body>,
    rest: Rest,
    /// A client that waits for `100 Continue` sends nothing until its body is asked for.
    may_come_unasked: bool,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.may_come_unasked = true;
        let polled = match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        };
        let is_last = match &polled {
            Poll::Ready(Some(Ok(_))) => self.is_end_stream(),
            Poll::Ready(Some(Err(_)) | None) => true,
            Poll::Pending => false,
        };
        if is_last {
            self.rest.ended.cancel();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.rest.ended.cancel();
        if let Some(body) = self.body.take().filter(|body| self.may_come_unasked && !body.is_end_stream()) {
            *self.rest.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
