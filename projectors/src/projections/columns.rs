//! Columns for `unnest`: a batch of rows goes to Postgres as one array a column.

/// One column of all rows.
pub(super) fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
