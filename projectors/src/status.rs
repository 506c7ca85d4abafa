//! How each projection is doing, seen from the databases alone: it tells the truth also when no projector lives.
//! The age of the heartbeat comes first; a dead worker's lag may well read zero.
use std::fmt::Write as _;

use serde::Serialize;
use sqlx::PgPool;

use crate::{
    event_log,
    registry::{PROJECTIONS, Registered},
};

/// One projection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The read model's name.
    pub projection: String,
    /// The version this program builds.
    pub version: i32,
    /// The version readers see.
    pub shown_version: Option<i32>,
    /// The sum of its positions over all partitions.
    pub position: i64,
    /// How many stored events it has not applied.
    pub lag_events: i64,
    /// For how long the oldest of them has been stored, in seconds.
    pub lag_seconds: f64,
    /// Seconds since its quietest partition showed life; `None` where one never did.
    pub heartbeat_age_seconds: Option<f64>,
    /// Owners whose events are parked.
    pub parked_keys: i64,
    /// Processes that hold some of its partitions.
    pub holders: i64,
    /// Partitions that nobody holds.
    pub free_partitions: i64,
}

/// The status of every projection this program has.
pub async fn read(store: &PgPool, read_models: &PgPool) -> Result<Vec<Status>, sqlx::Error> {
    let partitions = event_log::partitions(store).await?;
    let mut statuses = Vec::with_capacity(PROJECTIONS.len());
    for projection in PROJECTIONS {
        statuses.push(read_one(store, read_models, projection, partitions).await?);
    }
    Ok(statuses)
}

#[derive(Debug, sqlx::FromRow)]
struct Progress {
    positions: Vec<i64>,
    heartbeat_age_seconds: Option<f64>,
    holders: i64,
    free_partitions: i64,
    parked_keys: i64,
    shown_version: Option<i32>,
}

/// A partition without a row, or without a heartbeat, makes the age unknown: somebody was never there.
const PROGRESS: &str = "
SELECT array_agg(coalesce(c.position, 0) ORDER BY p.partition) AS positions,
       CASE WHEN bool_and(c.heartbeat_at IS NOT NULL)
            THEN extract(epoch FROM clock_timestamp() - min(c.heartbeat_at))::float8 END AS heartbeat_age_seconds,
       count(DISTINCT c.holder) FILTER (WHERE c.lease_expires_at > clock_timestamp()) AS holders,
       count(*) FILTER (WHERE c.holder IS NULL OR c.lease_expires_at <= clock_timestamp()) AS free_partitions,
       (SELECT count(DISTINCT owner_id) FROM parked_events WHERE worker = $1) AS parked_keys,
       (SELECT version FROM read_models WHERE name = $2) AS shown_version
FROM generate_series(0, $3 - 1) AS p (partition)
LEFT JOIN checkpoints c ON c.worker = $1 AND c.partition = p.partition";

const LAG: &str = "
SELECT coalesce(sum(greatest(head.position - asked.position, 0)), 0)::bigint,
       coalesce(extract(epoch FROM clock_timestamp() - min(next.recorded_at)), 0)::float8
FROM unnest($1::integer[], $2::bigint[]) AS asked (partition, position)
CROSS JOIN LATERAL (
    SELECT e.position FROM events e WHERE e.partition = asked.partition ORDER BY e.position DESC LIMIT 1
) head
LEFT JOIN LATERAL (
    SELECT e.recorded_at FROM events e WHERE e.partition = asked.partition AND e.position = asked.position + 1
) next ON true";

async fn read_one(
    store: &PgPool,
    read_models: &PgPool,
    projection: Registered,
    partitions: i32,
) -> Result<Status, sqlx::Error> {
    let progress: Progress = sqlx::query_as(PROGRESS)
        .bind(projection.worker())
        .bind(projection.name)
        .bind(partitions)
        .fetch_one(read_models)
        .await?;
    let (lag_events, lag_seconds): (i64, f64) = sqlx::query_as(LAG)
        .bind((0..partitions).collect::<Vec<_>>())
        .bind(&progress.positions)
        .fetch_one(store)
        .await?;
    Ok(Status {
        projection: projection.name.to_owned(),
        version: projection.version,
        shown_version: progress.shown_version,
        position: progress.positions.iter().sum(),
        lag_events,
        lag_seconds: lag_seconds.max(0.0),
        heartbeat_age_seconds: progress.heartbeat_age_seconds.map(|age| age.max(0.0)),
        parked_keys: progress.parked_keys,
        holders: progress.holders,
        free_partitions: progress.free_partitions,
    })
}

/// The statuses as a table for people.
pub fn table(statuses: &[Status]) -> String {
    let mut table = format!(
        "{:<14} {:>7} {:>6} {:>12} {:>11} {:>10} {:>14} {:>7} {:>8} {:>6}\n",
        "PROJECTION",
        "VERSION",
        "SHOWN",
        "POSITION",
        "LAG EVENTS",
        "LAG S",
        "HEARTBEAT AGE",
        "PARKED",
        "HOLDERS",
        "FREE"
    );
    for status in statuses {
        let shown = status.shown_version.map_or_else(|| "-".to_owned(), |version| version.to_string());
        let heartbeat = status.heartbeat_age_seconds.map_or_else(|| "never".to_owned(), |age| format!("{age:.1} s"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "{:<14} {:>7} {shown:>6} {:>12} {:>11} {:>10.1} {heartbeat:>14} {:>7} {:>8} {:>6}",
            status.projection,
            status.version,
            status.position,
            status.lag_events,
            status.lag_seconds,
            status.parked_keys,
            status.holders,
            status.free_partitions,
        );
    }
    table
}
