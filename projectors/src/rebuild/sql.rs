//! The statements of a rebuild.
use fittrack_schemas::read_models::{self, Build};
use sqlx::{Executor, PgConnection, PgPool};

use super::Place;
use crate::event_log;

const REGISTER: &str = "
INSERT INTO builds (read_model, version, generation, state) VALUES ($1, $2, $3, 'filling')
ON CONFLICT DO NOTHING";

/// Makes the build known; `false` where it was.
pub(super) async fn register(owner: &mut PgConnection, build: Build) -> Result<bool, sqlx::Error> {
    let made =
        sqlx::query(REGISTER).bind(build.read_model).bind(build.version).bind(build.generation).execute(owner).await?;
    Ok(made.rows_affected() == 1)
}

const SEED: &str = "
INSERT INTO checkpoints (worker, partition) SELECT $1, p FROM generate_series(0, $2 - 1) AS p";

/// Checkpoints at nothing.
pub(super) async fn seed(owner: &mut PgConnection, worker: &str, partitions: i32) -> Result<(), sqlx::Error> {
    sqlx::query(SEED).bind(worker).bind(partitions).execute(owner).await?;
    Ok(())
}

const WHO: &str = "UPDATE builds SET filled_by = $2, filling_since = clock_timestamp() WHERE worker = $1";
/// Whoever rebuilt it before and sleeps writes nothing more.
const NEW_EPOCH: &str = "UPDATE checkpoints SET epoch = epoch + 1 WHERE worker = $1";

/// Says who rebuilds it now.
pub(super) async fn take_over(owner: &mut PgConnection, build: Build, by: &str) -> Result<(), sqlx::Error> {
    let worker = build.worker();
    sqlx::query(WHO).bind(&worker).bind(by).execute(&mut *owner).await?;
    sqlx::query(NEW_EPOCH).bind(&worker).execute(owner).await?;
    Ok(())
}

/// A partition that has nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    pub partition: i32,
    pub epoch: i64,
    pub upto: i64,
    pub next_offset: Option<i64>,
}

/// The offset of what is shown may be behind or ahead of where this build will stand; a hint need not be right.
const UNFILLED: &str = "
SELECT c.partition, c.epoch, shown.next_offset
FROM checkpoints c
LEFT JOIN read_models m ON m.name = $2
LEFT JOIN checkpoints shown ON shown.worker = m.worker AND shown.partition = c.partition
WHERE c.worker = $1 AND c.position = 0
ORDER BY c.partition";

/// What is to be loaded, each partition up to its head of now.
pub(super) async fn work(place: &Place, build: Build) -> Result<Vec<Work>, sqlx::Error> {
    let unfilled: Vec<(i32, i64, Option<i64>)> =
        sqlx::query_as(UNFILLED).bind(build.worker()).bind(build.read_model).fetch_all(&place.read_models).await?;
    let partitions: Vec<i32> = unfilled.iter().map(|(partition, ..)| *partition).collect();
    let heads = event_log::heads(&place.store, &partitions).await?.map(|heads| heads.heads).unwrap_or_default();
    let work = unfilled.into_iter().filter_map(|(partition, epoch, next_offset)| {
        let (_, upto) = heads.iter().find(|(of, _)| *of == partition)?;
        (*upto > 0).then_some(Work { partition, epoch, upto: *upto, next_offset })
    });
    Ok(work.collect())
}

/// Fails where the build is not being filled (any more).
pub(super) async fn lock_filling(owner: &mut PgConnection, build: Build) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT FROM builds WHERE worker = $1 AND state = 'filling' FOR UPDATE")
        .bind(build.worker())
        .fetch_one(owner)
        .await?;
    Ok(())
}

/// Room to sort in memory.
const SORT_SETTINGS: &str = "
SELECT set_config('maintenance_work_mem', '256MB', true), set_config('max_parallel_maintenance_workers', $1, true)";

/// Keys and indexes, sorted by one process of Postgres and so many helpers.
pub(super) async fn index(owner: &mut PgConnection, build: Build, helpers: usize) -> Result<(), sqlx::Error> {
    sqlx::query(SORT_SETTINGS).bind(helpers.to_string()).execute(&mut *owner).await?;
    read_models::index(owner, build).await
}

/// Statistics, so that the first query has a plan that fits.
pub(super) async fn analyze(owner: &mut PgConnection, build: Build) -> Result<(), sqlx::Error> {
    owner.execute(&*format!("ANALYZE {}", build.table())).await?;
    Ok(())
}

const FED: &str = "UPDATE builds SET state = 'fed' WHERE worker = $1";

/// From now on the projectors feed it.
pub(super) async fn fed(owner: &mut PgConnection, build: Build) -> Result<(), sqlx::Error> {
    sqlx::query(FED).bind(build.worker()).execute(owner).await?;
    Ok(())
}

const BEHIND: &str = "
SELECT coalesce(sum(greatest(head.position - coalesce(c.position, 0), 0)), 0)::bigint
FROM unnest($2::integer[], $3::bigint[]) AS head (partition, position)
LEFT JOIN checkpoints c ON c.worker = $1 AND c.partition = head.partition";

/// How many events a build is short of these heads.
pub(crate) async fn behind(read_models: &PgPool, worker: &str, heads: &[(i32, i64)]) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(BEHIND)
        .bind(worker)
        .bind(heads.iter().map(|(partition, _)| *partition).collect::<Vec<_>>())
        .bind(heads.iter().map(|(_, position)| *position).collect::<Vec<_>>())
        .fetch_one(read_models)
        .await
}
