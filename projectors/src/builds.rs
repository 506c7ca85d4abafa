//! Which builds there are and which of them readers see: the tables `builds` and `read_models`, as this program reads them.
//! Builds of versions it does not have (a newer program's) are passed over: they are that program's to feed.
use chrono::{DateTime, Utc};
use fittrack_schemas::read_models::Build;
use sqlx::PgConnection;

use crate::registry::Built;

/// A build's stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A rebuild loads it from the event store.
    Filling,
    /// The projectors keep it up to date.
    Fed,
    /// Its rows are gone.
    Retired,
}

/// A build and what is known of it.
#[derive(Clone)]
pub struct Known {
    /// The build with its projection.
    pub built: Built,
    /// Its stage.
    pub stage: Stage,
    /// Whether readers see it.
    pub shown: bool,
    /// Who rebuilds it, where somebody does or did.
    pub filled_by: Option<String>,
    /// Since when.
    pub filling_since: Option<DateTime<Utc>>,
    /// When it was compared and nothing differed but what was meant to.
    pub verified_at: Option<DateTime<Utc>>,
    /// The worker of the build it was compared with.
    pub verified_with: Option<String>,
    /// When another was shown in its place.
    pub shown_until: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    read_model: String,
    version: i32,
    generation: i32,
    state: String,
    shown: bool,
    filled_by: Option<String>,
    filling_since: Option<DateTime<Utc>>,
    verified_at: Option<DateTime<Utc>>,
    verified_with: Option<String>,
    shown_until: Option<DateTime<Utc>>,
}

const ALL: &str = "
SELECT b.read_model, b.version, b.generation, b.state, shown.name IS NOT NULL AS shown, b.filled_by, b.filling_since,
       b.verified_at, b.verified_with, b.shown_until
FROM builds b
LEFT JOIN read_models shown
       ON shown.name = b.read_model AND shown.version = b.version AND shown.generation = b.generation
WHERE $1::text IS NULL OR b.read_model = $1
ORDER BY b.read_model, b.version, b.generation";

/// Every build this program knows, of one read model where asked, retired ones included.
pub async fn all(connection: &mut PgConnection, read_model: Option<&str>) -> Result<Vec<Known>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(ALL).bind(read_model).fetch_all(connection).await?;
    Ok(rows.into_iter().filter_map(known).collect())
}

fn known(row: Row) -> Option<Known> {
    let built = Built::of(Build::known(&row.read_model, row.version, row.generation)?)?;
    let stage = match row.state.as_str() {
        "filling" => Stage::Filling,
        "fed" => Stage::Fed,
        _ => Stage::Retired,
    };
    Some(Known {
        built,
        stage,
        shown: row.shown,
        filled_by: row.filled_by,
        filling_since: row.filling_since,
        verified_at: row.verified_at,
        verified_with: row.verified_with,
        shown_until: row.shown_until,
    })
}

/// Why no build is shown.
#[derive(Debug, thiserror::Error)]
pub enum ShownError {
    /// The database has none, or one this program does not know.
    #[error("{0} shows no build this program knows: run `projectors migrate`, or the newer projectors")]
    None(String),
    /// A database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The build of a read model that readers see.
pub async fn shown(connection: &mut PgConnection, read_model: &str) -> Result<Built, ShownError> {
    let shown = all(connection, Some(read_model)).await?.into_iter().find(|known| known.shown);
    shown.map(|known| known.built).ok_or_else(|| ShownError::None(read_model.to_owned()))
}

const IS_SHOWN: &str = "SELECT EXISTS (SELECT FROM read_models WHERE worker = $1)";

/// Whether readers see this build.
pub async fn is_shown(connection: &mut PgConnection, build: Build) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(IS_SHOWN).bind(build.worker()).fetch_one(connection).await
}
