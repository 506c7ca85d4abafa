use sqlx::Acquire;

use super::*;
use crate::private::Readiness;
use crate::test_database::TestDatabase;

#[test]
fn failures_of_the_database_are_told_from_mistakes_of_ours() {
    assert!(is_unavailable(&sqlx::Error::PoolTimedOut));
    assert!(is_unavailable(&sqlx::Error::Io(std::io::Error::other("reset"))));
    assert!(!is_unavailable(&sqlx::Error::RowNotFound));
    for (code, unavailable) in
        [("57P01", true), ("28P01", true), ("53100", true), ("08006", true), ("23505", false), ("42501", false)]
    {
        assert_eq!(is_unavailable_state(code), unavailable, "{code}");
    }
}

#[test]
fn only_settings_that_keep_commits_are_durable() {
    assert!(is_durable("synchronous_commit", "remote_apply"));
    for value in ["off", "local", "remote_write"] {
        assert!(!is_durable("synchronous_commit", value));
    }
    assert!(!is_durable("fsync", "remote_apply"));
}

#[tokio::test]
async fn a_pool_starts_without_its_database_and_says_why_it_is_not_ready() {
    let url = Secret::new("postgres://nobody@127.0.0.1:1/nothing");
    let pool = pool(&url, PoolSettings::new("test")).unwrap();
    let check = Readiness::new().check("event store");
    let token = CancellationToken::new();
    let waiting = tokio::spawn({
        let (check, token) = (check.clone(), token.clone());
        async move { wait_for(&pool, &check, &token).await }
    });
    tokio::time::timeout(Duration::from_secs(120), async {
        while check.reason() == "not checked yet" {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(!check.is_ready());
    token.cancel();
    assert!(!waiting.await.unwrap());
}

#[tokio::test]
async fn a_session_has_its_settings_and_a_durable_database_is_accepted() {
    let database = TestDatabase::create().await;
    let pool = pool(&database.url(), PoolSettings::new("runtime test").option("jit", "off")).unwrap();
    for (setting, expected) in [
        ("application_name", "runtime test"),
        ("statement_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("jit", "off"),
    ] {
        let value: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&pool).await.unwrap();
        assert_eq!(value, expected, "{setting}");
    }
    check_durability(&pool).await.unwrap();
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_database_that_does_not_wait_for_its_commits_is_refused() {
    let database = TestDatabase::create().await;
    let settings = PoolSettings::new("test").option("synchronous_commit", "off");
    let pool = pool(&database.url(), settings).unwrap();
    let error = check_durability(&pool).await.unwrap_err();
    assert!(error.to_string().contains("synchronous_commit = off"), "{error}");
    pool.close().await;
    database.drop().await;
}

/// Drops begins half-way, writing a row through the same connection after each, until `wanted` were really dropped unanswered
/// (Postgres may answer within the first poll). Returns how many acknowledged rows `outside` does not see.
async fn lost_after_dropped_begins(pool: &PgPool, outside: &PgPool, wanted: usize) -> usize {
    let (mut dropped, mut lost, mut id) = (0, 0, 0_i64);
    while dropped < wanted {
        assert!(id < 10_000, "only {dropped} begins were ever left unanswered");
        let mut connection = pool.acquire().await.unwrap();
        let mut begin = Box::pin(connection.begin());
        dropped += usize::from(futures::poll!(begin.as_mut()).is_pending());
        drop(begin);
        drop(connection);
        sqlx::query("INSERT INTO seen VALUES ($1)").bind(id).execute(pool).await.unwrap();
        let found: Option<i64> =
            sqlx::query_scalar("SELECT id FROM seen WHERE id = $1").bind(id).fetch_optional(outside).await.unwrap();
        lost += usize::from(found.is_none());
        id += 1;
    }
    lost
}

#[tokio::test]
async fn a_write_after_a_dropped_begin_is_visible_to_everybody() {
    let database = TestDatabase::create().await;
    let settings = PoolSettings::new("test").max_connections(1);
    let pool = pool(&database.url(), settings).unwrap();
    pool.execute("CREATE TABLE seen (id bigint PRIMARY KEY)").await.unwrap();
    assert_eq!(lost_after_dropped_begins(&pool, &database.plain_pool(), 20).await, 0);
    pool.close().await;
    database.drop().await;
}

/// Shows what the pool protects from. When this fails, sqlx has mended it and `after_release` may go.
#[tokio::test]
async fn sqlx_alone_loses_writes_after_a_dropped_begin() {
    let database = TestDatabase::create().await;
    let options: PgConnectOptions = database.url().expose().parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    pool.execute("CREATE TABLE seen (id bigint PRIMARY KEY)").await.unwrap();
    assert!(lost_after_dropped_begins(&pool, &database.plain_pool(), 1).await > 0);
    pool.close().await;
    database.drop().await;
}
