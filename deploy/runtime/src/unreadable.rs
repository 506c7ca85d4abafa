//! What never becomes a request: bytes that are no HTTP/1.1, a head that is too long. hyper refuses it by itself, without a body and our
//! headers, and lets nobody have a say in that. So its refusal is kept from the socket, and a problem document goes out in its place.
//! No application's answer can be mistaken for it: hyper refuses only when every answer has gone out whole and none is owed.
//!
//! Who begins with HTTP/2 would understand neither, and hyper ends such a connection without a word.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::to_bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use metrics::counter;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use crate::patience::{Patience, PatientStream};
use crate::problem::Problem;
use crate::trace::{self, TraceContext};
use crate::{clock, edge, linger};

/// For so long, altogether, is listened to who goes on sending.
const LONGEST: Duration = Duration::from_secs(10);

/// A client's connection as hyper sees it: what hyper says of its own goes nowhere.
pub(crate) struct CensoredStream {
    stream: PatientStream,
    patience: Arc<Patience>,
    refusal: Option<StatusCode>,
}

impl CensoredStream {
    pub(crate) fn new(stream: PatientStream, patience: Arc<Patience>) -> Self {
        Self { stream, patience, refusal: None }
    }

    /// When hyper has ended: tells the client why it was refused, where it was.
    pub(crate) async fn explain(mut self, hsts: bool) {
        let Some(status) = self.refusal else { return };
        counter!("fittrack_http_connections_closed_total", "reason" => "unreadable").increment(1);
        let answer = answer(status, hsts).await;
        let said = async {
            self.stream.write_all(&answer).await?;
            self.stream.shutdown().await
        };
        if matches!(timeout(LONGEST, said).await, Ok(Ok(()))) {
            linger::discard(ReaderStream::new(self.stream), LONGEST).await;
        }
    }

    /// Whether hyper says this of its own, which it does only to refuse.
    fn censors(&mut self, written: &[u8]) -> bool {
        if !self.patience.owes_no_answer() {
            return false;
        }
        self.refusal = status_of(written);
        self.refusal.is_some()
    }
}

fn status_of(head: &[u8]) -> Option<StatusCode> {
    let after_version = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "))?;
    StatusCode::from_bytes(after_version.get(..3)?).ok()
}

/// All of an answer to what could not be read.
async fn answer(status: StatusCode, hsts: bool) -> Vec<u8> {
    let detail = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the request's head is too long, or has too many fields",
        StatusCode::URI_TOO_LONG => "path and query are too long",
        _ => "this is no well-formed HTTP/1.1 request",
    };
    let trace = TraceContext::generate();
    let response = trace::scope(trace, "", async {
        tracing::debug!(status = status.as_u16(), "unreadable");
        Problem::new(edge::kind_of(status), detail).into_response()
    });
    let (mut parts, body) = response.await.into_parts();
    // It is in memory and cannot fail.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    edge::complete(&mut parts.headers, trace, hsts);
    let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in &parts.headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let (length, date) = (body.len(), clock::http_date(clock::now()));
    bytes.extend(format!("content-length: {length}\r\ndate: {date}\r\nconnection: close\r\n\r\n").into_bytes());
    bytes.extend(body);
    bytes
}

impl AsyncRead for CensoredStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for CensoredStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.censors(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = bufs
            && self.censors(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.refusal.is_some() {
            // The last word has not been said.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
