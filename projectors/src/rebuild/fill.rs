//! Loads one log partition of a build from its whole history: the events stream past in position order, are folded in memory,
//! and the rows that are left are written with one COPY, in the transaction that sets the checkpoint behind them.
//!
//! What cannot be done so is left to the ordinary runner, which goes on from the checkpoint once the indexes are there: what
//! comes behind a poisoned event (the runner parks it), and what is left when the rows outgrow the memory they may take.
use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use chrono::{DateTime, Utc};
use fittrack_domain::event::Event;
use fittrack_schemas::{proof::Mark, read_models::Build};
use futures::{FutureExt, TryStreamExt, future::BoxFuture};
use sqlx::{Connection, PgConnection, PgPool, Row, postgres::PgRow};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::throttle::Throttle;
use crate::{
    checkpoint::{self, Advance},
    erasure,
    parking::Failure,
    projection::{FoldError, Moment, Projection},
    projections::{HEADER, TRAILER},
    runner::{Halt, batch, known::KnownTypes},
};

/// How long the COPY of one partition may take: its rows fit into memory.
const WRITE_TIMEOUT: &str = "SET LOCAL statement_timeout = '10min'";
/// Rows are sent in pieces of about so many bytes.
const PIECE_BYTES: usize = 256 << 10;
/// How often the memory of the fold is looked at, in events.
const LOOK_EVERY: i64 = 64;

/// One partition's work.
#[derive(Clone)]
pub struct Fill {
    /// The event store, read-only.
    pub store: PgPool,
    /// The read models.
    pub read_models: PgPool,
    /// What is built.
    pub build: Build,
    /// The log partition.
    pub partition: i32,
    /// The epoch its checkpoint is held under.
    pub epoch: i64,
    /// Where it begins: nothing up to here is loaded.
    pub after: i64,
    /// The last position to be loaded.
    pub upto: i64,
    /// Where reading goes on in Kafka afterwards; a hint.
    pub next_offset: Option<i64>,
    /// How much memory the fold may take, roughly.
    pub memory_bytes: usize,
    /// Keeps the pace, and counts.
    pub throttle: Throttle,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// Everything up to here is in the rows.
    pub position: i64,
    /// How many rows were written.
    pub rows: u64,
    /// Why the rest is left to the runner, where something is.
    pub left: Option<String>,
    /// How long its events took to be read and folded, and its rows to be written, rests included.
    pub took: Took,
}

/// How long the two halves of the work took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Took {
    /// Reading and folding.
    pub reading: Duration,
    /// Writing.
    pub writing: Duration,
}

/// Why a partition was not loaded; nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// A database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// Somebody else rebuilds it now.
    #[error("another rebuild has taken over")]
    Fenced,
    /// Told to stop.
    #[error("stopped")]
    Stopped,
    /// The store has a hole.
    #[error("the event store shows no event at {partition}:{position}: run `command-api check`")]
    Hole {
        /// The log partition.
        partition: i32,
        /// The position that is missing.
        position: i64,
    },
    /// An event this program does not know.
    #[error(transparent)]
    Unknown(#[from] Halt),
}

/// Loads a partition; see the module.
pub fn partition<P: Projection>(fill: Fill, stop: CancellationToken) -> BoxFuture<'static, Result<Filled, FillError>> {
    async move {
        let mut upto = fill.upto;
        let mut left = None;
        let mut took = Took::default();
        loop {
            let began = Instant::now();
            let folded = fold::<P>(&fill, upto, &stop).await?;
            took.reading += began.elapsed();
            if let Some((position, error)) = folded.poison {
                // What was folded may be half done; once more, and only so far.
                left = Some(format!("the event at {}:{position} cannot be folded ({error})", fill.partition));
                fill.throttle.forget(folded.mark.position - fill.after);
                upto = position - 1;
                continue;
            }
            if folded.full {
                let bytes = fill.memory_bytes >> 20;
                left = Some(format!("its rows take more than {bytes} MB (see --memory-mb)"));
            }
            let began = Instant::now();
            let written = write::<P>(&fill, &folded).await;
            took.writing = began.elapsed();
            return match written {
                Ok(rows) => Ok(Filled { position: folded.mark.position, rows, left, took }),
                Err(WriteError::Rows(error)) => {
                    let left = Some(format!("its rows cannot be written ({error})"));
                    Ok(Filled { position: 0, rows: 0, left, took })
                }
                Err(WriteError::Fill(error)) => Err(error),
            };
        }
    }
    .boxed()
}

/// What a span of history comes to.
pub(super) struct Folded<C> {
    pub changes: C,
    /// Whose events were folded.
    owners: HashSet<Uuid>,
    /// Those of them who have left: read before the store forgot them.
    erased: Vec<Uuid>,
    /// How far it came, with the proof of it (of a span from the beginning).
    pub mark: Mark,
    pub as_of: Option<DateTime<Utc>>,
    /// The first event that cannot be folded.
    poison: Option<(i64, String)>,
    /// Whether memory ran out before the end.
    full: bool,
}

const PAGE: &str = "
SELECT position, event_type, event_version, sequence, occurred_at, recorded_at, event_id, payload
FROM events WHERE partition = $1 AND position > $2 AND position <= $3 ORDER BY position";

/// Folds the history of a partition up to a position, page by page in short statements.
pub(super) async fn fold<P: Projection>(
    fill: &Fill,
    upto: i64,
    stop: &CancellationToken,
) -> Result<Folded<P::Changes>, FillError> {
    let mut folding = Folding::<P>::after(fill.after);
    while folding.goes_on() && folding.folded.mark.position < upto {
        if stop.is_cancelled() {
            return Err(FillError::Stopped);
        }
        let (started, after) = (Instant::now(), folding.folded.mark.position);
        let end = upto.min(after + fill.throttle.page());
        let mut rows = sqlx::query(PAGE).bind(fill.partition).bind(after).bind(end).fetch(&fill.store);
        while let Some(row) = rows.try_next().await? {
            folding.take(fill, &row)?;
            if !folding.goes_on() {
                break;
            }
        }
        drop(rows);
        if folding.goes_on() && folding.folded.mark.position < end {
            return Err(FillError::Hole { partition: fill.partition, position: folding.folded.mark.position + 1 });
        }
        let events = folding.folded.mark.position - after;
        if stop.run_until_cancelled(fill.throttle.after(events, started.elapsed())).await.is_none() {
            return Err(FillError::Stopped);
        }
    }
    Ok(folding.folded)
}

struct Folding<P: Projection> {
    folded: Folded<P::Changes>,
    known: KnownTypes,
}

impl<P: Projection> Folding<P> {
    fn after(position: i64) -> Self {
        let folded = Folded {
            changes: P::Changes::default(),
            owners: HashSet::new(),
            erased: vec![],
            mark: Mark { position, ..Mark::default() },
            as_of: None,
            poison: None,
            full: false,
        };
        Self { folded, known: KnownTypes::default() }
    }

    fn goes_on(&self) -> bool {
        self.folded.poison.is_none() && !self.folded.full
    }

    fn take(&mut self, fill: &Fill, row: &PgRow) -> Result<(), FillError> {
        let folded = &mut self.folded;
        let position: i64 = row.try_get(0)?;
        if position != folded.mark.position + 1 {
            return Err(FillError::Hole { partition: fill.partition, position: folded.mark.position + 1 });
        }
        let (event_type, event_version): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
        if !self.known.contains(event_type, event_version) {
            let (event_type, event_version) = (event_type.to_owned(), event_version.to_owned());
            return Err(Halt::UnknownEvent { event_type, event_version, partition: fill.partition, position }.into());
        }
        if P::wants(event_type) || erasure::is_farewell(event_type) {
            let moment = Moment { sequence: row.try_get(3)?, occurred_at: row.try_get(4)? };
            let payload = row.try_get_raw(7)?.as_bytes().map_err(sqlx::Error::Decode)?;
            if let Err(error) = folded.fold::<P>(moment, (event_type, event_version, payload)) {
                folded.poison = Some((position, error.to_string()));
                return Ok(());
            }
        }
        folded.mark.pass(position, row.try_get(6)?);
        folded.as_of = Some(row.try_get(5)?);
        folded.full = position % LOOK_EVERY == 0 && P::keys(&folded.changes) * P::KEY_BYTES > fill.memory_bytes;
        Ok(())
    }
}

impl<C> Folded<C> {
    fn fold<P: Projection<Changes = C>>(
        &mut self,
        moment: Moment,
        (event_type, event_version, payload): (&str, &str, &[u8]),
    ) -> Result<(), FoldError> {
        let event = Event::decode(event_type, event_version, payload)?;
        match (&event, event.athlete_id()) {
            (Event::AccountErased(_), Some(owner)) => {
                self.erased.extend(self.owners.get(&owner.0));
                return Ok(());
            }
            (_, owner) => self.owners.extend(owner.map(|owner| owner.0)),
        }
        catch_unwind(AssertUnwindSafe(|| P::fold(&mut self.changes, moment, event)))
            .map_err(|panic| FoldError::Panicked(batch::panic_text(&*panic)))?
    }
}

enum WriteError {
    /// The rows are to blame.
    Rows(String),
    Fill(FillError),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        match Failure::from(error) {
            failure @ (Failure::Write(_) | Failure::Fold(_)) => Self::Rows(failure.cause()),
            Failure::Database(error) => Self::Fill(error.into()),
        }
    }
}

/// Rows and checkpoint, or neither.
async fn write<P: Projection>(fill: &Fill, folded: &Folded<P::Changes>) -> Result<u64, WriteError> {
    let Some(as_of) = folded.as_of else { return Ok(0) };
    let step = Advance {
        partition: fill.partition,
        epoch: fill.epoch,
        from: fill.after,
        to: folded.mark,
        next_offset: fill.next_offset,
        as_of,
    };
    let mut connection = fill.read_models.acquire().await?;
    let mut transaction = connection.begin().await?;
    sqlx::query(WRITE_TIMEOUT).execute(&mut *transaction).await?;
    if !checkpoint::advance(&mut transaction, &fill.build.worker(), &[step]).await? {
        return Err(WriteError::Fill(FillError::Fenced));
    }
    let mut rows = copy::<P>(&mut transaction, fill, &folded.changes).await?;
    if !folded.erased.is_empty() {
        rows -= erasure::delete_rows(&mut transaction, fill.build, &folded.erased).await?;
    }
    transaction.commit().await?;
    Ok(rows)
}

/// Writes the rows of a whole history into a table that has none of these keys, at the pace of the rebuild.
pub(super) async fn copy<P: Projection>(
    connection: &mut PgConnection,
    fill: &Fill,
    changes: &P::Changes,
) -> Result<u64, sqlx::Error> {
    let statement = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", fill.build.table(), P::COLUMNS);
    let mut copy = connection.copy_in_raw(&statement).await?;
    let mut piece = Vec::with_capacity(PIECE_BYTES + (64 << 10));
    piece.extend_from_slice(HEADER);
    let mut began = Instant::now();
    for row in P::rows(changes) {
        row.append_to(&mut piece)?;
        if piece.len() >= PIECE_BYTES {
            copy.send(piece.as_slice()).await?;
            piece.clear();
            fill.throttle.rest(began.elapsed()).await;
            began = Instant::now();
        }
    }
    piece.extend_from_slice(TRAILER);
    copy.send(piece.as_slice()).await?;
    copy.finish().await
}
