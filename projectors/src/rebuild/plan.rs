//! What a rebuild will do, said before it does it: how many events of which types, how many rows, how long, how much space; and a
//! refusal where the disk will not hold it.
use std::{fmt::Write as _, path::Path};

use serde::Serialize;
use sqlx::{PgConnection, PgPool, Row};

use super::{
    Effort, Place, Target,
    fill::FillError,
    governor,
    sample::{self, Measured},
    throttle::Throttle,
};
use crate::{builds, event_log, status::duration};

/// Besides what was measured: a rebuild writes ahead what it writes, and needs room to sort for its indexes.
const SPACE_MARGIN: f64 = 1.5;
/// The disk must have this much left afterwards.
const SPACE_TO_SPARE: u64 = 256 << 20;
/// An expected time is never surer than this share of it.
const LEAST_SPREAD: f64 = 0.15;
/// The types of events are counted on so many positions of each partition.
const TYPES_SPAN: i64 = 500;

/// What a rebuild will do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The build.
    pub build: String,
    /// Whether one was begun before, and this goes on with it.
    pub resumes: bool,
    /// Events that will be read.
    pub events: i64,
    /// About how many of each type.
    pub events_by_type: Vec<OfType>,
    /// How many in each log partition.
    pub events_by_partition: Vec<InPartition>,
    /// About how many bytes of payload they have.
    pub bytes: i64,
    /// About how many rows there will be.
    pub keys: i64,
    /// Partitions at once.
    pub parallelism: usize,
    /// Whether there is live work that it will leave most of the machine to.
    pub beside_users: bool,
    /// How long it will take.
    pub expected_seconds: Interval,
    /// How much of that for the indexes.
    pub index_seconds: f64,
    /// How many events the expectation was measured on.
    pub measured_events: i64,
    /// Disk it needs.
    pub space_bytes: u64,
    /// Disk that is free; nothing where it cannot be seen from here.
    pub free_bytes: Option<u64>,
    /// Why it will not be done, where it will not.
    pub refused: Option<String>,
}

/// About how many events of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfType {
    /// The type.
    pub event_type: String,
    /// How many.
    pub events: i64,
}

/// How many events of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InPartition {
    /// The log partition.
    pub partition: i32,
    /// How many.
    pub events: i64,
}

/// An expectation and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Hardly less.
    pub low: f64,
    /// About this.
    pub likely: f64,
    /// Hardly more.
    pub high: f64,
}

/// Looks, measures and plans; `free_bytes` where the operator knows it better.
pub async fn make(place: &Place, target: Target, effort: Effort, free_bytes: Option<u64>) -> Result<Plan, FillError> {
    let heads = unfilled_heads(place, target).await?;
    let events: i64 = heads.iter().map(|(_, head)| head).sum();
    let (events_by_type, bytes) = contents(&place.store, &heads, events).await?;
    let throttle = Throttle::new(effort.parallelism, effort.max_rate);
    let beside_users = effort.gives_way && governor::beside_users(place).await;
    if beside_users {
        throttle.beside_users();
    }
    let measured = sample::measure(place, target.built, effort, &throttle, &heads).await?;
    let mut connection = place.owner.acquire().await?;
    let keys = keys(&mut connection, target, &measured, &heads, &place.store).await?;
    let space_bytes = bytes_of(measured.bytes_per_row * keys as f64 * SPACE_MARGIN);
    let free_bytes = match free_bytes {
        Some(free) => Some(free),
        None => free_on_disk(&mut connection).await,
    };
    Ok(Plan {
        build: target.built.worker(),
        resumes: target.resumes,
        events,
        events_by_type,
        events_by_partition: heads.iter().map(|&(partition, events)| InPartition { partition, events }).collect(),
        bytes,
        keys,
        parallelism: effort.parallelism,
        beside_users,
        expected_seconds: expected(&measured, effort, throttle.usual_pace(), events, keys),
        index_seconds: measured.index_seconds_of(keys as f64),
        measured_events: measured.events,
        space_bytes,
        free_bytes,
        refused: refusal(space_bytes, free_bytes),
    })
}

/// Partitions that are to be loaded, with their heads.
async fn unfilled_heads(place: &Place, target: Target) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    let partitions = event_log::partitions(&place.store).await?;
    let filled: Vec<i32> = if target.resumes {
        sqlx::query_scalar("SELECT partition FROM checkpoints WHERE worker = $1 AND position > 0")
            .bind(target.built.worker())
            .fetch_all(&place.read_models)
            .await?
    } else {
        vec![]
    };
    let unfilled: Vec<i32> = (0..partitions).filter(|partition| !filled.contains(partition)).collect();
    let heads = event_log::heads(&place.store, &unfilled).await?.map(|heads| heads.heads).unwrap_or_default();
    Ok(heads.into_iter().filter(|(_, head)| *head > 0).collect())
}

/// Types and sizes in the middle of each partition.
const CONTENTS: &str = "
SELECT e.event_type, count(*) AS events, sum(octet_length(e.payload::text))::bigint AS bytes
FROM unnest($1::integer[], $2::bigint[]) AS asked (partition, head)
JOIN events e ON e.partition = asked.partition
             AND e.position > asked.head / 2 - $3 / 2 AND e.position <= asked.head / 2 + $3 / 2 + 1
GROUP BY e.event_type ORDER BY 2 DESC, 1";

async fn contents(store: &PgPool, heads: &[(i32, i64)], events: i64) -> Result<(Vec<OfType>, i64), sqlx::Error> {
    let rows = sqlx::query(CONTENTS)
        .bind(heads.iter().map(|(partition, _)| *partition).collect::<Vec<_>>())
        .bind(heads.iter().map(|(_, head)| *head).collect::<Vec<_>>())
        .bind(TYPES_SPAN)
        .fetch_all(store)
        .await?;
    let counts: Vec<(String, i64, i64)> = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .collect::<Result<_, sqlx::Error>>()?;
    let seen: i64 = counts.iter().map(|(_, count, _)| count).sum();
    let scaled = |number: i64| whole(number as f64 * events as f64 / seen.max(1) as f64);
    let bytes = scaled(counts.iter().map(|(_, _, bytes)| bytes).sum());
    let by_type = counts.into_iter().map(|(event_type, count, _)| OfType { event_type, events: scaled(count) });
    Ok((by_type.collect(), bytes))
}

/// What is shown knows best how many rows there are, where it has come far enough; else the sample leads to a number.
async fn keys(
    connection: &mut PgConnection,
    target: Target,
    measured: &Measured,
    heads: &[(i32, i64)],
    store: &PgPool,
) -> Result<i64, sqlx::Error> {
    let guessed = || {
        let grown = |(_, head): &(i32, i64)| {
            let spans = *head as f64 / measured.events_of_span.max(1.0);
            measured.keys_of_span * spans.max(0.0).powf(measured.keys_exponent)
        };
        whole(heads.iter().map(grown).sum())
    };
    let Ok(shown) = builds::shown(connection, target.built.name()).await else { return Ok(guessed()) };
    let (rows, position): (i64, i64) =
        sqlx::query_as(SHOWN_ROWS).bind(shown.table()).bind(shown.worker()).fetch_one(&mut *connection).await?;
    let partitions = event_log::partitions(store).await?;
    let all = event_log::heads(store, &(0..partitions).collect::<Vec<_>>()).await?.map(|all| all.heads);
    let total: i64 = all.unwrap_or_default().iter().map(|(_, head)| head).sum();
    let asked: i64 = heads.iter().map(|(_, head)| head).sum();
    if rows <= 0 || position * 2 < total {
        return Ok(guessed());
    }
    Ok(whole(rows as f64 * asked as f64 / total.max(1) as f64))
}

/// As the statistics have it, which a build gets when it is made and autovacuum keeps.
const SHOWN_ROWS: &str = "
SELECT (SELECT reltuples::bigint FROM pg_class WHERE oid = $1::regclass),
       (SELECT coalesce(sum(position), 0)::bigint FROM checkpoints WHERE worker = $2)";

/// At a pace of so many tasks' work without a rest.
fn expected(measured: &Measured, effort: Effort, pace: f64, events: i64, keys: i64) -> Interval {
    let rate = measured.events_per_second_of_task * pace;
    let rate = effort.max_rate.map_or(rate, |most| rate.min(most));
    let folding = events as f64 / rate.max(1.0);
    let writing = measured.write_seconds_per_row * keys as f64 / pace.max(1e-3);
    let likely = folding + writing + measured.index_seconds_of(keys as f64);
    let spread = (2.0 * measured.spread).max(LEAST_SPREAD);
    Interval { low: likely * (1.0 - spread).max(0.1), likely, high: likely * (1.0 + 2.0 * spread) }
}

fn refusal(space_bytes: u64, free_bytes: Option<u64>) -> Option<String> {
    let free = free_bytes?;
    (free < space_bytes + SPACE_TO_SPARE).then(|| {
        format!(
            "the disk has {} free, and {} are needed with {} to spare: make room, or retire a build",
            size(free),
            size(space_bytes),
            size(SPACE_TO_SPARE)
        )
    })
}

/// What is free where the database keeps its data, if that is this machine.
async fn free_on_disk(connection: &mut PgConnection) -> Option<u64> {
    let local = "SELECT inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr()";
    let is_local: bool = sqlx::query_scalar(local).fetch_one(&mut *connection).await.ok()?;
    let directory: String = sqlx::query_scalar("SHOW data_directory").fetch_one(connection).await.ok()?;
    if !is_local || !Path::new(&directory).is_absolute() {
        return None;
    }
    let disk = rustix::fs::statvfs(&directory).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

/// The plan for people.
pub fn text(plan: &Plan) -> String {
    let mut text = String::new();
    let verb = if plan.resumes { "goes on with" } else { "builds" };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{verb} {}, beside what readers see", plan.build);
    let _ = writeln!(
        text,
        "  reads     {} events in {} log partitions, about {} of payload",
        plan.events,
        plan.events_by_partition.len(),
        size(plan.bytes.unsigned_abs())
    );
    for OfType { event_type, events } in &plan.events_by_type {
        let _ = writeln!(text, "              about {events} {event_type}");
    }
    let free = plan.free_bytes.map_or_else(
        || "; how much is free cannot be seen from here (say --free-space)".to_owned(),
        |free| format!(" of {} that are free", size(free)),
    );
    let _ = writeln!(text, "  makes     about {} rows; needs {}{free}", plan.keys, size(plan.space_bytes));
    let Interval { low, likely, high } = plan.expected_seconds;
    let between = if high < 1.0 { String::new() } else { format!(", {} to {}", duration(low), duration(high)) };
    let _ = writeln!(
        text,
        "  takes     about {}{between}; measured on {} events, {}",
        duration(likely),
        plan.measured_events,
        if plan.beside_users {
            "slowly beside live work, and slower where users feel it".to_owned()
        } else {
            format!("{} partitions at once; longer where it has to give way", plan.parallelism)
        }
    );
    if let Some(refused) = &plan.refused {
        let _ = writeln!(text, "  REFUSED   {refused}");
    }
    text
}

/// Bytes as people say them.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let (mut amount, mut unit) = (bytes as f64 / 1_000.0, "kB");
    for larger in ["MB", "GB", "TB"] {
        if amount < 1_000.0 {
            break;
        }
        (amount, unit) = (amount / 1_000.0, larger);
    }
    format!("{amount:.1} {unit}")
}

#[expect(clippy::cast_possible_truncation, reason = "an estimate, far below the limits of i64")]
fn whole(number: f64) -> i64 {
    number.round() as i64
}

fn bytes_of(number: f64) -> u64 {
    whole(number.max(0.0)).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_will_not_hold_it_is_a_refusal_and_one_that_cannot_be_seen_is_not() {
        assert!(refusal(1 << 30, Some(1 << 30)).is_some_and(|why| why.contains("1.1 GB")));
        assert_eq!(refusal(1 << 30, Some(2 << 30)), None);
        assert_eq!(refusal(1 << 30, None), None);
    }

    #[test]
    fn sizes_are_said_in_the_unit_that_fits() {
        assert_eq!((size(999), size(1_500), size(2_345_000_000)), ("999 B".into(), "1.5 kB".into(), "2.3 GB".into()));
    }
}
