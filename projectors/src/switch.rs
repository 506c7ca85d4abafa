//! Which build readers see: `promote`, the same step backwards (`rollback`), and `retire`, which drops what nobody sees.
//!
//! A switch is one transaction. It holds the checkpoints of what is shown, so that it comes no further; waits the moment that
//! the other build needs to have at least as much; takes both from their workers, which then learn who is shown; and only at
//! the end replaces the view, for which readers wait some milliseconds. So whoever was answered up to a position finds it in
//! the other build too, and consistency tokens and cursors stay good.
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use fittrack_schemas::read_models;
use serde::Serialize;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use crate::{
    audit::{self, Action, Operator, Subject},
    builds::{self, Known, ShownError, Stage},
    notices::Notices,
    rebuild::claim::Claim,
    registry::Built,
};

/// How long a switch tries before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long readers of what is shown may see nothing new, at most, while the other build catches up.
const HOLD: Duration = Duration::from_secs(1);
/// Readers wait for the view no longer than this; where somebody reads longer, the switch steps back and tries again.
const LOCK_VIEW: &str = "SET LOCAL lock_timeout = '30ms'";
/// Workers and their leases are waited for.
const LOCK_CHECKPOINTS: &str = "SET LOCAL lock_timeout = '2s'";
/// Tables that are dropped are waited for.
const LOCK_TABLES: &str = "SET LOCAL lock_timeout = '5s'";
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two looks at how far the other build is.
const LOOK: Duration = Duration::from_millis(5);

/// Why nothing was switched or retired.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// There is no other build to be shown.
    #[error("{0} has no build besides what readers see: make one with `projectors rebuild {0}`")]
    NothingElse(String),
    /// There are several.
    #[error("{0} has several builds that readers do not see ({1}): say which with --version and --generation")]
    Several(String, String),
    /// It is not there, or not in the state that is needed.
    #[error("{0} is not fed: see `projectors status --retired`")]
    NotFed(String),
    /// It was not compared.
    #[error("{0} was not verified against {1}: run `projectors verify` first, or give --force with a --reason")]
    NotVerified(String, String),
    /// It does not come as far as what is shown.
    #[error("{0} is {1} events behind what readers see and does not catch up: see `projectors status`")]
    Behind(String, i64),
    /// Readers hold the view all the time.
    #[error("readers held the view of {0} for {1:?}: try again")]
    Held(String, Duration),
    /// There is nothing to go back to.
    #[error("{0} has nothing to go back to")]
    NoWayBack(String),
    /// Readers see it.
    #[error("readers see {0}: promote another build first")]
    IsShown(String),
    /// It may be needed for a rollback still.
    #[error("{0} was shown until {1} and is kept for {2} hours in case of a rollback; `--grace-hours 0` drops it now")]
    InGrace(String, String, u32),
    /// Somebody rebuilds it.
    #[error(transparent)]
    Rebuilt(#[from] crate::rebuild::RebuildError),
    /// What is shown is not known.
    #[error(transparent)]
    Shown(#[from] ShownError),
    /// A database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Switched {
    /// What readers saw.
    pub from: String,
    /// What they see.
    pub to: String,
    /// For how long the view was held, in milliseconds: what a reader may have waited.
    pub held_ms: f64,
}

/// The build that a command means: the one that was named, or the only one that is fed and not shown.
pub async fn other(
    owner: &PgPool,
    name: &str,
    version: Option<i32>,
    generation: Option<i32>,
) -> Result<Known, SwitchError> {
    let mut all = builds::all(&mut *owner.acquire().await?, Some(name)).await?;
    all.retain(|known| {
        let build = known.built.build;
        known.stage == Stage::Fed
            && !known.shown
            && version.is_none_or(|version| build.version == version)
            && generation.is_none_or(|generation| build.generation == generation)
    });
    match all.len() {
        0 => Err(SwitchError::NothingElse(name.to_owned())),
        1 => Ok(all.remove(0)),
        _ => {
            let names: Vec<String> = all.iter().map(|known| known.built.worker()).collect();
            Err(SwitchError::Several(name.to_owned(), names.join(", ")))
        }
    }
}

/// Shows this build to readers. Without `force` only one that was verified against what they see.
pub async fn promote(
    owner: &PgPool,
    to: &Known,
    force: bool,
    operator: &Operator,
    notices: &Notices,
) -> Result<Switched, SwitchError> {
    let from = builds::shown(&mut *owner.acquire().await?, to.built.name()).await?;
    if !force && to.verified_with.as_ref() != Some(&from.worker()) {
        return Err(SwitchError::NotVerified(to.built.worker(), from.worker()));
    }
    switch(owner, from, to.built, Action::Promoted, operator, notices).await
}

const PREVIOUS: &str = "SELECT previous_version, previous_generation FROM read_models WHERE name = $1";

/// Shows readers what they saw before the last promotion.
pub async fn rollback(
    owner: &PgPool,
    name: &str,
    operator: &Operator,
    notices: &Notices,
) -> Result<Switched, SwitchError> {
    let mut connection = owner.acquire().await?;
    let from = builds::shown(&mut connection, name).await?;
    let (version, generation): (Option<i32>, Option<i32>) =
        sqlx::query_as(PREVIOUS).bind(name).fetch_one(&mut *connection).await?;
    drop(connection);
    let no_way = || SwitchError::NoWayBack(name.to_owned());
    let (Some(version), Some(generation)) = (version, generation) else { return Err(no_way()) };
    let to = other(owner, name, Some(version), Some(generation)).await.map_err(|error| match error {
        SwitchError::NothingElse(_) => no_way(),
        error => error,
    })?;
    switch(owner, from, to.built, Action::RolledBack, operator, notices).await
}

/// Why a try changed nothing.
enum Miss {
    /// So many events are missing still.
    Behind(i64),
    /// Somebody reads for longer.
    Held,
    Failed(SwitchError),
}

impl<E: Into<SwitchError>> From<E> for Miss {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn switch(
    owner: &PgPool,
    from: Built,
    to: Built,
    action: Action,
    operator: &Operator,
    notices: &Notices,
) -> Result<Switched, SwitchError> {
    let began = Instant::now();
    loop {
        let mut connection = owner.acquire().await?;
        let miss = match try_to_switch(&mut connection, from, to, action, operator).await {
            Ok((switched, checkpoints)) => {
                notices.give(&to.notice(checkpoints, None));
                return Ok(switched);
            }
            Err(Miss::Failed(error)) => return Err(error),
            Err(miss) => miss,
        };
        drop(connection);
        if began.elapsed() > PATIENCE {
            return Err(match miss {
                Miss::Behind(events) => SwitchError::Behind(to.worker(), events),
                _ => SwitchError::Held(to.name().to_owned(), PATIENCE),
            });
        }
        sleep(PAUSE).await;
    }
}

async fn try_to_switch(
    connection: &mut PgConnection,
    from: Built,
    to: Built,
    action: Action,
    operator: &Operator,
) -> Result<(Switched, Vec<(i32, i64)>), Miss> {
    let mut transaction = connection.begin().await?;
    transaction.execute(LOCK_CHECKPOINTS).await?;
    if builds::shown(&mut transaction, to.name()).await.map_err(SwitchError::from)?.build != from.build {
        return Err(SwitchError::IsShown(to.worker()).into());
    }
    let shown = hold(&mut transaction, &from.worker()).await?;
    let checkpoints = caught_up(&mut transaction, &to.worker(), &shown).await?;
    fence(&mut transaction, from, to).await?;
    record(&mut transaction, from, to, action, operator).await?;
    let waited = Instant::now();
    transaction.execute(LOCK_VIEW).await?;
    if let Err(error) = read_models::show(&mut transaction, to.build).await {
        // 55P03: the lock was not to be had in time.
        let held = error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"));
        return Err(if held { Miss::Held } else { error.into() });
    }
    transaction.commit().await?;
    let held_ms = waited.elapsed().as_secs_f64() * 1_000.0;
    Ok((Switched { from: from.worker(), to: to.worker(), held_ms }, checkpoints))
}

const HOLD_CHECKPOINTS: &str =
    "SELECT partition, position FROM checkpoints WHERE worker = $1 ORDER BY partition FOR UPDATE";
const POSITIONS: &str = "SELECT partition, position FROM checkpoints WHERE worker = $1 ORDER BY partition";

/// A build's positions, which stay what they are until the end of the transaction.
async fn hold(transaction: &mut PgConnection, worker: &str) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    sqlx::query_as(HOLD_CHECKPOINTS).bind(worker).fetch_all(transaction).await
}

/// Waits until the build has everything the other one has, and holds it there.
async fn caught_up(
    transaction: &mut PgConnection,
    worker: &str,
    shown: &[(i32, i64)],
) -> Result<Vec<(i32, i64)>, Miss> {
    let began = Instant::now();
    loop {
        let positions: Vec<(i32, i64)> = sqlx::query_as(POSITIONS).bind(worker).fetch_all(&mut *transaction).await?;
        let behind = behind(&positions, shown);
        if behind == 0 {
            return Ok(hold(transaction, worker).await?);
        }
        if began.elapsed() > HOLD {
            return Err(Miss::Behind(behind));
        }
        sleep(LOOK).await;
    }
}

fn behind(positions: &[(i32, i64)], shown: &[(i32, i64)]) -> i64 {
    let of = |partition| positions.iter().find(|(of, _)| *of == partition).map_or(0, |(_, position)| *position);
    shown.iter().map(|(partition, position)| (position - of(*partition)).max(0)).sum()
}

const FENCE: &str = "
UPDATE checkpoints SET epoch = epoch + 1, holder = NULL, lease_expires_at = NULL WHERE worker = ANY($1)";

/// Takes both builds from their workers: whoever takes them again looks which of them is shown.
async fn fence(transaction: &mut PgConnection, from: Built, to: Built) -> Result<(), sqlx::Error> {
    sqlx::query(FENCE).bind(vec![from.worker(), to.worker()]).execute(transaction).await?;
    Ok(())
}

const SHOW: &str = "
UPDATE read_models SET version = $2, generation = $3, previous_version = $4, previous_generation = $5, flips = flips + 1
WHERE name = $1";
const SHOWN_UNTIL: &str = "
UPDATE builds SET shown_until = CASE WHEN worker = $1 THEN clock_timestamp() END WHERE worker IN ($1, $2)";

async fn record(
    transaction: &mut PgConnection,
    from: Built,
    to: Built,
    action: Action,
    operator: &Operator,
) -> Result<(), sqlx::Error> {
    // What was left by a rollback is not gone back to by the next one.
    let previous = (action == Action::Promoted).then_some(from.build);
    sqlx::query(SHOW)
        .bind(to.name())
        .bind(to.build.version)
        .bind(to.build.generation)
        .bind(previous.map(|build| build.version))
        .bind(previous.map(|build| build.generation))
        .execute(&mut *transaction)
        .await?;
    sqlx::query(SHOWN_UNTIL).bind(from.worker()).bind(to.worker()).execute(&mut *transaction).await?;
    audit::record(transaction, operator, action, Subject::of_build(&to.worker()), None).await
}

const FORGET: [&str; 4] = [
    "DELETE FROM checkpoints WHERE worker = $1",
    "DELETE FROM lease_members WHERE worker = $1",
    "DELETE FROM parked_events WHERE worker = $1",
    "UPDATE builds SET state = 'retired', retired_at = clock_timestamp(), filling_since = NULL WHERE worker = $1",
];
const NO_WAY_BACK: &str = "
UPDATE read_models SET previous_version = NULL, previous_generation = NULL
WHERE name = $1 AND previous_version = $2 AND previous_generation = $3";

/// Drops a build that readers do not see, some hours after they saw it last; its rows are gone for good.
pub async fn retire(
    owner: &PgPool,
    name: &str,
    version: i32,
    generation: Option<i32>,
    grace_hours: u32,
    operator: &Operator,
) -> Result<String, SwitchError> {
    let known = to_be_retired(owner, name, version, generation).await?;
    let (built, worker) = (known.built, known.built.worker());
    if known.shown {
        return Err(SwitchError::IsShown(worker));
    }
    let grace = TimeDelta::hours(grace_hours.into());
    let in_grace = known.shown_until.filter(|until| fittrack_runtime::clock::now() - until < grace);
    if let Some(until) = in_grace {
        return Err(SwitchError::InGrace(
            worker,
            until.with_timezone(&Utc).format("%F %T UTC").to_string(),
            grace_hours,
        ));
    }
    let claim = Claim::take(owner, built, operator).await?;
    let mut connection = owner.acquire().await?;
    let mut transaction = connection.begin().await?;
    transaction.execute(LOCK_TABLES).await?;
    for statement in FORGET {
        sqlx::query(statement).bind(&worker).execute(&mut *transaction).await?;
    }
    sqlx::query(NO_WAY_BACK)
        .bind(name)
        .bind(built.build.version)
        .bind(built.build.generation)
        .execute(&mut *transaction)
        .await?;
    read_models::drop(&mut transaction, built.build).await?;
    audit::record(&mut transaction, operator, Action::Retired, Subject::of_build(&worker), None).await?;
    transaction.commit().await?;
    claim.release().await;
    Ok(worker)
}

async fn to_be_retired(
    owner: &PgPool,
    name: &str,
    version: i32,
    generation: Option<i32>,
) -> Result<Known, SwitchError> {
    let mut all = builds::all(&mut *owner.acquire().await?, Some(name)).await?;
    all.retain(|known| {
        let build = known.built.build;
        known.stage != Stage::Retired
            && build.version == version
            && generation.is_none_or(|generation| build.generation == generation)
    });
    // Of several generations the one that readers see is not meant.
    if all.len() > 1 {
        all.retain(|known| !known.shown);
    }
    match all.len() {
        0 => Err(SwitchError::NotFed(format!("{name}.v{version}"))),
        1 => Ok(all.remove(0)),
        _ => {
            let names: Vec<String> = all.iter().map(|known| known.built.worker()).collect();
            Err(SwitchError::Several(name.to_owned(), names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_behind_by_what_the_shown_one_has_and_it_has_not() {
        let shown = [(0, 10), (1, 5), (2, 0)];
        assert_eq!(behind(&[(0, 10), (1, 9), (2, 0)], &shown), 0);
        assert_eq!(behind(&[(0, 7)], &shown), 8);
    }
}
