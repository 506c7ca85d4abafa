//! The one file of a form. The parser keeps in memory, and searches again at every piece, whatever it does not understand yet:
//! what stands before a file, its headers, what stands after it. So those have a bound of their own, and the file has its
//! reader's.
use std::{
    error::Error,
    iter,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, BodyDataStream},
    extract::{
        DefaultBodyLimit, FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
};
use bytes::Bytes;
use fittrack_runtime::problem::Problem;
use futures::Stream;

/// How long what stands on either side of the file may be, in bytes: as long as the head of a request.
const MAX_AROUND: u64 = 16 * 1024;

/// A form with one file in it.
#[derive(Debug)]
pub struct Form {
    parts: Multipart,
    /// How many bytes the parser may still ask for.
    left: Arc<AtomicU64>,
}

impl Form {
    /// The form a request is.
    pub async fn of(request: Request) -> Result<Self, Problem> {
        let left = Arc::new(AtomicU64::new(MAX_AROUND));
        let metered =
            |body: Body| Metered { body: body.into_data_stream(), left: Arc::clone(&left), is_looked_at: true };
        let mut request = request.map(|body| Body::from_stream(metered(body)));
        DefaultBodyLimit::disable().apply(&mut request);
        let parts = Multipart::from_request(request, &()).await;
        let parts = parts.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        Ok(Self { parts, left })
    }

    /// Its first part, as long as it may be.
    pub async fn file(&mut self) -> Result<Field<'_>, Problem> {
        let part = self.parts.next_field().await.map_err(of_form)?;
        self.left.store(u64::MAX, Ordering::Relaxed);
        part.ok_or_else(|| Problem::bad_request("the form has no part; send the file as its only one"))
    }

    /// Its end, after the file was read.
    pub async fn end(&mut self) -> Result<(), Problem> {
        self.left.store(MAX_AROUND, Ordering::Relaxed);
        match self.parts.next_field().await.map_err(of_form)? {
            None => Ok(()),
            Some(_) => Err(Problem::bad_request("the form has more than one part; send one file at a time")),
        }
    }
}

/// What the client is told of a form that cannot be read.
#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
pub fn of_form(error: MultipartError) -> Problem {
    let mut causes = iter::successors(Some(&error as &dyn Error), |&error| error.source());
    if causes.any(<dyn Error>::is::<TooMuchAround>) {
        return Problem::payload_too_large(TooMuchAround.to_string());
    }
    Problem::bad_request("the form cannot be read; it broke off or is not multipart/form-data")
}

#[derive(Debug, thiserror::Error)]
#[error("what stands around the file in the form is longer than 16 KiB")]
struct TooMuchAround;

/// A body that gives so many bytes, and a piece at a time.
struct Metered {
    body: BodyDataStream,
    left: Arc<AtomicU64>,
    /// Whether the parser has had the time to look at the last piece.
    is_looked_at: bool,
}

impl Stream for Metered {
    type Item = Result<Bytes, axum::BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The parser asks on and on before it looks at anything.
        if !std::mem::replace(&mut self.is_looked_at, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Some(Err(TooMuchAround.into())));
        }
        let piece = ready!(Pin::new(&mut self.body).poll_next(context));
        if let Some(Ok(piece)) = &piece {
            self.left.store(left.saturating_sub(piece.len() as u64), Ordering::Relaxed);
            self.is_looked_at = false;
        }
        Poll::Ready(piece.map(|piece| piece.map_err(Into::into)))
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};

    use super::*;

    const PIECE: usize = 1024;

    /// A form of these pieces, and how many of them were taken.
    async fn form(pieces: impl Stream<Item = Vec<u8>> + Send + 'static) -> (Form, Arc<AtomicU64>) {
        let taken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&taken);
        let pieces = pieces.map(move |piece| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(piece)
        });
        let request = Request::post("/").header("content-type", "multipart/form-data; boundary=b");
        (Form::of(request.body(Body::from_stream(pieces)).unwrap()).await.unwrap(), taken)
    }

    fn beginning_with(first: &'static str, rest: &'static str) -> impl Stream<Item = Vec<u8>> + Send + 'static {
        let endless = stream::repeat_with(|| rest.bytes().cycle().take(PIECE).collect());
        stream::iter([first.as_bytes().to_vec()]).chain(endless)
    }

    #[tokio::test]
    async fn what_never_becomes_a_part_is_refused_and_not_kept() {
        for (first, rest) in [("", "never a boundary "), ("--b\r\nx: ", "y"), ("--b\r\n", "x: y\r\n"), ("--b", " ")] {
            let (mut form, taken) = form(beginning_with(first, rest)).await;
            let refusal = form.file().await.map(|_| ()).unwrap_err();
            let pieces = taken.load(Ordering::Relaxed);
            assert_eq!(refusal.status(), 413, "{first:?} {rest:?}: {refusal:?}");
            assert!(pieces <= MAX_AROUND / PIECE as u64 + 1, "{first:?} {rest:?}: {pieces} pieces");
        }
    }

    #[tokio::test]
    async fn a_file_may_be_long_and_what_follows_it_may_not() {
        let file = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
        let long = || stream::iter([file.as_bytes().to_vec()]).chain(stream::iter(vec![vec![7; PIECE]; 1000]));
        for (after, status) in [("\r\n--b--\r\n", None), ("\r\n--b\r\nx: ", Some(413)), ("\r\n--b", Some(413))] {
            let pieces = long().chain(beginning_with(after, " "));
            let (mut form, taken) = form(pieces).await;
            let mut part = form.file().await.unwrap();
            let mut length = 0;
            while let Some(piece) = part.chunk().await.unwrap() {
                length += piece.len();
            }
            assert_eq!(length, 1000 * PIECE);
            drop(part);
            let end = form.end().await;
            assert_eq!(end.err().map(|problem| problem.status().as_u16()), status, "{after:?}");
            let pieces = taken.load(Ordering::Relaxed);
            assert!(pieces <= 1000 + 3 + MAX_AROUND / PIECE as u64, "{after:?}: {pieces} pieces");
        }
    }

    #[tokio::test]
    async fn a_file_that_came_whole_with_what_is_around_it_is_read() {
        let whole = [
            b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n".as_slice(),
            &vec![7; 1 << 20],
            b"\r\n--b--\r\n",
        ]
        .concat();
        let (mut form, _) = form(stream::iter([whole])).await;
        assert_eq!(form.file().await.unwrap().bytes().await.unwrap().len(), 1 << 20);
        assert!(form.end().await.is_ok());
    }
}
