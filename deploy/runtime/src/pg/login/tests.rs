use std::fs;

use sqlx::Executor;
use sqlx::postgres::PgListener;
use uuid::Uuid;

use super::*;
use crate::test_database::TestDatabase;

const SOON: Duration = Duration::from_secs(20);

/// A role with a password on a database of its own, its URL in a file that is followed fast.
struct World {
    database: TestDatabase,
    admin: PgPool,
    role: String,
    folder: tempfile::TempDir,
    url: DatabaseUrl,
    stop: CancellationToken,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let admin = database.plain_pool();
        let role = format!("login_test_{}", Uuid::now_v7().simple());
        admin.execute(format!("CREATE ROLE {role} LOGIN PASSWORD 'p1'").as_str()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        let first = url_of(&database, &role, "p1");
        fs::write(&file, first.expose()).unwrap();
        let url = DatabaseUrl::new("FITTRACK_TEST_URL", first, Some(file));
        let (logins, stop) = (Logins::default(), CancellationToken::new());
        logins.add(&url);
        tokio::spawn(logins.follow_every(Duration::from_millis(20), stop.clone()));
        Self { database, admin, role, folder, url, stop }
    }

    fn write(&self, password: &str) {
        self.write_text(&format!("{}\n", url_of(&self.database, &self.role, password).expose()));
    }

    /// Whole or not at all, as a secret is mounted.
    fn write_text(&self, text: &str) {
        let draft = self.folder.path().join("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, self.folder.path().join("url")).unwrap();
    }

    async fn alter(&self, password: &str) {
        self.admin.execute(format!("ALTER ROLE {} PASSWORD '{password}'", self.role).as_str()).await.unwrap();
    }

    async fn end_its_connections(&self) {
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1";
        sqlx::query(ended).bind(&self.role).execute(&self.admin).await.unwrap();
    }

    /// What is wrong at the moment, once something is.
    async fn trouble(&self) -> String {
        until("there is trouble", async || self.url.state().trouble.clone().ok_or("none")).await
    }

    async fn knows(&self, password: &str) {
        until("the login is known", async || {
            let url = self.url.state().url.clone();
            if url == url_of(&self.database, &self.role, password) { Ok(()) } else { Err("not yet") }
        })
        .await;
    }

    async fn end(self) {
        self.stop.cancel();
        self.end_its_connections().await;
        self.admin.execute(format!("DROP ROLE {}", self.role).as_str()).await.unwrap();
        self.admin.close().await;
        self.database.drop().await;
    }
}

fn url_of(database: &TestDatabase, role: &str, password: &str) -> Secret {
    let mut url = reqwest::Url::parse(database.url().expose()).unwrap();
    url.set_username(role).unwrap();
    url.set_password(Some(password)).unwrap();
    Secret::new(url)
}

async fn until<T, E: std::fmt::Display>(what: &str, look: impl AsyncFn() -> Result<T, E>) -> T {
    let deadline = tokio::time::Instant::now() + SOON;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{what}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn answers(pool: &PgPool) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT 1").fetch_one(pool).await
}

#[tokio::test]
async fn a_password_changed_in_its_file_is_used_by_every_pool_and_its_listeners() {
    let world = World::new().await;
    let pool = world.url.pool(PoolSettings::new("rotation").option("jit", "off")).unwrap();
    let other = world.url.pool(PoolSettings::new("rotation too")).unwrap();
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("rotated").await.unwrap();
    assert_eq!(answers(&pool).await.unwrap() + answers(&other).await.unwrap(), 2);

    world.alter("p2").await;
    // Connections that are open go on with what they logged in with.
    assert_eq!(answers(&pool).await.unwrap(), 1);
    world.write("p2");
    world.end_its_connections().await;
    until("both pools answer again", async || answers(&pool).await.and(answers(&other).await)).await;

    let name: String = sqlx::query_scalar("SELECT current_setting('application_name') || current_setting('jit')")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(name, "rotationoff", "the pool's own settings are kept");
    // The first answer says that the connection was lost; the next connection is the pool's.
    let heard = async {
        loop {
            if let Ok(Some(notice)) = listener.try_recv().await {
                return notice.payload().to_owned();
            }
            world.admin.execute("NOTIFY rotated, 'heard'").await.unwrap();
        }
    };
    assert_eq!(tokio::time::timeout(SOON, heard).await.unwrap(), "heard");
    drop(listener);
    world.end().await;
}

#[tokio::test]
async fn a_login_the_database_does_not_take_yet_waits_until_it_does() {
    let world = World::new().await;
    let pool = world.url.pool(PoolSettings::new("rotation")).unwrap();
    world.write("p2");
    let trouble = world.trouble().await;
    assert!(trouble.contains("does not take") && !trouble.contains("p2"), "{trouble}");
    // New connections log in as before, so nobody notices.
    world.end_its_connections().await;
    until("the old login is in use", async || answers(&pool).await).await;

    world.alter("p2").await;
    world.knows("p2").await;
    world.end_its_connections().await;
    until("the new login is in use", async || answers(&pool).await).await;
    assert_eq!(world.url.state().trouble, None);
    world.end().await;
}

#[tokio::test]
async fn a_file_that_is_missing_empty_or_wrong_keeps_the_login_last_used() {
    let world = World::new().await;
    let pool = world.url.pool(PoolSettings::new("rotation")).unwrap();
    let elsewhere = url_of(&world.database, &world.role, "p1").expose().replace("/runtime_test_", "/other_");
    let long = "hunter2 ".repeat(2_000);
    for (text, expected) in [
        ("\n", "is empty"),
        ("hunter2", "no URL"),
        (&elsewhere, "needs a restart"),
        (&long, "no file of at most 8192 bytes"),
    ] {
        world.write_text(text);
        until(expected, async || match world.url.state().trouble.clone() {
            Some(trouble) if trouble.contains(expected) && !trouble.contains("hunter2") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        world.end_its_connections().await;
        until("the old login is in use", async || answers(&pool).await).await;
    }
    fs::remove_file(world.folder.path().join("url")).unwrap();
    until("it is missed", async || match world.url.state().trouble.clone() {
        Some(trouble) if trouble.contains("cannot be read") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    fs::create_dir(world.folder.path().join("url")).unwrap();
    until("a folder is none", async || match world.url.state().trouble.clone() {
        Some(trouble) if trouble.contains("no file of") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    fs::remove_dir(world.folder.path().join("url")).unwrap();
    // Back again, with another password: taken as ever.
    world.alter("p3").await;
    world.write("p3");
    world.knows("p3").await;
    world.end().await;
}

#[tokio::test]
async fn a_closed_pool_is_not_kept() {
    let world = World::new().await;
    let closed = world.url.pool(PoolSettings::new("rotation")).unwrap();
    drop(closed.close());
    drop(closed);
    let kept = world.url.pool(PoolSettings::new("rotation")).unwrap();
    assert_eq!(world.url.state().pools.len(), 1);
    assert!(!kept.is_closed());
    world.end().await;
}

#[test]
fn only_who_logs_in_may_change() {
    let known = Secret::new("postgres://ann:one@db.example:5432/store?sslmode=verify-full&sslrootcert=/a");
    let same = [
        "postgres://bob:two@db.example:5432/store?sslmode=verify-full&sslrootcert=/a",
        "postgres://db.example:5432/store?sslmode=verify-full&sslrootcert=/a&user=bob&password=two",
    ];
    for url in same {
        assert_eq!(place(&Secret::new(url)), place(&known), "{url}");
    }
    for url in [
        "postgres://ann:one@db2.example:5432/store?sslmode=verify-full&sslrootcert=/a",
        "postgres://ann:one@db.example:5433/store?sslmode=verify-full&sslrootcert=/a",
        "postgres://ann:one@db.example:5432/other?sslmode=verify-full&sslrootcert=/a",
        "postgres://ann:one@db.example:5432/store?sslmode=disable&sslrootcert=/a",
    ] {
        assert_ne!(place(&Secret::new(url)), place(&known), "{url}");
    }
    assert_ne!(place(&known), None);
}

#[test]
fn no_debug_form_shows_a_login() {
    let url = DatabaseUrl::new("FITTRACK_X_URL", Secret::new("postgres://a:hunter2@b/c"), Some("/run/x".into()));
    let logins = Logins::default();
    logins.add(&url);
    assert!(!format!("{url:?} {logins:?}").contains("hunter2"));
}

#[test]
fn a_login_that_stays_refused_is_tried_seldom_after_a_while() {
    let since = Instant::now();
    let tried = |after_s, last_s| {
        let refused = Refused { url: Secret::new("x"), since, tried_at: since + Duration::from_secs(last_s) };
        refused.is_due(since + Duration::from_secs(after_s))
    };
    assert!(tried(2, 0) && tried(599, 597));
    assert!(!tried(600, 598) && !tried(657, 598));
    assert!(tried(658, 598) && tried(7_200, 7_140));
}
