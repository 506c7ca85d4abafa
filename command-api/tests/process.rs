//! The program as its operator meets it: command line, settings, a start before the databases, a stop by signal.
//! Run through `deploy/fittrack test`, which starts Postgres and says where it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
    str::FromStr,
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(180);

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_command-api"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FITTRACK_") {
            command.env_remove(name);
        }
    }
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn wrong_use_exits_with_2_and_names_what_is_wrong() {
    let output = program().arg("serve").env("FITTRACK_EVENT_STOR_URL", "x").output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in
        ["FITTRACK_EVENT_STOR_URL", "did you mean FITTRACK_EVENT_STORE_URL?", "FITTRACK_IDENTITY_URL", "keys generate"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(program().arg("surf").output().unwrap().status.code(), Some(2));
    assert_eq!(program().arg("--help").output().unwrap().status.code(), Some(0));
    assert!(text(&program().arg("settings").output().unwrap()).contains("FITTRACK_KAFKA_BROKERS"));
    assert!(text(&program().arg("openapi").output().unwrap()).starts_with("openapi: 3.1"));
}

#[test]
fn a_key_is_made_once_and_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let generate = || program().args(["keys", "generate", "--out"]).arg(&file).output().unwrap();
    let made = generate();
    assert!(made.status.success(), "{}", text(&made));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(&file).unwrap();
    assert_eq!(generate().status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
}

#[tokio::test]
async fn it_starts_before_its_databases_serves_when_they_are_there_and_stops_on_sigterm() {
    let databases = Databases::named();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    assert!(program().args(["keys", "generate", "--out"]).arg(&key).status().unwrap().success());
    let mut server = Server::start(&databases, &key);
    assert_eq!(server.get(server.private, "/livez").0, 200);
    assert_eq!(server.get(server.private, "/readyz").0, 503);

    databases.create().await;
    for _ in 0..2 {
        let migrated = databases.set(program().arg("migrate"), "OWNER_URL").output().unwrap();
        assert!(migrated.status.success(), "{}", text(&migrated));
    }
    server.becomes_ready();
    assert_eq!(server.get(server.public, "/.well-known/jwks.json").0, 200);
    let (status, body) = server.get(server.private, "/metrics");
    assert_eq!((status, body.contains("fittrack_")), (200, true));
    let checked = databases.set(program().arg("check"), "URL").output().unwrap();
    assert!(checked.status.success() && text(&checked).contains("all invariants hold"), "{}", text(&checked));

    server.terminates();
}

#[test]
fn the_secrets_of_the_documentation_are_refused_by_name() {
    let example = |dev: Option<&str>| {
        let mut command = program();
        command
            .arg("check")
            .env("FITTRACK_EVENT_STORE_URL", "postgres://fittrack_command:secret@127.0.0.1:1/event_store");
        command.envs(dev.map(|dev| ("FITTRACK_DEV", dev)));
        command.output().unwrap()
    };
    for dev in [None, Some("false")] {
        let refused = example(dev);
        assert_eq!(refused.status.code(), Some(2));
        let said = text(&refused);
        assert!(said.contains("FITTRACK_EVENT_STORE_URL") && !said.contains("127.0.0.1"), "{said}");
    }
    assert_eq!(example(Some("true")).status.code(), Some(1), "there is no database");
}

#[tokio::test]
async fn the_first_administrator_is_made_once_and_their_secret_shown_once() {
    let databases = Databases::named();
    databases.create().await;
    assert!(databases.set(program().arg("migrate"), "OWNER_URL").status().unwrap().success());
    let admin = |what: &str, email: &str| {
        databases.set(program().args(["admin", what, "--email", email]), "URL").output().unwrap()
    };
    let made = admin("create", "ops@example.org");
    assert!(made.status.success(), "{}", text(&made));
    let said = text(&made);
    let secret = said.split_once("one-time secret: ").unwrap().1.lines().next().unwrap();
    assert_eq!(secret.len(), 43, "{said}");
    assert_eq!(admin("create", "OPS@example.org").status.code(), Some(1));
    assert_eq!(admin("create", "nobody").status.code(), Some(2));
    for (what, code) in [("disable", 0), ("disable", 1), ("enable", 0), ("end-sessions", 0)] {
        assert_eq!(admin(what, "ops@example.org").status.code(), Some(code), "{what}");
    }
}

#[tokio::test]
async fn a_store_of_other_partitions_is_refused() {
    let databases = Databases::named();
    databases.create().await;
    assert!(databases.set(program().arg("migrate"), "OWNER_URL").status().unwrap().success());
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    assert!(program().args(["keys", "generate", "--out"]).arg(&key).status().unwrap().success());
    let mut command = serving(&databases, &key, free_port(), free_port());
    let refused = command.env("FITTRACK_LOG_PARTITIONS", "16").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("has 32 log partitions"), "{}", text(&refused));
}

impl Drop for Databases {
    fn drop(&mut self) {
        let (server, names) = (self.server.clone(), KINDS.map(|kind| self.name(kind)));
        // A test's own runtime cannot be waited for here.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = PgConnection::connect_with(&server).await.unwrap();
                for name in names {
                    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    sqlx::query(&drop).execute(&mut connection).await.unwrap();
                }
            });
        });
        let _ = dropping.join();
    }
}

/// Three databases that may not exist yet.
struct Databases {
    server: PgConnectOptions,
    suffix: String,
}

const KINDS: [&str; 3] = ["EVENT_STORE", "IDENTITY", "RECORDINGS"];

impl Databases {
    fn named() -> Self {
        let url = std::env::var("FITTRACK_TEST_POSTGRES_URL")
            .expect("FITTRACK_TEST_POSTGRES_URL is not set: run through deploy/fittrack test");
        Self { server: PgConnectOptions::from_str(&url).unwrap(), suffix: Uuid::now_v7().simple().to_string() }
    }

    fn name(&self, kind: &str) -> String {
        format!("process_{}_{}", kind.to_lowercase(), self.suffix)
    }

    async fn create(&self) {
        let mut connection = PgConnection::connect_with(&self.server).await.unwrap();
        for kind in KINDS {
            sqlx::query(&format!("CREATE DATABASE {}", self.name(kind))).execute(&mut connection).await.unwrap();
        }
    }

    /// Sets the databases' URLs under `FITTRACK_<kind>_<ending>`.
    fn set<'a>(&self, command: &'a mut Command, ending: &str) -> &'a mut Command {
        for kind in KINDS {
            let url = self.server.clone().database(&self.name(kind)).to_url_lossy();
            command.env(format!("FITTRACK_{kind}_{ending}"), url.as_str());
        }
        command
    }
}

fn serving(databases: &Databases, key: &Path, public: u16, private: u16) -> Command {
    let mut command = program();
    databases.set(command.arg("serve"), "URL");
    command
        .env("FITTRACK_SIGNING_KEY_FILE", key)
        .env("FITTRACK_LISTEN", format!("127.0.0.1:{public}"))
        .env("FITTRACK_PRIVATE_LISTEN", format!("127.0.0.1:{private}"))
        .env("FITTRACK_LOG_FORMAT", "text");
    command
}

struct Server {
    child: Child,
    public: u16,
    private: u16,
}

impl Server {
    fn start(databases: &Databases, key: &Path) -> Self {
        let (public, private) = (free_port(), free_port());
        let child =
            serving(databases, key, public, private).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, public, private }
    }

    /// Status and body; tries again while nothing listens yet.
    fn get(&mut self, port: u16, path: &str) -> (u16, String) {
        let deadline = Instant::now() + PATIENCE;
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "nothing listens on {port}: {error}"),
            }
            assert_eq!(self.child.try_wait().unwrap(), None, "the server ended");
            std::thread::sleep(Duration::from_millis(20));
        };
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }

    fn becomes_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, report) = self.get(self.private, "/readyz");
            if status == 200 {
                return;
            }
            assert!(Instant::now() < deadline, "{report}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn terminates(&mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(0));
                return;
            }
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
