//! How long a connection may take: a socket that notes when bytes move, so that slow headers, stalled readers and idle peers are closed.
//! hyper's own header timer also runs between requests and would close idle keep-alive connections as if they were attacks.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Why a connection is closed from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Impatience {
    NoFirstByte,
    SlowHeader,
    StalledWrite,
    Idle,
}

impl Impatience {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoFirstByte => "no_first_byte",
            Self::SlowHeader => "slow_header",
            Self::StalledWrite => "stalled_write",
            Self::Idle => "idle",
        }
    }
}

/// Limits in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) first_byte: Duration,
    pub(crate) header_read: Duration,
    pub(crate) write_stall: Duration,
    pub(crate) idle: Duration,
}

/// What is known of one connection; times are milliseconds since it was accepted, plus one, so that zero means "not".
#[derive(Debug)]
pub(crate) struct Patience {
    accepted: Instant,
    header_since: AtomicU64,
    write_since: AtomicU64,
    wrote_at: AtomicU64,
    active_at: AtomicU64,
    serving: AtomicU32,
    sending: AtomicU32,
    /// An answer, or the end of one, has been handed over and has not gone out whole.
    leaving: AtomicU32,
    used: AtomicU32,
}

impl Patience {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            accepted: Instant::now(),
            header_since: AtomicU64::new(0),
            write_since: AtomicU64::new(0),
            wrote_at: AtomicU64::new(0),
            active_at: AtomicU64::new(1),
            serving: AtomicU32::new(0),
            sending: AtomicU32::new(0),
            leaving: AtomicU32::new(0),
            used: AtomicU32::new(0),
        })
    }

    /// A request's head is complete: a handler has it now.
    pub(crate) fn request_begins(&self) {
        self.header_since.store(0, Ordering::Relaxed);
        self.serving.fetch_add(1, Ordering::Relaxed);
        self.used.store(1, Ordering::Relaxed);
    }

    /// The handler has answered; the body may still be on its way.
    pub(crate) fn request_ends(&self) {
        self.serving.fetch_sub(1, Ordering::Relaxed);
        self.leaving.store(1, Ordering::Relaxed);
        self.active_at.store(self.now(), Ordering::Relaxed);
    }

    /// The body of an answer, which is known to be on its way until it has been taken whole.
    pub(crate) fn sending(self: &Arc<Self>, body: Body) -> Body {
        // What has a length is there already, and taken at once.
        if body.size_hint().exact().is_some() {
            return body;
        }
        self.sending.fetch_add(1, Ordering::Relaxed);
        Body::new(Sent { body, patience: Arc::clone(self) })
    }

    /// Whether nothing has been asked on this connection yet.
    pub(crate) fn is_unused(&self) -> bool {
        self.used.load(Ordering::Relaxed) == 0 && self.header_since.load(Ordering::Relaxed) == 0
    }

    /// Whether no request waits for its answer or the rest of it: what is written now is none.
    pub(crate) fn owes_no_answer(&self) -> bool {
        [&self.serving, &self.sending, &self.leaving].iter().all(|owed| owed.load(Ordering::Relaxed) == 0)
    }

    /// Whether one of the limits has passed.
    pub(crate) fn exhausted(&self, limits: &Limits) -> Option<Impatience> {
        let now = self.now();
        let passed =
            |since: u64, limit: Duration| since != 0 && Duration::from_millis(now.saturating_sub(since)) > limit;
        let serving = self.serving.load(Ordering::Relaxed) > 0;
        if passed(self.write_since.load(Ordering::Relaxed), limits.write_stall) {
            return Some(Impatience::StalledWrite);
        }
        if serving {
            return None;
        }
        if self.is_unused() && passed(1, limits.first_byte) {
            return Some(Impatience::NoFirstByte);
        }
        if passed(self.awaits_head_since(), limits.header_read) {
            return Some(Impatience::SlowHeader);
        }
        passed(self.active_at.load(Ordering::Relaxed), limits.idle).then_some(Impatience::Idle)
    }

    /// A head that has begun before the answer before it was taken is not waited for until then.
    fn awaits_head_since(&self) -> u64 {
        let header_since = self.header_since.load(Ordering::Relaxed);
        let is_sending = self.sending.load(Ordering::Relaxed) > 0 || self.write_since.load(Ordering::Relaxed) != 0;
        if header_since == 0 || is_sending { 0 } else { header_since.max(self.wrote_at.load(Ordering::Relaxed)) }
    }

    fn bytes_read(&self) {
        let now = self.now();
        self.active_at.store(now, Ordering::Relaxed);
        if self.serving.load(Ordering::Relaxed) == 0 {
            // Only the first byte of a head starts its clock; dripping more does not restart it.
            let _ = self.header_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn wrote(&self, pending: bool) {
        if pending {
            let _ = self.write_since.compare_exchange(0, self.now(), Ordering::Relaxed, Ordering::Relaxed);
        } else {
            let now = self.now();
            self.write_since.store(0, Ordering::Relaxed);
            self.wrote_at.store(now, Ordering::Relaxed);
            self.active_at.store(now, Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }
}

/// The body of an answer on its way.
struct Sent {
    body: Body,
    patience: Arc<Patience>,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.patience.sending.fetch_sub(1, Ordering::Relaxed);
        self.patience.leaving.store(1, Ordering::Relaxed);
    }
}

/// A TCP stream that reports to its [`Patience`].
pub(crate) struct PatientStream {
    stream: TcpStream,
    patience: Arc<Patience>,
}

impl PatientStream {
    pub(crate) fn new(stream: TcpStream, patience: Arc<Patience>) -> Self {
        Self { stream, patience }
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.patience.bytes_read();
        }
        polled
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.patience.wrote(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.patience.wrote(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has written all that it holds.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.patience.leaving.store(0, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
