//! Short measured samples of a rebuild's very own work, from which a plan says how long it will take: spans of the log are read
//! and folded by as many tasks as the rebuild will have, and the rows of some are written and indexed in a transaction that is
//! rolled back.
use std::time::Duration;

use fittrack_schemas::read_models::{self, Build};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Effort, Place,
    fill::{self, Fill, FillError},
    sql,
    throttle::Throttle,
};
use crate::{projection::Projection, registry::Built};

/// Events of a span.
const SPAN: i64 = 2_000;
/// No further span is begun after this.
const ENOUGH: Duration = Duration::from_millis(1_500);
/// So many spans are written and indexed too.
const WRITTEN_SPANS: usize = 16;
/// Stands for the build in the transaction that is rolled back.
const SCRATCH_GENERATION: i32 = i32::MAX;

/// What folding a span took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampled {
    /// How many events.
    pub events: i64,
    /// How long one task took for them.
    pub seconds: f64,
    /// How many keys half of them have.
    pub keys_of_half: usize,
    /// How many keys they have.
    pub keys: usize,
}

/// What writing rows took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Loaded {
    /// How many rows.
    pub rows: u64,
    /// How long.
    pub seconds: f64,
}

/// All that was measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Events that were folded.
    pub events: i64,
    /// Events a second of one task, beside as many others as the pace allowed.
    pub events_per_second_of_task: f64,
    /// How far single spans are from that, as a share of it: one standard deviation of their mean.
    pub spread: f64,
    /// The power of the number of events that the number of keys grows with (Heaps' law): 1 where every event has its own.
    pub keys_exponent: f64,
    /// Keys of an average span.
    pub keys_of_span: f64,
    /// Events of an average span.
    pub events_of_span: f64,
    /// Seconds for writing a row.
    pub write_seconds_per_row: f64,
    /// Seconds for indexing the rows that were written, and how many they were.
    pub index_seconds: f64,
    /// Rows that were written.
    pub written_rows: f64,
    /// What a row takes on disk, indexes included.
    pub bytes_per_row: f64,
}

impl Measured {
    /// How long indexing so many rows takes: it is sorting, so it grows with n log n.
    pub fn index_seconds_of(&self, rows: f64) -> f64 {
        let work = |rows: f64| rows * rows.max(2.0).log2();
        self.index_seconds * work(rows) / work(self.written_rows).max(1.0)
    }
}

/// Folds a span as a rebuild would; see [`Sampled`].
pub fn fold<P: Projection>(fill: Fill) -> BoxFuture<'static, Result<Sampled, FillError>> {
    async move {
        let never = CancellationToken::new();
        let half = fill::fold::<P>(&fill, fill.after + (fill.upto - fill.after) / 2, &never).await?;
        let started = Instant::now();
        let folded = fill::fold::<P>(&fill, fill.upto, &never).await?;
        Ok(Sampled {
            events: folded.mark.position - fill.after,
            seconds: started.elapsed().as_secs_f64(),
            keys_of_half: P::keys(&half.changes),
            keys: P::keys(&folded.changes),
        })
    }
    .boxed()
}

/// Writes the rows of a span; only the writing is timed.
pub fn load<P: Projection>(fill: Fill, connection: &mut PgConnection) -> BoxFuture<'_, Result<Loaded, FillError>> {
    async move {
        let folded = fill::fold::<P>(&fill, fill.upto, &CancellationToken::new()).await?;
        let started = Instant::now();
        let rows = fill::copy::<P>(connection, &fill, &folded.changes).await?;
        Ok(Loaded { rows, seconds: started.elapsed().as_secs_f64() })
    }
    .boxed()
}

/// Measures on spans in the middle of these partitions, given with their heads; at the pace the rebuild will have.
pub async fn measure(
    place: &Place,
    built: Built,
    effort: Effort,
    throttle: &Throttle,
    heads: &[(i32, i64)],
) -> Result<Measured, FillError> {
    let spans = spans(place, built, effort, heads);
    let started = Instant::now();
    let sampled: Vec<Result<Sampled, FillError>> = stream::iter(spans.iter().cloned())
        .take_while(|_| std::future::ready(started.elapsed() < ENOUGH))
        .map(|fill| async move {
            let began = Instant::now();
            let sampled = built.sample(fill).await;
            throttle.rest(began.elapsed()).await;
            sampled
        })
        .buffer_unordered(throttle.tasks())
        .collect()
        .await;
    let sampled: Vec<Sampled> = sampled.into_iter().collect::<Result<_, _>>()?;
    let mut measured = of_folding(&sampled);
    if measured.events > 0 {
        write(place, built, throttle, &spans, &mut measured).await?;
    }
    Ok(measured)
}

fn spans(place: &Place, built: Built, effort: Effort, heads: &[(i32, i64)]) -> Vec<Fill> {
    let span = |&(partition, head): &(i32, i64)| {
        let after = (head / 2 - SPAN / 2).max(0);
        Fill {
            store: place.store.clone(),
            read_models: place.read_models.clone(),
            build: built.build,
            partition,
            epoch: 0,
            after,
            upto: head.min(after + SPAN),
            next_offset: None,
            memory_bytes: effort.memory_bytes,
            throttle: Throttle::new(1, None),
        }
    };
    // Where there is time for few, those with many events tell most.
    let mut largest_first = heads.to_vec();
    largest_first.sort_unstable_by_key(|&(_, head)| std::cmp::Reverse(head));
    largest_first.iter().map(span).collect()
}

fn of_folding(sampled: &[Sampled]) -> Measured {
    let sum = |of: fn(&Sampled) -> f64| sampled.iter().map(of).sum::<f64>();
    let (events, seconds) = (sum(|one| one.events as f64), sum(|one| one.seconds).max(1e-6));
    let (keys, half) = (sum(|one| one.keys as f64), sum(|one| one.keys_of_half as f64));
    let count = (sampled.len() as f64).max(1.0);
    let mean = events / seconds;
    let squares = sampled.iter().map(|one| (one.events as f64 / one.seconds.max(1e-6) / mean.max(1e-9) - 1.0).powi(2));
    Measured {
        events: sampled.iter().map(|one| one.events).sum(),
        events_per_second_of_task: mean,
        spread: (squares.sum::<f64>() / count).sqrt() / count.sqrt(),
        keys_exponent: if half > 0.0 { (keys / half).log2().clamp(0.0, 1.0) } else { 1.0 },
        keys_of_span: keys / count,
        events_of_span: events / count,
        ..Measured::default()
    }
}

/// Writes and indexes the rows of a few spans in a table that is rolled back.
async fn write(
    place: &Place,
    built: Built,
    throttle: &Throttle,
    spans: &[Fill],
    measured: &mut Measured,
) -> Result<(), FillError> {
    let scratch = Build { generation: SCRATCH_GENERATION, ..built.build };
    let mut connection = place.owner.acquire().await?;
    let mut transaction = connection.begin().await?;
    read_models::create(&mut transaction, scratch).await?;
    let mut written = Loaded::default();
    let spans_to_write = if throttle.is_beside_users() { WRITTEN_SPANS / 4 } else { WRITTEN_SPANS };
    let began = Instant::now();
    for fill in spans.iter().take(spans_to_write) {
        let loaded = built.load(Fill { build: scratch, ..fill.clone() }, &mut transaction).await?;
        written.rows += loaded.rows;
        written.seconds += loaded.seconds;
    }
    let started = Instant::now();
    sql::index(&mut transaction, scratch, throttle.helpers()).await?;
    let indexing = started.elapsed().as_secs_f64();
    let bytes: i64 = sqlx::query_scalar("SELECT pg_total_relation_size($1::regclass)")
        .bind(scratch.table())
        .fetch_one(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    // Not before: the database ends who rests in a transaction, and on a slow machine these rests are long.
    throttle.rest(began.elapsed()).await;
    let rows = (written.rows as f64).max(1.0);
    measured.write_seconds_per_row = written.seconds / rows;
    (measured.index_seconds, measured.written_rows) = (indexing, rows);
    measured.bytes_per_row = bytes as f64 / rows;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_come_again_grow_slower_than_the_events() {
        let one = Sampled { events: 2_000, seconds: 0.02, keys_of_half: 800, keys: 1_200 };
        let measured = of_folding(&[one, one]);
        assert_eq!((measured.events, measured.events_per_second_of_task.round()), (4_000, 100_000.0));
        assert!((measured.keys_exponent - 0.585).abs() < 0.001, "{measured:?}");
        assert!(measured.spread < 1e-9);
        let own = Sampled { keys_of_half: 1_000, keys: 2_000, ..one };
        assert!((of_folding(&[own]).keys_exponent - 1.0).abs() < 1e-9);
    }
}
