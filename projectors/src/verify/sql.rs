//! The statements of a comparison.
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use super::{Differing, Pair, Verified, columns::Columns};

const SPANS: &str = "
SELECT partition, least(old.position, new.position), greatest(old.position, new.position)
FROM (SELECT partition, position FROM checkpoints WHERE worker = $1) old
FULL JOIN (SELECT partition, position FROM checkpoints WHERE worker = $2) new USING (partition)
WHERE old.position IS DISTINCT FROM new.position";

/// Partition, lower and higher position, where two builds are not at the same one.
pub(super) async fn spans(
    snapshot: &mut PgConnection,
    old: &str,
    new: &str,
) -> Result<Vec<(i32, i64, i64)>, sqlx::Error> {
    sqlx::query_as(SPANS).bind(old).bind(new).fetch_all(snapshot).await
}

const OWNERS: &str = "
SELECT DISTINCT e.owner_id
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS span (partition, low, high)
JOIN events e ON e.partition = span.partition AND e.position > span.low AND e.position <= span.high";

/// Whose events these are.
pub(super) async fn owners_of(store: &PgPool, spans: &[(i32, i64, i64)]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(OWNERS)
        .bind(spans.iter().map(|(partition, ..)| *partition).collect::<Vec<_>>())
        .bind(spans.iter().map(|(_, low, _)| *low).collect::<Vec<_>>())
        .bind(spans.iter().map(|(.., high)| *high).collect::<Vec<_>>())
        .fetch_all(store)
        .await
}

/// The hashes of both.
pub(super) struct Hashes {
    pub old_rows: i64,
    pub new_rows: i64,
    /// The buckets that differ.
    pub differing: Vec<i32>,
}

/// Owners are spread over 256 buckets; a bucket's hash is the sum of its rows' hashes, so their order does not matter.
const BUCKET: &str = "(uuid_hash(athlete_id) & 255)";

pub(super) async fn hashes(
    snapshot: &mut PgConnection,
    pair: Pair,
    columns: &Columns,
    but: &[Uuid],
) -> Result<Hashes, sqlx::Error> {
    let row = columns.common.join(", ");
    let of = |table: String| {
        format!(
            "SELECT {BUCKET} AS bucket, count(*) AS rows, sum(hash_record_extended(ROW({row}), 0)) AS hash
             FROM {table} WHERE NOT athlete_id = ANY($1) GROUP BY 1"
        )
    };
    let statement = format!(
        "SELECT bucket, coalesce(old.rows, 0) AS old_rows, coalesce(new.rows, 0) AS new_rows,
                (old.rows, old.hash) IS DISTINCT FROM (new.rows, new.hash) AS differs
         FROM ({}) old FULL JOIN ({}) new USING (bucket)",
        of(pair.old.table()),
        of(pair.new.table())
    );
    let mut hashes = Hashes { old_rows: 0, new_rows: 0, differing: vec![] };
    for bucket in sqlx::query(&statement).bind(but).fetch_all(snapshot).await? {
        hashes.old_rows += bucket.try_get::<i64, _>("old_rows")?;
        hashes.new_rows += bucket.try_get::<i64, _>("new_rows")?;
        if bucket.try_get("differs")? {
            hashes.differing.push(bucket.try_get("bucket")?);
        }
    }
    Ok(hashes)
}

/// Whose rows are compared one by one.
#[derive(Clone, Copy)]
pub(super) enum Scope<'a> {
    /// Of everybody in these buckets but those.
    Buckets { buckets: &'a [i32], but: &'a [Uuid] },
    /// Of these alone.
    Owners(&'a [Uuid]),
}

impl Scope<'_> {
    fn condition(self) -> String {
        match self {
            Self::Buckets { .. } => format!("{BUCKET} = ANY($1) AND NOT athlete_id = ANY($2)"),
            Self::Owners(_) => "athlete_id = ANY($2) AND $1::integer[] IS NOT NULL".to_owned(),
        }
    }

    fn buckets(&self) -> &[i32] {
        match self {
            Self::Buckets { buckets, .. } => buckets,
            Self::Owners(_) => &[],
        }
    }

    fn owners(&self) -> &[Uuid] {
        match self {
            Self::Buckets { but, .. } => but,
            Self::Owners(owners) => owners,
        }
    }
}

/// The pairs of rows that differ, as `old` and `new`, each with the place of the first declared difference that explains it; -1
/// where none does.
fn differing(pair: Pair, columns: &Columns, scope: Scope<'_>) -> String {
    let condition = scope.condition();
    let both = |side: &str| columns.common.iter().map(|name| format!("{side}.{name}")).collect::<Vec<_>>().join(", ");
    let on: Vec<String> = columns.key.iter().map(|name| format!("old.{name} = new.{name}")).collect();
    let causes: Vec<String> = (0..)
        .zip(&columns.causes)
        .map(|(place, (_, explains))| format!("WHEN coalesce(({explains}), false) THEN {place}"))
        .collect();
    let cause = if causes.is_empty() { "-1".to_owned() } else { format!("CASE {} ELSE -1 END", causes.join(" ")) };
    let key: Vec<String> = columns.key.iter().map(|name| format!("coalesce(old.{name}, new.{name})::text")).collect();
    format!(
        "SELECT concat_ws('/', {}) AS key, coalesce(old.athlete_id, new.athlete_id) AS owner_id, {cause} AS cause,
                CASE WHEN old.athlete_id IS NOT NULL THEN to_jsonb(old) END AS old,
                CASE WHEN new.athlete_id IS NOT NULL THEN to_jsonb(new) END AS new
         FROM (SELECT * FROM {} WHERE {condition}) old
         FULL JOIN (SELECT * FROM {} WHERE {condition}) new ON {}
         WHERE ROW({}) IS DISTINCT FROM ROW({})",
        key.join(", "),
        pair.old.table(),
        pair.new.table(),
        on.join(" AND "),
        both("old"),
        both("new"),
    )
}

/// How many rows differ, by what explains it.
pub(super) async fn causes(
    snapshot: &mut PgConnection,
    pair: Pair,
    columns: &Columns,
    scope: Scope<'_>,
) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    let statement =
        format!("SELECT cause, count(*) FROM ({}) differing GROUP BY cause", differing(pair, columns, scope));
    sqlx::query_as(&statement).bind(scope.buckets()).bind(scope.owners()).fetch_all(snapshot).await
}

/// The rows that differ and that nothing explains.
pub(super) async fn unexplained(
    snapshot: &mut PgConnection,
    pair: Pair,
    columns: &Columns,
    scope: Scope<'_>,
    at_most: i64,
) -> Result<Vec<Differing>, sqlx::Error> {
    let statement = format!(
        "SELECT key, owner_id, old, new FROM ({}) differing WHERE cause = -1 ORDER BY key LIMIT $3",
        differing(pair, columns, scope)
    );
    sqlx::query_as(&statement).bind(scope.buckets()).bind(scope.owners()).bind(at_most).fetch_all(snapshot).await
}

const NOTE: &str = "
UPDATE builds SET verified_at = CASE WHEN $3 THEN clock_timestamp() END, verified_with = CASE WHEN $3 THEN $2 END
WHERE worker = $1";

/// Notes that the build was found sound, or that it was not.
pub(super) async fn note(owner: &mut PgConnection, verified: &Verified) -> Result<(), sqlx::Error> {
    sqlx::query(NOTE).bind(&verified.build).bind(&verified.with).bind(verified.is_sound()).execute(owner).await?;
    Ok(())
}
