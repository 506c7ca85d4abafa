//! How each build of each projection is doing, seen from the databases alone: it tells the truth also when no projector lives.
//! The age of the heartbeat comes first; a dead worker's lag may well read zero.
use std::fmt::Write as _;

use serde::Serialize;
use sqlx::PgPool;

use crate::{
    builds::{self, Known, Stage},
    event_log,
    watch::Pace,
};

/// One build of a projection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The read model's name.
    pub projection: String,
    /// The version of its shape and its fold.
    pub version: i32,
    /// How often that version was built.
    pub generation: i32,
    /// What that comes to.
    pub state: State,
    /// Whether readers see it.
    pub shown: bool,
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
    /// Each partition's progress, where it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionStatus>,
}

/// One log partition of a build.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct PartitionStatus {
    /// The log partition.
    pub partition: i32,
    /// Everything up to here is applied.
    pub position: i64,
    /// How many stored events are not.
    pub lag_events: i64,
    /// For how long the oldest of them has been stored, in seconds.
    pub lag_seconds: f64,
}

/// How a build is doing, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A rebuild loads it.
    Building,
    /// No worker shows life.
    Stalled,
    /// It works on events that have waited for some time.
    CatchingUp,
    /// It is at the head, and some owners' events wait for an operator.
    ParkedKeys,
    /// It is at the head, and readers see it.
    Live,
    /// It is at the head, and readers see another.
    Warm,
    /// Its rows are gone.
    Retired,
}

/// A worker that has not shown life for so long (heartbeats come every second) is away.
const SILENT_SECONDS: f64 = 10.0;
/// What has waited for less is on its way.
const BEHIND_SECONDS: f64 = 5.0;

impl State {
    fn of(known: &Known, heartbeat_age_seconds: Option<f64>, lag_seconds: f64, parked_keys: i64) -> Self {
        match known.stage {
            Stage::Filling => Self::Building,
            Stage::Retired => Self::Retired,
            Stage::Fed => Self::of_fed(heartbeat_age_seconds, lag_seconds, parked_keys, known.shown),
        }
    }

    fn of_fed(heartbeat_age_seconds: Option<f64>, lag_seconds: f64, parked_keys: i64, shown: bool) -> Self {
        match heartbeat_age_seconds {
            None => Self::Stalled,
            Some(age) if age > SILENT_SECONDS => Self::Stalled,
            Some(_) if lag_seconds > BEHIND_SECONDS => Self::CatchingUp,
            Some(_) if parked_keys > 0 => Self::ParkedKeys,
            Some(_) if shown => Self::Live,
            Some(_) => Self::Warm,
        }
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Stalled => "stalled",
            Self::CatchingUp => "catching up",
            Self::ParkedKeys => "parked keys",
            Self::Live => "live",
            Self::Warm => "warm",
            Self::Retired => "retired",
        }
    }
}

/// What is to be shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Detail {
    /// Each partition's progress too.
    pub partitions: bool,
    /// Retired builds too.
    pub retired: bool,
}

/// The status of every build this program knows.
pub async fn read(store: &PgPool, read_models: &PgPool, detail: Detail) -> Result<Vec<Status>, sqlx::Error> {
    let partitions = event_log::partitions(store).await?;
    let known = builds::all(&mut *read_models.acquire().await?, None).await?;
    let mut statuses = Vec::with_capacity(known.len());
    for known in known.iter().filter(|known| detail.retired || known.stage != Stage::Retired) {
        statuses.push(read_one(store, read_models, known, partitions, detail).await?);
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
}

/// A partition without a row, or without a heartbeat, makes the age unknown: somebody was never there.
const PROGRESS: &str = "
SELECT array_agg(coalesce(c.position, 0) ORDER BY p.partition) AS positions,
       CASE WHEN bool_and(c.heartbeat_at IS NOT NULL)
            THEN extract(epoch FROM clock_timestamp() - min(c.heartbeat_at))::float8 END AS heartbeat_age_seconds,
       count(DISTINCT c.holder) FILTER (WHERE c.lease_expires_at > clock_timestamp()) AS holders,
       count(*) FILTER (WHERE c.holder IS NULL OR c.lease_expires_at <= clock_timestamp()) AS free_partitions,
       (SELECT count(DISTINCT owner_id) FROM parked_events WHERE worker = $1) AS parked_keys
FROM generate_series(0, $2 - 1) AS p (partition)
LEFT JOIN checkpoints c ON c.worker = $1 AND c.partition = p.partition";

const LAG: &str = "
SELECT asked.partition, asked.position, greatest(coalesce(head.position, 0) - asked.position, 0) AS lag_events,
       coalesce(extract(epoch FROM clock_timestamp() - next.recorded_at), 0)::float8 AS lag_seconds
FROM unnest($1::integer[], $2::bigint[]) AS asked (partition, position)
LEFT JOIN LATERAL (
    SELECT e.position FROM events e WHERE e.partition = asked.partition ORDER BY e.position DESC LIMIT 1
) head ON true
LEFT JOIN LATERAL (
    SELECT e.recorded_at FROM events e WHERE e.partition = asked.partition AND e.position = asked.position + 1
) next ON true
ORDER BY asked.partition";

/// How far a build is behind the store, partition by partition.
pub(crate) async fn lag(store: &PgPool, positions: &[i64]) -> Result<Vec<PartitionStatus>, sqlx::Error> {
    let partitions: Vec<i32> = (0..).take(positions.len()).collect();
    sqlx::query_as(LAG).bind(partitions).bind(positions).fetch_all(store).await
}

async fn read_one(
    store: &PgPool,
    read_models: &PgPool,
    known: &Known,
    partitions: i32,
    detail: Detail,
) -> Result<Status, sqlx::Error> {
    let built = known.built;
    let progress: Progress =
        sqlx::query_as(PROGRESS).bind(built.worker()).bind(partitions).fetch_one(read_models).await?;
    let lag = if known.stage == Stage::Retired { vec![] } else { lag(store, &progress.positions).await? };
    let lag_seconds = lag.iter().map(|one| one.lag_seconds).fold(0.0, f64::max);
    Ok(Status {
        projection: built.name().to_owned(),
        version: built.build.version,
        generation: built.build.generation,
        state: State::of(known, progress.heartbeat_age_seconds, lag_seconds, progress.parked_keys),
        shown: known.shown,
        position: progress.positions.iter().sum(),
        lag_events: lag.iter().map(|one| one.lag_events).sum(),
        lag_seconds,
        heartbeat_age_seconds: progress.heartbeat_age_seconds.map(|age| age.max(0.0)),
        parked_keys: progress.parked_keys,
        holders: progress.holders,
        free_partitions: progress.free_partitions,
        partitions: if detail.partitions { lag } else { vec![] },
    })
}

impl Status {
    /// The build's name, as commands take it and logs say it.
    pub fn build(&self) -> String {
        let generation = if self.generation > 1 { format!(".g{}", self.generation) } else { String::new() };
        format!("{}.v{}{generation}", self.projection, self.version)
    }
}

/// The statuses as a table for people, with the pace of each where it is known.
pub fn table(statuses: &[Status], paces: &[Option<Pace>]) -> String {
    let mut table = format!(
        "{:<20} {:<5} {:<11} {:>12} {:>11} {:>10} {:>14} {:>7} {:>8} {:>6} {:>9} {:>8}\n",
        "BUILD",
        "SHOWN",
        "STATE",
        "POSITION",
        "LAG EVENTS",
        "LAG S",
        "HEARTBEAT AGE",
        "PARKED",
        "HOLDERS",
        "FREE",
        "EVENTS/S",
        "ETA"
    );
    let paces = paces.iter().copied().chain(std::iter::repeat(None));
    for (status, pace) in statuses.iter().zip(paces) {
        let shown = if status.shown { "yes" } else { "" };
        let heartbeat = status.heartbeat_age_seconds.map_or_else(|| "never".to_owned(), |age| format!("{age:.1} s"));
        let rate = pace.map_or_else(|| "-".to_owned(), |pace| format!("{:.0}", pace.events_per_second));
        let left = pace.and_then(|pace| pace.seconds_left(status.lag_events)).filter(|_| status.lag_events > 0);
        let eta = left.map_or_else(|| "-".to_owned(), duration);
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "{:<20} {shown:<5} {:<11} {:>12} {:>11} {:>10.1} {heartbeat:>14} {:>7} {:>8} {:>6} {rate:>9} {eta:>8}",
            status.build(),
            status.state.as_str(),
            status.position,
            status.lag_events,
            status.lag_seconds,
            status.parked_keys,
            status.holders,
            status.free_partitions,
        );
        for PartitionStatus { partition, position, lag_events, lag_seconds } in &status.partitions {
            let name = format!("  partition {partition}");
            let _ = writeln!(table, "{name:<38} {position:>12} {lag_events:>11} {lag_seconds:>10.1}");
        }
    }
    table
}

/// Seconds as people say them: `45 s`, `12 min`, `3.5 h`.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        ..1.0 => "< 1 s".to_owned(),
        ..100.0 => format!("{seconds:.0} s"),
        ..6_000.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

#[cfg(test)]
impl Status {
    /// A projection that is well.
    pub(crate) fn example() -> Self {
        Self {
            projection: "totals".to_owned(),
            version: 1,
            generation: 1,
            state: State::Live,
            shown: true,
            position: 1_000,
            lag_events: 0,
            lag_seconds: 0.0,
            heartbeat_age_seconds: Some(0.4),
            parked_keys: 0,
            holders: 1,
            free_partitions: 0,
            partitions: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_comes_before_lag_and_lag_before_parked_keys() {
        assert_eq!(State::of_fed(None, 0.0, 0, true), State::Stalled);
        assert_eq!(State::of_fed(Some(11.0), 0.0, 1, true), State::Stalled);
        assert_eq!(State::of_fed(Some(1.0), 6.0, 1, true), State::CatchingUp);
        assert_eq!(State::of_fed(Some(1.0), 0.2, 1, true), State::ParkedKeys);
        assert_eq!(State::of_fed(Some(1.0), 0.2, 0, true), State::Live);
        assert_eq!(State::of_fed(Some(1.0), 0.2, 0, false), State::Warm);
    }

    #[test]
    fn the_pace_and_the_end_are_shown_where_they_are_known() {
        let behind = Status { lag_events: 60_000, state: State::CatchingUp, ..Status::example() };
        let pace = Pace { events_per_second: 20_000.0, closing_per_second: 10_000.0 };
        let shown = table(&[behind.clone(), Status::example()], &[Some(pace)]);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].contains("catching up") && lines[1].trim_end().ends_with("20000      6 s"), "{shown}");
        assert!(lines[2].contains("live") && lines[2].trim_end().ends_with("-        -"), "{shown}");
        assert_eq!(duration(125.0), "2 min");
        assert_eq!(duration(7_200.0), "2.0 h");
    }
}
