//! The builds of the read models, and the statements that make, show and drop them; all of them run as the database's owner.
//! A build is a version (a [`Shape`] and a fold) and a generation: the same version may be built once more beside itself.
mod shapes;

use std::fmt;

use sqlx::{Connection, Executor, PgConnection, PgPool, migrate::MigrateError};

pub use shapes::{Difference, SHAPES, Shape, ShowsIn};

use crate::migrations;

/// One build of a read model: `leaderboards.v2`, or `leaderboards.v2.g2` for its second generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Build {
    /// The read model's one name.
    pub read_model: &'static str,
    /// The version of its shape and its fold.
    pub version: i32,
    /// 1, 2, 3 ...: how often this version was built.
    pub generation: i32,
}

/// The name under which the build keeps checkpoints, leases and parked events; the columns `worker` say the same.
impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.v{}", self.read_model, self.version)?;
        if self.generation > 1 { write!(f, ".g{}", self.generation) } else { Ok(()) }
    }
}

impl Build {
    /// The first generation of a version.
    pub const fn first(read_model: &'static str, version: i32) -> Self {
        Self { read_model, version, generation: 1 }
    }

    /// The build of these numbers, where this program knows the version.
    pub fn known(read_model: &str, version: i32, generation: i32) -> Option<Self> {
        let shape = Shape::of(read_model, version)?;
        Some(Self { read_model: shape.read_model, version, generation })
    }

    /// The build that keeps its checkpoints under this name, where this program knows the version.
    pub fn of_worker(worker: &str) -> Option<Self> {
        let mut parts = worker.split('.');
        let (read_model, version) = (parts.next()?, parts.next()?.strip_prefix('v')?.parse().ok()?);
        let generation = parts.next().map_or(Some(1), |part| part.strip_prefix('g')?.parse().ok())?;
        Self::known(read_model, version, generation).filter(|build| build.worker() == worker)
    }

    /// The name of its checkpoints: `totals.v1`.
    pub fn worker(&self) -> String {
        self.to_string()
    }

    /// The schema its table is in: `totals_v1`.
    pub fn schema(&self) -> String {
        self.to_string().replace('.', "_")
    }

    /// Where its rows are: `totals_v1.totals`.
    pub fn table(&self) -> String {
        format!("{}.{}", self.schema(), self.read_model)
    }

    /// A statement with this build's schema for `{schema}`.
    pub fn sql(&self, statement: &str) -> String {
        statement.replace("{schema}", &self.schema())
    }
}

/// Brings the read models' database to the newest schema. A read model that has no build yet gets its newest version, shown.
pub async fn migrate(owner: &PgPool) -> Result<(), MigrateError> {
    migrations::apply(&migrations::READ_MODELS, owner).await?;
    let mut connection = owner.acquire().await?;
    let mut transaction = connection.begin().await?;
    // Two programs that migrate at once: the second finds the builds of the first.
    sqlx::query("LOCK TABLE builds IN SHARE ROW EXCLUSIVE MODE").execute(&mut *transaction).await?;
    for shape in SHAPES.iter().filter(|shape| shape.is_newest()) {
        begin_with(&mut transaction, shape).await?;
    }
    transaction.commit().await?;
    Ok(())
}

const HAS_BUILDS: &str = "SELECT EXISTS (SELECT FROM builds WHERE read_model = $1)";
const FIRST_BUILD: &str = "INSERT INTO builds (read_model, version, generation, state) VALUES ($1, $2, 1, 'fed')";
const FIRST_SHOWN: &str = "INSERT INTO read_models (name, version, generation) VALUES ($1, $2, 1)";

async fn begin_with(transaction: &mut PgConnection, shape: &Shape) -> Result<(), sqlx::Error> {
    if sqlx::query_scalar(HAS_BUILDS).bind(shape.read_model).fetch_one(&mut *transaction).await? {
        return Ok(());
    }
    let build = Build::first(shape.read_model, shape.version);
    for statement in [FIRST_BUILD, FIRST_SHOWN] {
        sqlx::query(statement).bind(shape.read_model).bind(shape.version).execute(&mut *transaction).await?;
    }
    create(transaction, build).await?;
    index(transaction, build).await?;
    show(transaction, build).await
}

/// Makes a build's schema and its table, without indexes, writable for the projectors.
pub async fn create(owner: &mut PgConnection, build: Build) -> Result<(), sqlx::Error> {
    let shape = shape(build)?;
    let (schema, table) = (build.schema(), build.table());
    owner.execute(&*format!("CREATE SCHEMA {schema}")).await?;
    owner.execute(&*build.sql(shape.table)).await?;
    let grants = format!(
        "GRANT USAGE ON SCHEMA {schema} TO fittrack_projector;
         GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO fittrack_projector"
    );
    owner.execute(&*grants).await?;
    Ok(())
}

/// Gives a build's table its primary key and its indexes.
pub async fn index(owner: &mut PgConnection, build: Build) -> Result<(), sqlx::Error> {
    owner.execute(&*build.sql(shape(build)?.indexes)).await?;
    Ok(())
}

/// Puts the read model's view over this build. Versions have different columns, so the view is made anew.
pub async fn show(owner: &mut PgConnection, build: Build) -> Result<(), sqlx::Error> {
    let (view, table) = (build.read_model, build.table());
    let statement = format!(
        "DROP VIEW IF EXISTS public.{view};
         CREATE VIEW public.{view} AS SELECT * FROM {table};
         GRANT SELECT ON public.{view} TO fittrack_query"
    );
    owner.execute(&*statement).await?;
    Ok(())
}

/// Drops a build's rows for good.
pub async fn drop(owner: &mut PgConnection, build: Build) -> Result<(), sqlx::Error> {
    owner.execute(&*format!("DROP SCHEMA IF EXISTS {} CASCADE", build.schema())).await?;
    Ok(())
}

fn shape(build: Build) -> Result<&'static Shape, sqlx::Error> {
    let unknown = || sqlx::Error::Configuration(format!("this program has no shape for {build}").into());
    Shape::of(build.read_model, build.version).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_generation_is_named_after_its_version_alone() {
        let build = Build::first("totals", 1);
        assert_eq!((build.worker(), build.table()), ("totals.v1".into(), "totals_v1.totals".into()));
        let again = Build { generation: 2, ..build };
        assert_eq!((again.worker(), again.table()), ("totals.v1.g2".into(), "totals_v1_g2.totals".into()));
        assert_eq!((Build::of_worker("totals.v1"), Build::of_worker("totals.v1.g2")), (Some(build), Some(again)));
        for other in ["totals", "totals.1", "totals.v1.g", "totals.v1.g1", "totals.v9", "relay"] {
            assert_eq!(Build::of_worker(other), None, "{other}");
        }
    }

    #[test]
    fn every_read_model_has_one_newest_version_and_statements_for_any_schema() {
        let newest = SHAPES.iter().filter(|shape| shape.is_newest()).count();
        let mut names: Vec<&str> = SHAPES.iter().map(|shape| shape.read_model).collect();
        names.dedup();
        assert_eq!(names.len(), newest);
        for shape in SHAPES {
            let table = format!("{{schema}}.{}", shape.read_model);
            assert!(shape.table.contains(&table) && shape.indexes.contains(&table), "{shape:?}");
        }
    }

    #[test]
    fn a_version_this_program_does_not_know_is_no_build_of_it() {
        assert_eq!(
            Build::known("leaderboards", 2, 3),
            Some(Build { generation: 3, ..Build::first("leaderboards", 2) })
        );
        assert_eq!(Build::known("leaderboards", 99, 1), None);
    }
}
