//! `projectors verify NAME`: compares a build with what readers see, at the same positions, and says what differs and why.
//!
//! Both are read in one snapshot, in which rows and checkpoints belong together. Where one is an event further than the other,
//! the owners of those events are left out and compared in the next snapshot, until nobody is left. First come hashes over the
//! columns both have, bucket by bucket; of the buckets that differ, the rows; of the rows, those that no declared difference
//! explains, each with the events that made it.
mod columns;
mod sql;

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use fittrack_schemas::read_models::{Shape, ShowsIn};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    builds::{self, Known, ShownError},
    explain::{self, Explained},
    registry::Built,
};
use columns::Columns;

/// More owners than this on the way between the builds are not waited for.
const MOST_OWNERS_ON_THE_WAY: usize = 20_000;
/// Snapshots for those who were on the way before.
const ROUNDS: usize = 100;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(50);
/// At most so many rows that nothing explains are shown.
const MOST_ROWS: i64 = 100;
/// The events of at most so many of them.
const MOST_EXPLAINED: usize = 5;

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Its rows cannot be told apart alike.
    #[error("{0} and {1} have different keys ({2} and {3}): their rows cannot be compared one by one")]
    Keys(String, String, String, String),
    /// One of them is far from the other.
    #[error("{0} and {1} are far apart: wait until both have caught up (see `projectors status`)")]
    FarApart(String, String),
    /// Some owners' events come all the time.
    #[error("the events of {0} owners came too fast to find both builds at the same position: try again")]
    TooBusy(usize),
    /// What is shown is not known.
    #[error(transparent)]
    Shown(#[from] ShownError),
    /// A database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What comparing came to.
#[derive(Debug, Default, Serialize)]
pub struct Verified {
    /// What was compared.
    pub build: String,
    /// With what readers see.
    pub with: String,
    /// Rows of both.
    pub rows: i64,
    pub(crate) rows_with: i64,
    /// Buckets of owners whose hashes differed.
    pub differing_buckets: usize,
    /// Intended differences that were found, with how many rows they explain.
    pub intended: Vec<Intended>,
    /// Columns that only one has and nothing declares.
    pub undeclared_columns: Vec<String>,
    /// How many rows differ and nothing explains it.
    pub unexplained_rows: i64,
    /// The first of them.
    pub unexplained: Vec<Differing>,
    /// How the first few came about.
    pub events: Vec<Explained>,
}

/// A declared difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Intended {
    /// What changed.
    pub what: &'static str,
    /// How many rows it explains; nothing where it is a column.
    pub rows: Option<i64>,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Differing {
    /// Its key, as `explain` takes it.
    pub key: String,
    /// Whose it is.
    pub owner_id: Uuid,
    /// In the older version, where it is there.
    pub old: Option<Value>,
    /// In the newer version, where it is there.
    pub new: Option<Value>,
}

impl Verified {
    /// Whether nothing differs but what is meant to.
    pub fn is_sound(&self) -> bool {
        self.unexplained_rows == 0 && self.undeclared_columns.is_empty()
    }
}

/// The two builds by the age of their versions, which is how differences are declared.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub old: Built,
    pub new: Built,
}

/// Compares a build with what readers see, and notes that it was found sound.
pub async fn verify(
    store: &PgPool,
    read_models: &PgPool,
    owner: &PgPool,
    candidate: &Known,
) -> Result<Verified, VerifyError> {
    let mut connection = owner.acquire().await?;
    let shown = builds::shown(&mut connection, candidate.built.name()).await?;
    let built = candidate.built;
    let pair = if built.build.version < shown.build.version {
        Pair { old: built, new: shown }
    } else {
        Pair { old: shown, new: built }
    };
    let mut verified = compare(store, &mut connection, pair).await?;
    (verified.build, verified.with) = (built.worker(), shown.worker());
    if built.build == pair.old.build {
        std::mem::swap(&mut verified.rows, &mut verified.rows_with);
    }
    sql::note(&mut connection, &verified).await?;
    drop(connection);
    let mut connection = read_models.acquire().await?;
    for row in verified.unexplained.iter().take(MOST_EXPLAINED) {
        // What cannot be explained either is said by the row alone.
        if let Ok(explained) = explain::explain(store, &mut connection, built, &row.key).await {
            verified.events.push(explained);
        }
    }
    Ok(verified)
}

async fn compare(store: &PgPool, connection: &mut PgConnection, pair: Pair) -> Result<Verified, VerifyError> {
    let columns = Columns::of(connection, pair).await?;
    let mut verified = Verified::default();
    columns.declare(pair, &mut verified);
    let mut waiting: Option<BTreeSet<Uuid>> = None;
    for _ in 0..ROUNDS {
        let mut snapshot = connection.begin().await?;
        snapshot.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        let on_the_way = on_the_way(store, &mut snapshot, pair).await?;
        match &waiting {
            None => everybody(&mut snapshot, pair, &columns, &on_the_way, &mut verified).await?,
            Some(waiting) => {
                let those: Vec<Uuid> = waiting.difference(&on_the_way).copied().collect();
                let scope = sql::Scope::Owners(&those);
                rows(&mut snapshot, pair, &columns, scope, &mut verified).await?;
            }
        }
        snapshot.rollback().await?;
        let left: BTreeSet<Uuid> = match waiting {
            None => on_the_way,
            Some(waiting) => waiting.intersection(&on_the_way).copied().collect(),
        };
        if left.is_empty() {
            return Ok(verified);
        }
        waiting = Some(left);
        sleep(PAUSE).await;
    }
    Err(VerifyError::TooBusy(waiting.map_or(0, |waiting| waiting.len())))
}

/// The owners of the events that one of the builds has and the other has not, in this snapshot.
async fn on_the_way(store: &PgPool, snapshot: &mut PgConnection, pair: Pair) -> Result<BTreeSet<Uuid>, VerifyError> {
    let spans = sql::spans(snapshot, &pair.old.worker(), &pair.new.worker()).await?;
    let far_apart = || VerifyError::FarApart(pair.old.worker(), pair.new.worker());
    let events: i64 = spans.iter().map(|(_, low, high)| high - low).sum();
    if usize::try_from(events).map_or(true, |events| events > MOST_OWNERS_ON_THE_WAY) {
        return Err(far_apart());
    }
    Ok(sql::owners_of(store, &spans).await?.into_iter().collect())
}

/// Hashes first, then the rows of the buckets that differ.
async fn everybody(
    snapshot: &mut PgConnection,
    pair: Pair,
    columns: &Columns,
    but: &BTreeSet<Uuid>,
    verified: &mut Verified,
) -> Result<(), VerifyError> {
    let but: Vec<Uuid> = but.iter().copied().collect();
    let hashes = sql::hashes(snapshot, pair, columns, &but).await?;
    verified.rows_with = hashes.old_rows;
    verified.rows = hashes.new_rows;
    verified.differing_buckets = hashes.differing.len();
    if hashes.differing.is_empty() {
        return Ok(());
    }
    let scope = sql::Scope::Buckets { buckets: &hashes.differing, but: &but };
    rows(snapshot, pair, columns, scope, verified).await
}

async fn rows(
    snapshot: &mut PgConnection,
    pair: Pair,
    columns: &Columns,
    scope: sql::Scope<'_>,
    verified: &mut Verified,
) -> Result<(), VerifyError> {
    for (cause, rows) in sql::causes(snapshot, pair, columns, scope).await? {
        match usize::try_from(cause).ok().and_then(|cause| columns.causes.get(cause)) {
            Some((what, _)) => match verified.intended.iter_mut().find(|intended| intended.what == *what) {
                Some(intended) => intended.rows = Some(intended.rows.unwrap_or(0) + rows),
                None => verified.intended.push(Intended { what, rows: Some(rows) }),
            },
            None => verified.unexplained_rows += rows,
        }
    }
    let room = MOST_ROWS - i64::try_from(verified.unexplained.len()).unwrap_or(MOST_ROWS);
    if verified.unexplained_rows > 0 && room > 0 {
        verified.unexplained.extend(sql::unexplained(snapshot, pair, columns, scope, room).await?);
    }
    Ok(())
}

impl Columns {
    /// The declared differences of columns, and those that nothing declares.
    fn declare(&self, pair: Pair, verified: &mut Verified) {
        let declared = declared(pair);
        for column in &self.only_one {
            let is_declared = |shows_in: &ShowsIn| matches!(shows_in, ShowsIn::Column(name) if name == column);
            let difference = declared.iter().find(|(shows_in, _)| is_declared(shows_in));
            match difference {
                Some((_, what)) => verified.intended.push(Intended { what, rows: None }),
                None => verified.undeclared_columns.push(column.clone()),
            }
        }
    }
}

/// What the newer version declares against the older one.
pub(crate) fn declared(pair: Pair) -> Vec<(ShowsIn, &'static str)> {
    if pair.old.build.version == pair.new.build.version {
        return vec![];
    }
    Shape::of(pair.new.name(), pair.new.build.version)
        .into_iter()
        .flat_map(|shape| shape.differences_from(pair.old.build.version))
        .map(|difference| (difference.shows_in, difference.what))
        .collect()
}

/// The comparison for people.
pub fn text(verified: &Verified) -> Result<String, serde_json::Error> {
    let Verified { build, with, rows, rows_with, .. } = verified;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{build} ({rows} rows) beside {with} ({rows_with} rows), at the same positions");
    for Intended { what, rows } in &verified.intended {
        let rows = rows.map(|rows| format!(" ({rows} rows)")).unwrap_or_default();
        let _ = writeln!(text, "  intended   {what}{rows}");
    }
    for column in &verified.undeclared_columns {
        let _ = writeln!(text, "  NOT MEANT  only one of them has the column {column}, and no difference declares it");
    }
    if verified.unexplained_rows > 0 {
        let _ = writeln!(text, "  NOT MEANT  {} rows differ, and nothing explains it:", verified.unexplained_rows);
    }
    for row in &verified.unexplained {
        let _ = writeln!(text, "    {}", row.key);
        for (name, row) in [("older", &row.old), ("newer", &row.new)] {
            let row = row.as_ref().map(serde_json::to_string).transpose()?;
            let _ = writeln!(text, "      {name}  {}", row.as_deref().unwrap_or("not there"));
        }
    }
    for explained in &verified.events {
        let _ = writeln!(text, "  how {build} came to it:");
        text.push_str(&explain::text(explained)?);
    }
    let _ = writeln!(text, "{}", if verified.is_sound() { "sound: it may be promoted" } else { "NOT SOUND" });
    Ok(text)
}
