//! The proof that no build lost an event, or took another for it: what each build passed, as a count and a rolling hash kept with
//! its checkpoints, against the event store's own log. `projectors check` reads the whole log; [`prover`] keeps doing so as it grows.
pub mod prover;

use std::fmt::Write as _;

use fittrack_schemas::proof::{LogError, Mark};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use crate::{
    builds::{self, Stage},
    event_log,
};

/// Events that one statement reads.
const PAGE: i64 = 10_000;

/// What the check of every build came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Each build that is fed.
    pub builds: Vec<BuildReport>,
    /// What is wrong, in words; empty when all is well.
    pub violations: Vec<String>,
}

/// One build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BuildReport {
    /// The build.
    pub build: String,
    /// How many events it has passed: applied, parked, or of no interest to it.
    pub events: i64,
    /// How many of them are proven to be the log's.
    pub proven: i64,
    /// How many are not; 0 when all is well.
    pub unproven: i64,
}

/// What a build keeps of a partition.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Kept {
    pub worker: String,
    pub partition: i32,
    #[sqlx(flatten)]
    pub mark: Mark,
}

const KEPT: &str = "
SELECT worker, partition, position, proof_events, proof_hash
FROM checkpoints WHERE worker = ANY($1) ORDER BY partition, position, worker";

/// What these builds keep, a partition's lowest position first.
pub(crate) async fn kept(connection: &mut PgConnection, workers: &[String]) -> Result<Vec<Kept>, sqlx::Error> {
    sqlx::query_as(KEPT).bind(workers).fetch_all(connection).await
}

/// The builds that are fed.
pub(crate) async fn fed(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let all = builds::all(connection, None).await?;
    Ok(all.iter().filter(|known| known.stage == Stage::Fed).map(|known| known.built.worker()).collect())
}

/// Reads the whole log once and compares every build with it.
pub async fn check(store: &PgPool, read_models: &PgPool) -> Result<Report, sqlx::Error> {
    let mut connection = read_models.acquire().await?;
    let workers = fed(&mut connection).await?;
    // Before the log, so that whatever a build has passed is in what is read.
    let kept = kept(&mut connection, &workers).await?;
    drop(connection);
    let mut report = Report::default();
    for build in workers {
        report.builds.push(BuildReport { build, ..BuildReport::default() });
    }
    for partition in 0..event_log::partitions(store).await? {
        let of_partition: Vec<&Kept> = kept.iter().filter(|kept| kept.partition == partition).collect();
        compare(store, partition, &of_partition, &mut report).await?;
    }
    Ok(report)
}

async fn compare(store: &PgPool, partition: i32, kept: &[&Kept], report: &mut Report) -> Result<(), sqlx::Error> {
    let mut log = Mark::default();
    for Kept { worker, mark, .. } in kept {
        let missing = read_to(store, partition, &mut log, mark.position).await?;
        let violation = match missing {
            Some(position) => Some(format!(
                "{worker} has passed position {} of partition {partition}, and the log has no event at {position}",
                mark.position
            )),
            None if log != *mark => Some(format!(
                "{worker}: the {} events of partition {partition} it has passed are not those of the log up to {}",
                mark.proof.events, mark.position
            )),
            None => None,
        };
        let proven = violation.is_none();
        report.violations.extend(violation);
        if let Some(build) = report.builds.iter_mut().find(|build| build.build == *worker) {
            build.events += mark.position;
            *(if proven { &mut build.proven } else { &mut build.unproven }) += mark.position;
        }
    }
    Ok(())
}

/// Reads the log up to a position; where it has a hole, its place.
async fn read_to(store: &PgPool, partition: i32, log: &mut Mark, to: i64) -> Result<Option<i64>, sqlx::Error> {
    while log.position < to {
        match log.read_on(store, partition, to, PAGE).await {
            Ok(_) => {}
            Err(LogError::Missing { position, .. }) => return Ok(Some(position)),
            Err(LogError::Store(error)) => return Err(error),
        }
    }
    Ok(None)
}

/// The report for people.
pub fn text(report: &Report) -> String {
    let mut text = format!("{:<20} {:>12} {:>12} {:>12}\n", "BUILD", "EVENTS", "PROVEN", "UNPROVEN");
    for BuildReport { build, events, proven, unproven } in &report.builds {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{build:<20} {events:>12} {proven:>12} {unproven:>12}");
    }
    for violation in &report.violations {
        let _ = writeln!(text, "VIOLATION  {violation}");
    }
    if report.violations.is_empty() {
        text.push_str("every build has passed the log's events, each once and in order\n");
    }
    text
}
