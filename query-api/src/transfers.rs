//! Long answers on their way to their readers: so many bytes in this process and so many at once of one athlete, each in pieces,
//! and none slower than a minimum rate. However slowly somebody reads, what the connection holds is a piece or two.
//!
//! Short answers, which nearly all are, go past this: what a connection may hold of them is bounded by their length.
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use fittrack_runtime::problem::Problem;
use fittrack_runtime::shares::{Share, Shares};
use futures::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

/// Longer answers are transfers.
pub const LONG: usize = 256 * 1024;
/// Memory for all of them; a file has up to 25 MiB.
const MEMORY_KIB: u32 = 512 * 1024;
/// Of one athlete: apps fetch some files or recordings at once.
const AT_ONCE: usize = 4;
/// How long one more of theirs waits for a place.
const PATIENCE: Duration = Duration::from_secs(3);
const TRY_AGAIN: Duration = Duration::from_secs(1);
const PIECE: usize = 64 * 1024;
/// How far a reader may be behind the minimum rate: a tunnel, a change of networks.
const HEAD_START: Duration = Duration::from_secs(30);
/// The minimum rate, a minute a MiB as for uploads.
const A_PIECE: Duration = Duration::from_millis(3_750);

/// The long answers under way.
#[derive(Debug)]
pub struct Transfers {
    turns: Shares,
    memory: Arc<Semaphore>,
}

/// A long answer with its place among its athlete's and its memory.
#[derive(Debug)]
pub struct Transfer {
    turn: Share,
    memory: OwnedSemaphorePermit,
}

impl Default for Transfers {
    fn default() -> Self {
        Self { turns: Shares::new(AT_ONCE), memory: Arc::new(Semaphore::new(MEMORY_KIB as usize)) }
    }
}

impl Transfers {
    /// One of the athlete's turns, to be taken before anything long is read; 429 where none gets free in time.
    pub async fn turn(&self, athlete: Uuid) -> Result<Share, Problem> {
        self.turns.take(athlete, PATIENCE).await.ok_or_else(too_many)
    }

    /// One of the athlete's turns that is free now: for what is in memory already, and may not wait there.
    pub fn turn_now(&self, athlete: Uuid) -> Result<Share, Problem> {
        self.turns.take_now(athlete).ok_or_else(too_many)
    }

    /// Memory for an answer of this length; 503 where others have it all.
    pub fn begin(&self, turn: Share, length: usize) -> Result<Transfer, Problem> {
        let busy = || Problem::unavailable("too many long answers are being sent", TRY_AGAIN);
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(kib(length)).map_err(|_| busy())?;
        Ok(Transfer { turn, memory })
    }
}

impl Transfer {
    /// The answer as a body that breaks off where its reader is too slow. Its length is to be told in `Content-Length`.
    pub fn body(self, answer: Bytes) -> Body {
        let Self { turn, mut memory } = self;
        // It may have been coded since.
        let spare = memory.num_permits().saturating_sub(kib(answer.len()) as usize);
        drop(memory.split(spare));
        let (sender, mut receiver) = mpsc::channel(1);
        // Not in the body itself, which nobody asks for more while its connection is stuck.
        tokio::spawn(async move {
            let began = Instant::now();
            for (due, piece) in (0..).map(|number| began + HEAD_START + A_PIECE * number).zip(answer.chunks(PIECE)) {
                // Copied: a part of the answer would hold the whole of it until the connection has written the part.
                let sending = sender.send(Ok(Bytes::copy_from_slice(piece)));
                if !matches!(timeout_at(due, sending).await, Ok(Ok(()))) {
                    drop((answer, turn, memory));
                    tracing::debug!("a long answer broke off");
                    // Waits without anything of the answer until the connection has gone, or takes it as its end.
                    let too_slow = io::Error::new(io::ErrorKind::TimedOut, "the answer was read too slowly");
                    let _ = sender.send(Err(too_slow)).await;
                    return;
                }
            }
        });
        Body::from_stream(stream::poll_fn(move |context| receiver.poll_recv(context)))
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(MEMORY_KIB)
}

fn too_many() -> Problem {
    Problem::too_many_requests("you have as many files and recordings under way as you may at once", TRY_AGAIN)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures::StreamExt;

    use super::*;

    const MIB: usize = 1 << 20;

    fn free_kib(transfers: &Transfers) -> usize {
        transfers.memory.available_permits()
    }

    fn answer(length: usize) -> Vec<u8> {
        (0..=250).cycle().take(length).collect()
    }

    fn sent(transfers: &Transfers, athlete: Uuid, length: usize) -> Body {
        let turn = transfers.turn_now(athlete).unwrap();
        transfers.begin(turn, length).unwrap().body(answer(length).into())
    }

    #[tokio::test]
    async fn an_answer_comes_whole_and_gives_back_what_it_took() {
        let transfers = Transfers::default();
        let body = sent(&transfers, Uuid::nil(), 3 * MIB + 5);
        assert_eq!(free_kib(&transfers), MEMORY_KIB as usize - 3 * 1024 - 1);
        let whole = to_bytes(body, usize::MAX).await.unwrap();
        assert!(whole == answer(3 * MIB + 5), "{} bytes", whole.len());
        tokio::task::yield_now().await;
        assert_eq!(free_kib(&transfers), MEMORY_KIB as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_stands_still_holds_neither_memory_nor_turn_for_long() {
        let transfers = Transfers::default();
        let stuck: Vec<Body> = (0..AT_ONCE).map(|_| sent(&transfers, Uuid::nil(), MIB)).collect();
        assert_eq!(transfers.turn(Uuid::nil()).await.unwrap_err().status(), 429);
        assert!(transfers.turn_now(Uuid::from_u128(1)).is_ok(), "others have their own");
        tokio::time::sleep(HEAD_START + 3 * A_PIECE).await;
        assert_eq!(free_kib(&transfers), MEMORY_KIB as usize);
        assert!(transfers.turn(Uuid::nil()).await.is_ok());
        for body in stuck {
            assert!(to_bytes(body, usize::MAX).await.is_err(), "what is left of it is no whole answer");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_minimum_rate_is_enough_and_half_of_it_is_not() {
        let transfers = Transfers::default();
        for (pause, comes_whole) in [(A_PIECE, true), (2 * A_PIECE, false)] {
            let mut pieces = sent(&transfers, Uuid::nil(), 2 * MIB).into_data_stream();
            let mut length = 0;
            while let Some(Ok(piece)) = pieces.next().await {
                length += piece.len();
                tokio::time::sleep(pause).await;
            }
            assert_eq!(length == 2 * MIB, comes_whole, "{length} bytes");
        }
    }

    #[tokio::test]
    async fn a_reader_who_hangs_up_gives_everything_back() {
        let transfers = Transfers::default();
        drop(sent(&transfers, Uuid::nil(), MIB));
        while free_kib(&transfers) < MEMORY_KIB as usize {
            tokio::task::yield_now().await;
        }
        assert!(transfers.turn_now(Uuid::nil()).is_ok());
    }

    #[tokio::test]
    async fn where_the_memory_is_taken_one_is_told_so() {
        let transfers = Transfers::default();
        let turn = |athlete| transfers.turn_now(Uuid::from_u128(athlete)).unwrap();
        let all = transfers.begin(turn(1), usize::MAX).unwrap();
        assert_eq!(transfers.begin(turn(2), 1).unwrap_err().status(), 503);
        drop(all);
        assert!(transfers.begin(turn(2), 1).is_ok());
    }
}
