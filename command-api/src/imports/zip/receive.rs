//! Receives a zip piece by piece as it arrives, and looks into it before it is accepted.
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fittrack_domain::{ids::AthleteId, values::Visibility};
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    archive::{Archive, Unread, ZipRefusal},
    jobs::{self, Begun, Received},
    work::InDatabase,
};
use crate::jobs::{
    JobError, MAX_ZIP_BYTES, Thread,
    pieces::{PIECE_BYTES, PieceReader},
};

/// How long a piece of 1 MiB may take to arrive, and how long the whole zip: who sends a byte now and then keeps others out.
const PIECE: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(3600);

/// Why a zip was not accepted; `E` is what its arriving fails with.
#[derive(Debug)]
pub enum NotReceived<E> {
    /// It broke off.
    Arriving(E),
    /// It did not come in time.
    Late,
    /// It is longer than is taken in.
    TooLong,
    /// It is refused.
    Refused(ZipRefusal),
    /// The athlete has another import under way.
    OneAtATime,
    /// Too many of all athletes wait.
    TooMany,
    /// Another zip of the same athlete has taken its place.
    Replaced,
    /// The same key named another request.
    KeyReused,
    /// Our fault.
    Failed(JobError),
}

impl<E> From<sqlx::Error> for NotReceived<E> {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// A zip that is arriving.
pub struct Arriving {
    /// Whose.
    pub athlete_id: AthleteId,
    /// The id its import will have: follows from the client's key, where it gave one.
    pub import_id: Uuid,
    /// Where it was sent to, with its query.
    pub target: String,
    /// Who may see the workouts.
    pub visibility: Option<Visibility>,
    /// The shoes or the bike.
    pub gear_id: Option<Uuid>,
}

/// An import that will be done, or was asked for before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub import_id: Uuid,
    /// The same request had been accepted before.
    pub is_replayed: bool,
}

/// Receives a zip whole and queues it.
pub async fn receive<E>(
    recordings: &PgPool,
    arriving: &Arriving,
    mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Accepted, NotReceived<E>> {
    let received = tokio::time::timeout(WHOLE, whole(recordings, arriving, &mut body)).await;
    let received = received.unwrap_or(Err(NotReceived::Late));
    if received.is_err() {
        // Should this fail too, the next zip of this athlete takes its place, or the sweeper does.
        let _ = jobs::forget(recordings, arriving.import_id).await;
    }
    received
}

async fn whole<E>(
    recordings: &PgPool,
    arriving: &Arriving,
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
) -> Result<Accepted, NotReceived<E>> {
    let import_id = arriving.import_id;
    let known = jobs::find(recordings, arriving.athlete_id, import_id).await?;
    if let Some(known) = known.filter(|known| known.state != "receiving") {
        let (sha256, _) = pieces(body, None).await?;
        return if known.fingerprint == Some(fingerprint(arriving, sha256)) {
            Ok(Accepted { import_id, is_replayed: true })
        } else {
            Err(NotReceived::KeyReused)
        };
    }
    match jobs::begin(recordings, arriving.athlete_id, import_id).await? {
        Begun::Receiving => {}
        Begun::OneAtATime => return Err(NotReceived::OneAtATime),
        Begun::TooMany => return Err(NotReceived::TooMany),
    }
    let (sha256, size_bytes) = pieces(body, Some((recordings, import_id))).await?;
    look_inside(recordings, import_id, size_bytes).await?;
    let received = Received {
        fingerprint: fingerprint(arriving, sha256),
        size_bytes,
        visibility: arriving.visibility,
        gear_id: arriving.gear_id,
    };
    if jobs::queue(recordings, import_id, &received).await? {
        Ok(Accepted { import_id, is_replayed: false })
    } else {
        Err(NotReceived::Replaced)
    }
}

/// The body's hash and length; its pieces are stored where a place is named.
async fn pieces<E>(
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    place: Option<(&PgPool, Uuid)>,
) -> Result<([u8; 32], u64), NotReceived<E>> {
    let (mut hash, mut length, mut number) = (Sha256::new(), 0_u64, 0);
    let mut piece = BytesMut::with_capacity(PIECE_BYTES);
    let mut due = Instant::now() + PIECE;
    loop {
        let next = tokio::time::timeout_at(due, body.next()).await.map_err(|_| NotReceived::Late)?;
        let Some(part) = next else { break };
        let mut part = part.map_err(NotReceived::Arriving)?;
        length += part.len() as u64;
        if length > MAX_ZIP_BYTES {
            return Err(NotReceived::TooLong);
        }
        hash.update(&part);
        while !part.is_empty() {
            let taken = part.split_to(part.len().min(PIECE_BYTES - piece.len()));
            piece.extend_from_slice(&taken);
            if piece.len() == PIECE_BYTES {
                store(place, number, &piece).await?;
                number += 1;
                piece.clear();
                due = Instant::now() + PIECE;
            }
        }
    }
    if !piece.is_empty() {
        store(place, number, &piece).await?;
    }
    Ok((hash.finalize().into(), length))
}

async fn store<E>(place: Option<(&PgPool, Uuid)>, number: i32, piece: &[u8]) -> Result<(), NotReceived<E>> {
    let Some((recordings, import_id)) = place else { return Ok(()) };
    if jobs::put(recordings, import_id, number, piece).await? { Ok(()) } else { Err(NotReceived::Replaced) }
}

/// Refuses what is no zip, or breaks a limit, while its sender is still there.
async fn look_inside<E>(recordings: &PgPool, import_id: Uuid, size_bytes: u64) -> Result<(), NotReceived<E>> {
    let thread = Thread::new(CancellationToken::new());
    let source = InDatabase { thread, recordings: recordings.clone(), import_id };
    let opened = tokio::task::spawn_blocking(move || {
        Archive::open(PieceReader::new(source, size_bytes), size_bytes).map(|_| ())
    });
    match opened.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Unread::Refused(refusal))) => Err(NotReceived::Refused(refusal)),
        Ok(Err(Unread::Failed(JobError::Lost))) => Err(NotReceived::Replaced),
        Ok(Err(Unread::Failed(error))) => Err(NotReceived::Failed(error)),
        Err(error) => Err(NotReceived::Failed(JobError::Unfinished(error.to_string()))),
    }
}

fn fingerprint(arriving: &Arriving, sha256: [u8; 32]) -> String {
    format!("{} {}", hex::encode(sha256), arriving.target)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;

    use super::*;

    /// Parts of this length, one each ten seconds, for ever.
    fn dribbling(bytes: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin {
        Box::pin(stream::unfold((), move |()| async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            Some((Ok(Bytes::from(vec![7; bytes])), ()))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn who_dribbles_is_late_after_a_minute_and_who_is_only_slow_is_not() {
        let started = Instant::now();
        assert!(matches!(pieces(&mut dribbling(1), None).await, Err(NotReceived::Late)));
        assert_eq!(started.elapsed().as_secs(), 60);
        let mut slow = dribbling(PIECE_BYTES / 5).take(100);
        let (_, length) = pieces(&mut slow, None).await.unwrap();
        assert_eq!(length, 100 * (PIECE_BYTES as u64 / 5));
    }
}
