//! The columns that two builds have in common, their key, and which declared differences may show in the rows.
use fittrack_schemas::read_models::ShowsIn;
use sqlx::PgConnection;

use super::{Pair, VerifyError, declared};

/// What can be compared.
pub(crate) struct Columns {
    /// Columns of the same name and type in both.
    pub common: Vec<String>,
    /// Columns that only one has, or that have another type there.
    pub only_one: Vec<String>,
    /// The key, which both have.
    pub key: Vec<String>,
    /// What differs by intention in rows: what, and the SQL that says which.
    pub causes: Vec<(&'static str, &'static str)>,
}

const COLUMNS: &str = "
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname";

const KEY: &str = "
SELECT a.attname::text
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = $1::regclass AND i.indisprimary
ORDER BY array_position(i.indkey::smallint[], a.attnum)";

impl Columns {
    /// Looks them up.
    pub async fn of(connection: &mut PgConnection, pair: Pair) -> Result<Self, VerifyError> {
        let (old, new) = (columns(connection, pair.old.table()).await?, columns(connection, pair.new.table()).await?);
        let (key, other_key) = (key(connection, pair.old.table()).await?, key(connection, pair.new.table()).await?);
        if key != other_key {
            let named = |key: &[String]| key.join("/");
            return Err(VerifyError::Keys(pair.old.worker(), pair.new.worker(), named(&key), named(&other_key)));
        }
        let name = |(name, _): &(String, String)| name.clone();
        let common = old.iter().filter(|column| new.contains(column)).map(name).collect();
        let mut only_one: Vec<String> = old
            .iter()
            .filter(|column| !new.contains(column))
            .chain(new.iter().filter(|column| !old.contains(column)))
            .map(name)
            .collect();
        only_one.sort_unstable();
        only_one.dedup();
        let causes = declared(pair).into_iter().filter_map(|(shows_in, what)| match shows_in {
            ShowsIn::Rows(explains) => Some((what, explains)),
            ShowsIn::Column(_) => None,
        });
        Ok(Self { common, only_one, key, causes: causes.collect() })
    }
}

async fn columns(connection: &mut PgConnection, table: String) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as(COLUMNS).bind(table).fetch_all(connection).await
}

async fn key(connection: &mut PgConnection, table: String) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(KEY).bind(table).fetch_all(connection).await
}
